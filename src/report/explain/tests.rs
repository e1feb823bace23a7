//! Explanations of published runs and of small invented ones.

use std::path::Path;

use super::*;
use crate::mechanism::Status;
use crate::report::{PeerRow, load, load_slots, sample};

fn published(run: &str) -> (RunData, Vec<SlotRow>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("runs/published").join(run);
    (load(&root).unwrap(), load_slots(&root).unwrap())
}

#[test]
fn a_copycat_is_told_what_it_lacked() {
    let (run, slots) = published("copycat-1");
    insta::assert_snapshot!(story(&run, &slots, 12).unwrap());
}

#[test]
fn a_peer_that_comes_and_goes_is_told_in_stretches() {
    let (run, slots) = published("offline-1");
    insta::assert_snapshot!(story(&run, &slots, 12).unwrap());
}

#[test]
fn a_round_stands_beside_the_peers_above_and_below() {
    let (run, slots) = published("copycat-1");
    insta::assert_snapshot!(round(&run, &slots, (12, 35), Look::Plain).unwrap());
}

#[test]
fn every_peer_of_every_kind_has_a_story() {
    for run in [sample::copycat(), sample::network(40, 60, 3), sample::network(3, 1, 4)] {
        for uid in 0..3 {
            let told = story(&run, &[], uid).unwrap();
            assert!(told.contains("In all, ") && told.contains("Cost: trained on"), "{told}");
        }
    }
}

#[test]
fn a_mechanism_without_numbers_is_told_by_pay() {
    let mut run = sample::copycat();
    run.manifest.columns.clear();
    run.manifest.scenario.mechanism = crate::settings::Kinded::of("equal");
    run.peers.iter_mut().for_each(|row| row.numbers.clear());
    let told = story(&run, &[], 14).unwrap();
    assert!(told.contains("judged by `equal`") && !told.contains("evaluated") && !told.contains("score"), "{told}");
    let told = round(&run, &[], (14, 20), Look::Plain).unwrap();
    assert!(told.contains("of 16 by pay") && told.contains("does not say whom it evaluates"), "{told}");
}

/// A run with these rows and without costs.
fn made(rows: Vec<PeerRow>, rounds: u64) -> RunData {
    let mut run = sample::copycat();
    run.manifest.rounds_done = rounds;
    run.peers = rows;
    run
}

fn row(round: u64, uid: Uid, owner: u32, behaviour: &str) -> PeerRow {
    PeerRow { round, uid, owner, behaviour: behaviour.into(), ..sample::peer_row() }
}

#[test]
fn two_holders_of_a_slot_are_told_apart() {
    let mut rows = Vec::new();
    for round in 0..10 {
        rows.push(PeerRow { incentive: 1.0, ..row(round, 0, 0, "honest") });
        let mut second = if round < 6 { row(round, 1, 1, "malformed") } else { row(round, 1, 2, "honest") };
        second.status = if round < 6 { Status::Malformed } else { Status::Passed };
        second.numbers[5] = Some(round as f64);
        rows.push(second);
    }
    let slot = SlotRow { round: 6, uid: 1, peer: 2, hotkey: "cafe0123456789".into(), behaviour: "honest".into() };
    let again = SlotRow { round: 8, hotkey: "beef0123456789".into(), ..slot.clone() };
    let run = made(rows, 10);
    let told = |at| round(&run, &[slot.clone(), again.clone()], (1, at), Look::Plain).unwrap();
    assert!(told(7).contains("key cafe0123") && told(8).contains("key beef0123"), "by the key that it has then");
    let told = story(&run, &[slot], 1).unwrap();
    let first =
        "The slot had 2 holders: peer 1 (malformed), rounds 0 to 5; peer 2 (honest, key cafe0123), rounds 6 to 9.";
    assert!(told.contains(first), "{told}");
    assert_eq!(told.matches("In all, ").count(), 2);
    assert!(told.contains("rounds 0 to 5: malformed upload; not evaluated; peer score 0 -> 5.00"), "{told}");
    assert!(
        told.contains("rounds 6 to 9: uploaded in time; not evaluated; peer score 6.00 -> 9.00"),
        "a newcomer inherits nothing: {told}"
    );
    assert!(!told.contains("Cost:"), "nobody knows it");
}

#[test]
fn strangers_are_compared_with_all_peers() {
    let rows = (0..4).flat_map(|round| {
        (0..2).map(move |uid| PeerRow { incentive: f64::from(uid), ..row(round, uid, uid.into(), "peer") })
    });
    let run = made(rows.collect(), 4);
    assert!(story(&run, &[], 1).unwrap().contains("Pay: 100 % of all pay in these rounds, 2.00 times a mean peer's."));
    assert!(story(&run, &[], 0).unwrap().contains("Pay: none.\n"));
}

#[test]
fn unknown_uids_and_rounds_are_refused() {
    let rows = vec![row(0, 0, 0, "honest"), row(2, 0, 0, "honest"), row(2, 7, 1, "honest")];
    let run = made(rows, 3);
    let message = |told: Result<String, ExplainError>| told.unwrap_err().to_string();
    assert!(message(story(&run, &[], 3)).contains("no peer has held uid 3; there are uids 0, 7"));
    let of = |uid, at| message(round(&run, &[], (uid, at), Look::Plain));
    assert!(of(0, 3).contains("round 3 is not one of its 3; expected 0 to 2"));
    assert!(of(0, 1).contains("no peers' lines of round 1; expected one of rounds 0, 2"));
    assert!(of(7, 0).contains("nobody held uid 7 in round 0; expected one of rounds 2"));
    assert!(story(&run, &[], 0).unwrap().contains("lines of peers for 2 of 3 rounds"));
    let mut central = run.clone();
    central.manifest.central = true;
    assert!(message(story(&central, &[], 0)).contains("central training has no peers"));
}

#[test]
fn a_long_history_fits_into_a_few_lines() {
    let rows = (0..5_000).map(|round| {
        let mut row = row(round, 0, 0, "honest");
        (row.incentive, row.aggregated) = (f64::from(u8::from(round % 7 < 3)), round % 3 == 0);
        row.numbers[5] = Some((round % 11) as f64);
        row
    });
    let told = story(&made(rows.collect(), 5_000), &[], 0).unwrap();
    assert!(told.lines().count() < 70, "{told}");
    assert!(told.contains("5000 rounds"));
}
