//! Storms of real processes: each node is a process of `sim`, they meet in the tests' S3 server, and time is held while
//! anybody works, so that a storm takes no longer than its work.
//!
//! What happens to them is drawn from the seed as for simulated storms, by the same code, and the server does to each
//! account what a simulated link does to its node. Only how the processes share the machine is not drawn, so what must
//! hold has to hold however they do.
//!
//! A few seeds run with all other tests. `GAUNTLET_STORMS=0..100 cargo test --test process_storms -- --ignored
//! --nocapture` runs as many as wanted.

#![cfg(target_os = "linux")]

#[path = "process_storms/network.rs"]
mod network;
#[path = "faults/nodes.rs"]
mod nodes;
#[path = "common/s3/mod.rs"]
mod s3;
#[path = "process_storms/seat.rs"]
mod seat;
#[path = "process_storms/skew.rs"]
mod skew;
#[path = "process_storms/sky.rs"]
mod sky;
#[path = "process_storms/storm.rs"]
mod storm;
#[path = "faults/time.rs"]
mod time;
#[path = "process_storms/verdict.rs"]
mod verdict;

use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use gauntlet::storm::Broken;
use gauntlet::storm::fault::KINDS;
use gauntlet::transport::keys;
use storm::Storm;

/// The seeds that run with all other tests.
const FIXED: Range<u64> = 0..3;

/// Runs the storm of a seed, says how it went, and leaves what the nodes said of one that breaks something.
fn storm(seed: u64) -> (Storm, Vec<Broken>) {
    let began = Instant::now();
    let mut storm = Storm::new(seed, network::faults(seed));
    storm.run();
    let broken = storm.verdict();
    let struck = storm.struck();
    let struck = KINDS.iter().zip(struck).filter(|(_, times)| *times > 0);
    let struck: Vec<String> = struck.map(|(kind, times)| format!("{kind} {times}")).collect();
    println!("storm {seed}: {} broken, {:.1} s; {}", broken.len(), began.elapsed().as_secs_f64(), struck.join(", "));
    if !broken.is_empty() {
        let told = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("process-storm-{seed}.log"));
        std::fs::write(&told, storm.said()).unwrap();
        broken.iter().for_each(|broken| println!("  {broken}"));
        println!("  {}", told.display());
        let seeds = format!("{seed}..{}", seed + 1);
        println!("  GAUNTLET_STORMS={seeds} cargo test --test process_storms -- --ignored --nocapture");
    }
    (storm, broken)
}

/// Runs storms one after the other; all must hold.
fn nothing_breaks_in(seeds: Range<u64>) {
    let mut struck = [0; KINDS.len()];
    let mut broken = Vec::new();
    for seed in seeds.clone() {
        let (storm, found) = storm(seed);
        struck.iter_mut().zip(storm.struck()).for_each(|(all, times)| *all += times);
        if !found.is_empty() {
            broken.push(seed);
        }
    }
    println!("{} storms, {} broken", seeds.end - seeds.start, broken.len());
    KINDS.iter().zip(struck).for_each(|(kind, times)| println!("  {kind} {times}"));
    assert!(broken.is_empty(), "these storms break something: {broken:?}");
}

#[test]
fn storms_of_processes_break_nothing() {
    nothing_breaks_in(FIXED);
}

/// As many as `GAUNTLET_STORMS` says, a hundred without it.
#[test]
#[ignore = "takes an hour or so; GAUNTLET_STORMS=0..100 says which"]
fn many_storms_of_processes_break_nothing() {
    let seeds = std::env::var("GAUNTLET_STORMS").unwrap_or("0..100".into());
    let both = seeds.split_once("..").and_then(|(first, end)| Some((first.parse().ok()?, end.parse().ok()?)));
    let (first, end) = both.unwrap_or_else(|| panic!("GAUNTLET_STORMS={seeds}: expected seeds, such as 0..100"));
    nothing_breaks_in(first..end);
}

/// What a verdict is made of is looked at: nothing is found in a calm, and each harm afterwards is.
#[test]
fn a_verdict_sees_what_is_wrong() {
    let mut storm = Storm::new(0, Vec::new());
    storm.run();
    assert_eq!(storm.verdict(), Vec::new(), "{}", storm.said());
    let finds = |storm: &mut Storm, what: &str| {
        let found = storm.verdict();
        assert!(found.iter().any(|broken| broken.what == what), "{what}: {found:?}");
    };
    let state = storm.seats[0].node.state().join("state.bin");
    let whole = std::fs::read(&state).unwrap();
    std::fs::write(&state, &std::fs::read(storm.seats[3].node.state().join("state.bin")).unwrap()[..80]).unwrap();
    finds(&mut storm, "honest replicas are those of the records");
    std::fs::write(&state, whole).unwrap();
    assert_eq!(storm.verdict(), Vec::new());
    let checkpoint =
        storm.server.bucket().keys("nodes/").into_iter().find(|key| key.contains("/checkpoints/")).unwrap();
    storm.server.bucket().damage(&checkpoint, |bytes| bytes.truncate(100));
    finds(&mut storm, "checkpoints are the models of the records");
    // Another record of a round, by who may write it.
    let record = keys::record(5);
    let other = storm.records.of(5).unwrap().clone();
    let other = gauntlet::transport::record::RoundRecord { model_before: other.model_after, ..other };
    let lead = storm.field.scenario.validator_identity(0);
    storm.server.bucket().put(record.as_ref(), gauntlet::transport::record::encode(&other, &lead));
    finds(&mut storm, "one record a round");
    finds(&mut storm, "records follow from one another");
}
