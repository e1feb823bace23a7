//! Nodes that come back to another model than the network's, or find a record about one.

use gauntlet::digest::Digest;
use gauntlet::transport::Identity;
use gauntlet::transport::record;

use super::*;

/// The lead decides before it reads anything: nobody but itself can tell that its model is another one.
#[test]
fn a_lead_that_comes_back_with_another_model_does_not_decide_with_it() {
    let folder = folder();
    let folder = folder.path();
    launch_until_round_6(folder);
    let lead = Identity::from_seed(1, "validator", 0).hotkey().to_string();
    let mut round = 0;
    for node in std::fs::read_dir(folder.join("launched/nodes")).unwrap().map(|node| node.unwrap().path()) {
        if node.ends_with(&lead[..12]) {
            round = change_model(&node.join("state.bin"));
        } else if node.is_dir() {
            std::fs::remove_file(node.join("state.bin")).unwrap();
        }
    }
    // It may have been stopped after it had decided; now nobody has followed that.
    let _ = std::fs::remove_file(folder.join(format!("launched/bucket/rounds/{round:08}/record")));
    // Where everybody follows a lead with another model, the run never ends.
    let launch = Running::start(sim(folder, &LEAVING));
    wait_for("round 23", || folder.join("launched/bucket/rounds/00000023/record").exists());
    assert!(launch.output().status.success());
    let said = std::fs::read_to_string(folder.join("launched/nodes/validator-0.log")).unwrap();
    assert!(said.contains("this validator's model is not the network's"), "{said}");
    let records = records(&folder.join("launched/bucket"));
    assert_eq!(records.len(), 24, "every round was decided: {:?}", records.keys());
    for (before, after) in records.values().zip(records.values().skip(1)) {
        assert_eq!(before.model_after, after.model_before, "round {} goes on from the one before", after.round);
    }
}

/// Whoever follows starts over from a model that is vouched for, once, and goes on with what that leads to.
#[test]
fn a_record_about_another_model_traps_nobody() {
    let folder = folder();
    let folder = folder.path();
    launch_until_round_6(folder);
    let file = folder.join("launched/bucket/rounds/00000005/record");
    let mut record = records(&folder.join("launched/bucket")).remove(&5).unwrap();
    record.model_before = Digest::of(b"another");
    let stamp = std::fs::metadata(&file).unwrap().modified().unwrap();
    std::fs::write(&file, record::encode(&record, &Identity::from_seed(1, "validator", 0))).unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(stamp).unwrap();
    // Everybody has to follow it.
    for node in std::fs::read_dir(folder.join("launched/nodes")).unwrap().map(|node| node.unwrap().path()) {
        if node.is_dir() {
            std::fs::remove_file(node.join("state.bin")).unwrap();
        }
    }
    let launch = Running::start(sim(folder, &LEAVING));
    wait_for("round 23", || folder.join("launched/bucket/rounds/00000023/record").exists());
    assert!(launch.output().status.success());
    let records: Vec<RoundRecord> = records(&folder.join("launched/bucket")).into_values().skip(6).collect();
    assert_eq!(records.len(), 18);
    assert_eq!(records[0].model_before, record.model_after, "round 6 goes on from what the payloads make");
    for (before, after) in records.iter().zip(&records[1..]) {
        assert_eq!(before.model_after, after.model_before, "round {} goes on from the one before", after.round);
    }
}

/// Changes a parameter in a saved state, whose digest is right again afterwards; the round that it is of.
fn change_model(state: &Path) -> u64 {
    let mut bytes = std::fs::read(state).unwrap();
    // Magic, version, run, hotkey; round, number of replicas; digest and length of the first.
    let at = 4 + 2 + 32 + 32;
    let round = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    bytes[at + 8 + 4 + 32 + 8] ^= 1;
    let body = bytes.len() - 32;
    let digest = Digest::of(&bytes[..body]).0;
    bytes[body..].copy_from_slice(&digest);
    std::fs::write(state, bytes).unwrap();
    round
}
