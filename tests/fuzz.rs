//! The fuzz targets on a usual compiler: each reads its kept corpus, and changes of it drawn from a seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use gauntlet::random;
use gauntlet::transport::{Identity, sealed};
use rand::{Rng, RngExt};

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use fuzz::change::reseal;
use fuzz::targets::{ALL, Target};

/// Inputs that each target reads beside its corpus.
const DRAWN: u64 = 300;

/// The inputs that are kept for a target.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// An input like those of the corpus, or of bytes alone.
fn draw(name: &str, number: u64, kept: &[Vec<u8>]) -> Vec<u8> {
    let mut rng = random::rng(number, name, 0, 0);
    let mut input = kept[rng.random_range(0..kept.len())].clone();
    for _ in 0..rng.random_range(0..4) {
        match rng.random_range(0..3) {
            0 if !input.is_empty() => {
                let at = rng.random_range(0..input.len());
                input[at] = rng.random();
            }
            1 => input.truncate(rng.random_range(0..=input.len())),
            _ => {
                let mut more = vec![0; rng.random_range(1..24)];
                rng.fill_bytes(&mut more);
                input.extend(more);
            }
        }
    }
    input
}

fn run((name, target): Target, drawn: u64) {
    let kept = corpus(name);
    assert!(!kept.is_empty(), "fuzz/corpus/{name} is empty");
    let drawn = (0..drawn).map(|number| draw(name, number, &kept));
    for input in kept.iter().cloned().chain(drawn) {
        let done = catch_unwind(AssertUnwindSafe(|| target(&input)));
        assert!(done.is_ok(), "{name} does not take this input: {input:02x?}");
    }
}

#[test]
fn every_target_takes_its_corpus_and_changes_of_it() {
    let slow = ["metrics", "weights", "shards"];
    for target in ALL {
        run(target, if slow.contains(&target.0) { DRAWN / 10 } else { DRAWN });
    }
}

#[test]
fn an_unchanged_message_seals_to_the_same_bytes() {
    let identity = Identity::from_seed(1, "validator", 0);
    let valid = sealed::seal("numbers", &[1, 2, 3], &identity);
    assert_eq!(reseal("numbers", &valid, &[], &identity), valid);
}
