//! The short way from a scenario to what came of it: in memory, or in a run folder.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use thiserror::Error;

use super::rows::{RoundRows, Rows};
use super::{Leaderboard, Manifest, PeerRow, ReportError, RoundRow, RunData, RunWriter, redraw};
use crate::digest::Digest;
use crate::engine::{Observer, ObserverError, Outcome, RunError, RunOptions, SharedObserver, Traffic, simulate};
use crate::model::Device;
use crate::node::{Network, OpenError, RoundReport};
use crate::scenario::Scenario;

/// Why a scenario could not be run, or its run not be kept.
#[derive(Debug, Error)]
pub enum SimulationError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Simulates a scenario on all cores of this machine, and keeps every round in memory.
///
/// # Errors
/// The corpus cannot be read, or settings do not go together.
///
/// # Panics
/// If the scenario names a mechanism that is not in its registry, which one that was read does not.
pub fn run(scenario: Scenario) -> Result<RunData, SimulationError> {
    let network = Arc::new(Network::open(scenario, Device::Cpu)?);
    let mut manifest = Manifest::new(network.scenario.clone(), Device::Cpu.to_string(), threads());
    manifest.describe(&network);
    let rows = Rows::new(&manifest.scenario, &manifest.columns, &[]);
    let told = Arc::new(Mutex::new(Told { rows, rounds: Vec::new(), peers: Vec::new() }));
    manifest.digest = simulated(network, false, told.clone())?;
    manifest.finished = true;
    manifest.rounds_done = manifest.scenario.rounds;
    let mut told = told.lock().expect("no panic while held");
    let (rounds, peers) = (std::mem::take(&mut told.rounds), std::mem::take(&mut told.peers));
    let leaderboard = Leaderboard::of(&manifest.columns, &peers).rows();
    let name = format!("{}-{}", manifest.scenario.name, manifest.seed);
    Ok(RunData { name, manifest, rounds, peers, baseline: Vec::new(), leaderboard })
}

/// Simulates a scenario and its AdamW baseline on all cores of this machine, into a new run folder with tables, pictures
/// and models, as `sim run` does.
///
/// # Errors
/// As [`run`]; there is something in the folder already; or a disk that does not take it.
///
/// # Panics
/// As [`run`].
pub fn record(scenario: Scenario, root: &Path) -> Result<RunData, SimulationError> {
    let network = Arc::new(Network::open(scenario, Device::Cpu)?);
    let manifest = Manifest::new(network.scenario.clone(), Device::Cpu.to_string(), threads());
    let writer = Arc::new(Mutex::new(RunWriter::create(root, &network, manifest)?));
    let started = std::time::Instant::now();
    let digest = simulated(network, true, writer.clone())?;
    let mut writer = writer.lock().expect("no panic while held");
    writer.manifest.wall_seconds = started.elapsed().as_secs_f64();
    writer.close(true, digest)?;
    Ok(redraw(root)?)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs to the end; nobody interrupts it.
fn simulated(
    network: Arc<Network>,
    baseline: bool,
    observer: SharedObserver,
) -> Result<Option<Digest>, SimulationError> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let options = RunOptions { threads: threads(), baseline, resume: None, resume_baseline: None, interrupt };
    match simulate(network, options, observer)? {
        Outcome::Finished(digest) => Ok(Some(digest)),
        Outcome::Interrupted(_) => Ok(None),
    }
}

/// Keeps what a run tells.
struct Told {
    rows: Rows,
    rounds: Vec<RoundRow>,
    peers: Vec<PeerRow>,
}

impl Observer for Told {
    fn round(&mut self, report: &RoundReport, traffic: Traffic) -> Result<(), ObserverError> {
        let RoundRows { round, peers, .. } = self.rows.of(report, Some(traffic));
        self.rounds.push(round);
        self.peers.extend(peers);
        Ok(())
    }
}
