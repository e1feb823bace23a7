//! Operators: one party that is paid under several names.

use gauntlet::mechanism::Status;

use super::common::{Told, finished};
use super::{assert_in_sync, goes_on, small};

/// Peers, an operator whose strategy has a memory and whose link fails, and one that comes late.
const OPERATORS: &str = r#"
[[peers]]
count = 2
[[operators]]
name = "cartel"
behaviour = { kind = "offline", leave = 0.1, return = 0.9 }
link = { loss = 0.05 }
[[operators]]
uids = 2
joins = 4
behaviour = "copycat"
"#;

fn sent(told: &Told, node: usize) -> Vec<&str> {
    let events = told.events.iter().filter(|(of, ..)| *of == node).map(|(.., event)| event.as_str());
    events.filter(|event| event.starts_with("put ")).collect()
}

#[test]
fn an_operator_of_three_is_paid_on_three_slots() {
    let network = small("[[peers]]\ncount = 2\n[[operators]]\n", &["protocol.top_peers=5"]);
    let told = finished(&network);
    // One node: the validator, two peers, the operator.
    assert_eq!(told.events.iter().map(|(node, ..)| *node).max(), Some(3));
    assert_eq!(sent(&told, 3).len(), 3 * 14);
    assert_in_sync(&told, 3, 1..=14);
    let mut paid = [0.0; 5];
    for report in &told.reports {
        assert_eq!(report.peers.len(), 5, "every slot has its uid");
        for peer in &report.peers {
            assert_eq!(peer.status, Status::Passed, "slot {} in round {}", peer.uid, report.round);
            paid[usize::from(peer.uid)] += peer.incentive;
        }
    }
    assert!(paid[2..].iter().all(|paid| *paid > 0.0), "{paid:?}");
    // Each has pages of its own.
    let mut payloads: Vec<&str> = sent(&told, 3);
    payloads.sort_unstable();
    payloads.dedup();
    assert_eq!(payloads.len(), 3 * 14);
}

#[test]
fn an_operator_goes_on_from_any_checkpoint() {
    let network = small(OPERATORS, &[]);
    let told = goes_on(&network);
    assert!(!sent(&told, 4).is_empty(), "the second operator has joined");
}

#[test]
fn a_slot_that_is_pushed_out_drops_out_alone() {
    let peers = "[[peers]]\n[[operators]]\nuids = 3\n[[peers]]\njoins = 6\n[[peers]]\njoins = 8\n";
    let network = small(peers, &["chain.slots=4", "chain.immunity_rounds=2"]);
    let told = finished(&network);
    let slots = |round: usize| {
        let own = [3, 4, 5].map(|slot| network.scenario.peer_identity(slot).hotkey());
        told.reports[round].peers.iter().filter(|peer| own.contains(&peer.hotkey)).count()
    };
    assert_eq!(slots(5), 3);
    let left = slots(13);
    assert!((1..3).contains(&left), "{left} slots are left");
    let in_last = sent(&told, 4).iter().filter(|event| event.starts_with("put 13 ")).count();
    assert_eq!(in_last, left, "it sends for the slots that it has");
    assert_in_sync(&told, 4, 1..=14);
}

#[test]
fn one_processor_trains_for_one_slot_after_the_other() {
    // A peer at this speed trains in a third of a round: three slots take all of it, and more with the upload.
    let operator = "[[peers]]\ncount = 3\n[[operators]]\nhardware = { tokens_per_second = 2.1 }\n";
    let told = finished(&small(operator, &[]));
    let late = told.reports[3].peers.iter().filter(|peer| peer.status == Status::Passed).count();
    let one = finished(&small(&operator.replace("[[operators]]", "[[peers]]"), &[]));
    assert!(one.reports[3].peers.iter().all(|peer| peer.status == Status::Passed));
    assert_eq!(late, 3, "the operator is too slow for three");
}
