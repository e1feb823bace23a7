//! From a scenario to a network that can be run.

use std::path::PathBuf;
use std::sync::Arc;

use gauntlet::model::Device;
use gauntlet::node::Network;
use gauntlet::scenario::{self, Scenario, ScenarioError};

use super::UsageError;

/// The scenario that a command is about.
#[derive(clap::Args)]
pub struct ScenarioArgs {
    /// Scenario file, or the name of a shipped one
    scenario: PathBuf,
    /// Seed of every random draw [default: the scenario's]
    #[arg(long)]
    seed: Option<u64>,
    /// Communication rounds [default: the scenario's]
    #[arg(long)]
    rounds: Option<u64>,
    /// Replaces a setting, such as `--set training.lr=1e-3` or `--set peers.0.count=3`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl ScenarioArgs {
    /// Reads and checks it.
    pub fn load(&self) -> Result<Scenario, ScenarioError> {
        let mut overrides = self.overrides.clone();
        overrides.extend(self.seed.map(|seed| format!("seed={seed}")));
        overrides.extend(self.rounds.map(|rounds| format!("rounds={rounds}")));
        scenario::load(&self.scenario, &overrides)
    }
}

/// More threads than any machine has cores are a slip of the keyboard.
const MOST_THREADS: usize = 1024;

/// The network of a scenario on a device.
pub fn network(scenario: Scenario, device: &str) -> anyhow::Result<Arc<Network>> {
    let device: Device = device.parse().map_err(|error| UsageError(format!("--device {device}: {error}")))?;
    let network = Network::open(scenario, device)?;
    if let Some(shortage) = network.assignment.shortage() {
        tracing::warn!("{shortage}");
    }
    Ok(Arc::new(network))
}

/// A number of threads on a command line.
pub fn thread_count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|threads| (1..=MOST_THREADS).contains(threads))
        .ok_or(format!("expected 1 to {MOST_THREADS}"))
}

/// Threads to compute with: as asked, or as many as the machine has.
pub fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
