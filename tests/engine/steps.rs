//! Peers that make more or fewer inner steps than others, and how much they count.

use gauntlet::mechanism::Status;

use super::common::{Run, Told, finished};
use super::{assert_in_sync, assert_same_reports, digest, small};

const SPARSELOCO: &str = "scheme={kind='sparseloco', inner_steps=2, topk=64}";
/// Uploads say how many pages they are from.
const SAID: &[&str] = &[SPARSELOCO, "protocol.most_pages=2", "protocol.top_peers=3"];
const UNEQUAL: &str = "[[peers]]\n[[peers]]\ninner_steps = 1\n[[peers]]\ninner_steps = 4\n";

fn with(peers: &str, more: &[&str]) -> Told {
    finished(&small(peers, &[SAID, more].concat()))
}

/// The models after each round.
fn models(told: &Told) -> Vec<gauntlet::digest::Digest> {
    told.reports.iter().map(|report| report.model).collect()
}

#[test]
fn peers_of_unequal_speed_make_unequally_many_steps() {
    let told = with(UNEQUAL, &[]);
    let last = told.reports.last().unwrap();
    for peer in &last.peers {
        assert_eq!(peer.status, Status::Passed, "all have the time that they need");
    }
    for node in 1..=3 {
        assert_in_sync(&told, node, 1..=14);
    }
    // Four pages are assigned: two for each of the scheme's steps.
    let network = small(UNEQUAL, SAID);
    let pages = |peer: usize| {
        let hotkey = network.scenario.peer_identity(peer).hotkey();
        told.traffic.iter().map(|round| round.peers[&hotkey].tokens / 16).collect::<Vec<u64>>()
    };
    assert_eq!([0, 1, 2].map(pages), [vec![4; 14], vec![2; 14], vec![8; 14]]);
    // The label tells them apart.
    let labels: Vec<String> = network.scenario.each_uid().map(|(_, operator)| operator.label()).collect();
    assert_eq!(labels, ["honest", "honest 1 step", "honest 4 steps"]);
}

#[test]
fn tokens_weigh_where_the_scenario_says_so() {
    let (equal, tokens) = (with(UNEQUAL, &[]), with(UNEQUAL, &["aggregation.weights=tokens"]));
    assert_ne!(models(&equal)[0], models(&tokens)[0]);
    for node in 1..=3 {
        assert_in_sync(&tokens, node, 1..=14);
    }
    // Among equals it changes nothing.
    let equals = "[[peers]]\ncount = 3\n";
    assert_eq!(models(&with(equals, &[])), models(&with(equals, &["aggregation.weights=tokens"])));
}

/// Nothing but `coverage` asks whether a claim is true, and no mechanism asks before it aggregates.
#[test]
fn a_claim_alone_counts() {
    let with_claim = |says: &str| {
        let liar = format!("[[peers]]\ncount = 2\n[[peers]]\nbehaviour = {{ kind = 'strategy', says = {says} }}\n");
        models(&with(&liar, &["aggregation.weights=tokens"]))
    };
    assert_ne!(with_claim("1.0")[0], with_claim("2.0")[0]);
}

#[test]
fn it_goes_on_after_a_stop() {
    let network = small(UNEQUAL, &[SAID, &["aggregation.weights=tokens"]].concat());
    let (whole, expected) = Run { threads: 2, ..Run::default() }.of(&network).unwrap();
    let (bytes, rounds) = expected.checkpoints.first().unwrap().clone();
    let (resumed, told) = Run { threads: 1, resume: Some(bytes), ..Run::default() }.of(&network).unwrap();
    assert_same_reports(&told.reports, &expected.reports[rounds..]);
    assert_eq!(digest(resumed), digest(whole));
}
