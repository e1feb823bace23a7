//! Reading pages of tokenised shards on one core, in tokens per second.

use std::path::Path;

use divan::Bencher;
use divan::counter::ItemsCount;
use gauntlet::corpus::{Corpus, PageId};
use gauntlet::corpus::{CorpusKind, CorpusSettings};
use gauntlet::random::rng;
use rand::RngExt;

/// The binary uses this allocator too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tokens in a shard, and number of shards.
const SHARD: usize = 16 << 20;
const SHARDS: usize = 4;
const VOCABULARY: u16 = 32_000;
/// Pages read together: those of a peer in a round.
const PAGES: usize = 192;

fn main() {
    divan::main();
}

fn write(folder: &Path) {
    for shard in 0..SHARDS {
        let mut random = rng(0, "benchmark", shard as u64, 0);
        let bytes: Vec<u8> = (0..SHARD).flat_map(|_| random.random_range(0..VOCABULARY).to_le_bytes()).collect();
        std::fs::write(folder.join(format!("{shard}.ds")), bytes).unwrap();
    }
}

/// Pages at random places of all shards, as an assignment draws them.
#[divan::bench(args = [64, 2048])]
fn read_pages(bencher: Bencher, sequence_length: usize) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let path = Some(folder.path().to_str().unwrap().to_string());
    let settings = CorpusSettings { kind: CorpusKind::Tokens, path, ..CorpusSettings::default() };
    let corpus = Corpus::open(&settings, 1, VOCABULARY as usize, sequence_length).unwrap();
    let mut random = rng(1, "benchmark", 0, 0);
    let pages: Vec<PageId> = (0..PAGES).map(|_| random.random_range(0..corpus.train_pages())).collect();
    bencher.counter(ItemsCount::new(PAGES * sequence_length)).bench_local(|| corpus.pages(&pages).unwrap());
}
