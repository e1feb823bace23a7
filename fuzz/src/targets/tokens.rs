//! The manifest of a folder of tokens, and the shard beside it.

use gauntlet::corpus::{Corpus, CorpusKind, CorpusSettings};

use super::super::change::{Folder, change};

const MANIFEST: &str = include_str!("../../valid/tokens.json");
/// Tokens of the one shard, two bytes each.
const TOKENS: usize = 600;

/// Reads an input.
pub fn run(input: &[u8]) {
    let mut manifest = MANIFEST.as_bytes().to_vec();
    change(&mut manifest, input);
    let folder = Folder::new();
    let tokens: Vec<u8> = (0..TOKENS).flat_map(|token| (token as u16 % 256).to_le_bytes()).collect();
    folder.write("shard-00000.bin", &tokens);
    folder.write("manifest.json", &manifest);
    let settings = CorpusSettings {
        kind: CorpusKind::Tokens,
        path: Some(folder.path().display().to_string()),
        held_out_pages: 2,
        ..CorpusSettings::default()
    };
    let Ok(corpus) = Corpus::open(&settings, 1, 256, 16) else { return };
    // A manifest that belies its shard is told of with the page.
    for page in [0, corpus.train_pages().saturating_sub(1)] {
        let _ = corpus.pages(&[page]);
    }
}
