//! Makes a storm that breaks something smaller: takes faults away while it still breaks the same.

use super::fault::Fault;
use super::field::Field;
use super::outcome::{Outcome, run};

/// Storms that are run to make one smaller.
const MOST_RUNS: usize = 80;

/// The fewest faults found that still break one of the invariants that `outcome` breaks, and how that storm went.
pub fn shrink(field: &Field, outcome: Outcome, faults: Vec<Fault>) -> (Vec<Fault>, Outcome) {
    let (mut faults, mut outcome) = (faults, outcome);
    let what = outcome.broken.iter().map(|broken| broken.what).collect::<Vec<_>>();
    let mut runs = 0;
    let mut part = faults.len().div_ceil(2);
    while part > 0 && !faults.is_empty() && runs < MOST_RUNS {
        let mut at = 0;
        let before = faults.len();
        while at < faults.len() && runs < MOST_RUNS {
            let end = faults.len().min(at + part);
            let fewer: Vec<Fault> = faults[..at].iter().chain(&faults[end..]).cloned().collect();
            let smaller = run(field, outcome.seed, fewer.clone());
            runs += 1;
            if smaller.broken.iter().any(|broken| what.contains(&broken.what)) {
                (faults, outcome) = (fewer, smaller);
            } else {
                at = end;
            }
        }
        // Single faults are tried again until none can go.
        part = if part == 1 && faults.len() < before { 1 } else { part / 2 };
    }
    (faults, outcome)
}
