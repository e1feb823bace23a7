//! Checks of what is a peer's own in its upload.

use super::common::{Run, finished};
use super::{assert_same_reports, digest, small};

/// Pieces of a page of 16 tokens; every peer is checked in every round.
const COVERAGE: &[&str] = &["mechanism={kind='coverage', evaluated_per_round=4, piece=0.25}"];
/// The last one works in every second round, and otherwise sends its last upload again.
const PEERS: &str =
    "[[peers]]\ncount = 3\n[[peers]]\nbehaviour = { kind = 'strategy', works = { every = 2 }, idle = 'last' }\n";

#[test]
fn a_gradient_costs_three_forward_passes_and_hidden_pages_only_once() {
    let network = small(PEERS, COVERAGE);
    let told = finished(&network);
    assert!(told.reports.iter().all(|report| report.forward_passes == 3 * (4 + 1)));
    assert_eq!(network.scenario.judge().forward_passes(4, 4), 15.0);
    // Only whole pages have a loss that compares with others.
    let losses = told.reports.iter().map(|report| report.train_loss);
    assert!(losses.clone().any(|loss| loss.is_none()) && losses.flatten().all(|loss| loss > 0.0 && loss < 6.0));
}

#[test]
fn it_goes_on_after_a_stop() {
    let network = small(PEERS, COVERAGE);
    let (whole, expected) = Run { threads: 2, ..Run::default() }.of(&network).unwrap();
    for (bytes, rounds) in expected.checkpoints.clone() {
        let (resumed, told) = Run { threads: 1, resume: Some(bytes), ..Run::default() }.of(&network).unwrap();
        assert_same_reports(&told.reports, &expected.reports[rounds..]);
        assert_eq!(digest(resumed), digest(whole));
    }
}
