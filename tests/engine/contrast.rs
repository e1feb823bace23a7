//! Checks of what is a peer's own in its upload.

use gauntlet::node::RoundReport;

use super::common::{Run, finished};
use super::{assert_same_reports, digest, small};

/// Pieces of a page of 16 tokens; every peer is checked in every round.
const COVERAGE: &[&str] = &["mechanism={kind='coverage', evaluated_per_round=4, piece=0.25}"];
/// The last one works in every second round, and otherwise sends its last upload again.
const PEERS: &str =
    "[[peers]]\ncount = 3\n[[peers]]\nbehaviour = { kind = 'strategy', works = { every = 2 }, idle = 'last' }\n";

/// The margins of the checks of a round.
fn margins(report: &RoundReport) -> Vec<f64> {
    report.peers.iter().map(|peer| peer.numbers[0].expect("all are checked")).collect()
}

#[test]
fn what_was_uploaded_before_is_no_ones_own() {
    let told = finished(&small(PEERS, COVERAGE));
    // Two rounds work with one model at first, so the first repetition is in the second round.
    let (mut worked, mut repeated) = (Vec::new(), Vec::new());
    for report in &told.reports {
        let margins = margins(report);
        let of_last = if report.round % 2 == 0 { &mut worked } else { &mut repeated };
        of_last.push(margins[3].abs());
        worked.extend(margins[..3].iter().map(|margin| margin.abs()));
    }
    let (least, most) = (worked.into_iter().fold(f64::MAX, f64::min), repeated.into_iter().fold(0.0, f64::max));
    assert!(most == 0.0 && least > 1e-6, "repeated {most}, worked {least}");
}

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
