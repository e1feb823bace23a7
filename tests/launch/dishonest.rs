//! Two dishonest validators of five, with nearly half of the stake: processes do as the simulator says, and a repeated run
//! agrees.

use std::path::Path;

use super::{assert_alike, column, done, folder, records};

/// Runs the network twice, simulated and as processes, and compares all that they tell. Returns how many rounds each of the
/// five validators decided at the end.
fn compared(folder: &Path, validators: &str) -> Vec<usize> {
    let validators = format!("validators={validators}");
    let settings = ["parity.toml", "--rounds", "18", "--set", &validators];
    let settings = [&settings[..], &["--set", "chain.commit_reveal=true", "--set", "chain.weights_every=2"]].concat();
    // Of the last round, the folder takes the report that is there first when the processes end.
    assert_alike(folder, &settings, 17);
    done(folder, &["verify", "simulated"]);
    let incentives = column(&folder.join("launched"), "peers.csv", "incentive");
    assert!(incentives.values().any(|share| share.parse::<f64>().unwrap() > 0.0), "revealed weights are paid");
    let last = records(&folder.join("launched/bucket")).into_values().filter(|record| record.round >= 12);
    let authors: Vec<_> = last.map(|record| record.validator).collect();
    let identity = |index| gauntlet::transport::Identity::from_seed(1, "validator", index).hotkey();
    (0..5).map(|index| authors.iter().filter(|author| **author == identity(index)).count()).collect()
}

#[test]
fn with_a_lead_that_lies_and_a_copier() {
    let folder = folder();
    let decided = compared(
        folder.path(),
        "[{stake=300, behaviour={kind='false-model', before=true}}, {stake=250}, {stake=200}, \
         {stake=150, behaviour='copy-weights'}, {stake=100}]",
    );
    assert_eq!(decided, [0, 6, 0, 0, 0]);
}

#[test]
fn with_a_lead_that_withholds_and_one_that_is_always_first() {
    let folder = folder();
    let decided = compared(
        folder.path(),
        "[{stake=300, link={latency_ms=40.0}, behaviour={kind='withhold', invents=true, from=4}}, \
         {stake=250, link={latency_ms=50.0}}, {stake=200, link={latency_ms=60.0}}, \
         {stake=150, link={latency_ms=5.0}, behaviour='out-of-turn'}, {stake=100, link={latency_ms=70.0}}]",
    );
    assert_eq!((decided[0], decided[3]), (0, 0), "{decided:?}");
    assert_eq!(decided.iter().sum::<usize>(), 6);
}
