//! A whole run in one call: every round of a scenario, on all cores, with nothing saved to disk.

use std::sync::{Arc, Mutex};

use super::observer::{Observer, ObserverError, Traffic};
use super::options::{Outcome, RunError, RunOptions};
use super::world::simulate_on;
use crate::chain::{Ledger, OpenBooks};
use crate::digest::Digest;
use crate::model::Device;
use crate::node::RoundReport;
use crate::scenario::{Scenario, World};

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The report of each round, by the validator that decided it.
    pub reports: Vec<RoundReport>,
    /// Covers all that happened. It is the same on every machine.
    pub digest: Digest,
}

/// Runs a scenario to its end, without the baseline.
///
/// # Errors
/// See [`RunError`].
pub fn run(scenario: Scenario) -> Result<Finished, RunError> {
    run_on(&Ledger::open, scenario)
}

/// Like [`run`], on the caller's own chain.
///
/// # Errors
/// See [`RunError`].
pub fn run_on(chain: &OpenBooks, scenario: Scenario) -> Result<Finished, RunError> {
    let world = Arc::new(World::open(scenario, Device::Cpu)?);
    let options = RunOptions {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        baseline: false,
        resume: None,
        resume_baseline: None,
        interrupt: Arc::default(),
    };
    let kept = Arc::new(Mutex::new(Keep(Vec::new())));
    match simulate_on(chain, world, options, kept.clone())? {
        Outcome::Finished(digest) => {
            let reports = std::mem::take(&mut kept.lock().expect("no panic while held").0);
            Ok(Finished { reports, digest })
        }
        Outcome::Interrupted(round) => unreachable!("nobody interrupts the run, and it ended after round {round}"),
    }
}

/// Keeps all reports.
struct Keep(Vec<RoundReport>);

impl Observer for Keep {
    fn round(&mut self, report: &RoundReport, _traffic: Traffic) -> Result<(), ObserverError> {
        self.0.push(report.clone());
        Ok(())
    }
}
