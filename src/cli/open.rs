//! Opens a scenario as a network that can be run.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap_complete::engine::ArgValueCompleter;
use gauntlet::model::{Device, DeviceError, LlamaConfig, huggingface};
use gauntlet::node::OpenError;
use gauntlet::report::Manifest;
use gauntlet::scenario::{self, Scenario, World};
use gauntlet::training::scheme::Scheme;

use super::{UsageError, complete};

/// The scenario of a command.
#[derive(clap::Args)]
pub struct ScenarioArgs {
    /// Scenario file, or the name of a shipped one
    #[arg(add = ArgValueCompleter::new(complete::scenarios))]
    scenario: PathBuf,
    /// Seed of every random draw [default: the scenario's]
    #[arg(long)]
    seed: Option<u64>,
    /// Communication rounds [default: the scenario's]
    #[arg(long)]
    rounds: Option<u64>,
    /// Replace a setting, such as `--set training.lr=1e-3` or `--set peers.0.count=3`. `peers.+` is one more group of peers
    /// and `peers.last` the last one: `--set peers.+.behaviour=copycat --set peers.last.count=3`
    #[arg(long = "set", value_name = "KEY=VALUE", add = ArgValueCompleter::new(complete::settings))]
    overrides: Vec<String>,
}

impl ScenarioArgs {
    /// Reads and checks the scenario.
    pub fn load(&self) -> anyhow::Result<Scenario> {
        self.load_with(&[], &[])
    }

    /// The words of the command line that name it.
    pub fn words(&self) -> String {
        let seed = self.seed.map(|seed| format!(" --seed {seed}"));
        let rounds = self.rounds.map(|rounds| format!(" --rounds {rounds}"));
        let set: String = self.overrides.iter().map(|set| format!(" --set '{set}'")).collect();
        format!("{}{}{}{set}", self.scenario.display(), seed.unwrap_or_default(), rounds.unwrap_or_default())
    }

    /// Reads and checks it with further settings, before and after those of the command line.
    pub fn load_with(&self, before: &[String], after: &[String]) -> anyhow::Result<Scenario> {
        let mut overrides = [before, &self.overrides].concat();
        overrides.extend(self.seed.map(|seed| format!("seed={seed}")));
        overrides.extend(self.rounds.map(|rounds| format!("rounds={rounds}")));
        overrides.extend_from_slice(after);
        load(&self.scenario, &overrides)
    }
}

/// Reads and checks a scenario. If it starts from a model, it gets that model's sizes.
pub fn load(path: &Path, overrides: &[String]) -> anyhow::Result<Scenario> {
    Ok(scenario::load(path, overrides)?.with_initial_sizes()?)
}

/// Checks what a run would refuse about its scheme and its initial model, without building the network. Returns the
/// scheme.
///
/// Reads the model tensor by tensor, as a run would, to check that it exists and is complete.
pub fn examine(scenario: &Scenario, config: &LlamaConfig) -> anyhow::Result<Box<dyn Scheme>> {
    let scheme = scenario.scheme_settings().build(&config.layout()).map_err(OpenError::from)?;
    if let Some(folder) = &scenario.model.init {
        huggingface::examine(folder.as_ref()).map_err(OpenError::Init)?;
    }
    Ok(scheme)
}

/// Maximum number of threads. More than any machine has cores is a typing error.
const MOST_THREADS: usize = 1024;

/// The named device, if this machine has it. `option` is the text on the command line.
pub fn device(name: &str, option: impl Display) -> anyhow::Result<Device> {
    let unfit = |what: String| UsageError(format!("{option}: {what}"));
    let device: Device = name.parse().map_err(|error: DeviceError| unfit(error.to_string()))?;
    #[cfg(feature = "cuda")]
    if let Device::Cuda(index) = device {
        super::cuda::check(index).map_err(unfit)?;
    }
    Ok(device)
}

/// The network of a scenario on a device.
pub fn world(scenario: Scenario, name: &str) -> anyhow::Result<Arc<World>> {
    opened(World::open(scenario, device(name, format_args!("--device {name}"))?)?)
}

/// The same of a run that has a folder, which says what names the run.
pub fn world_of(scenario: Scenario, manifest: &Manifest, name: &str) -> anyhow::Result<Arc<World>> {
    opened(World::open_as(scenario, &manifest.begun_as(), device(name, format_args!("--device {name}"))?)?)
}

fn opened(world: World) -> anyhow::Result<Arc<World>> {
    if let Some(shortage) = world.network.assignment.shortage(world.network.rules.protocol.most_pages) {
        tracing::warn!("{shortage}");
    }
    Ok(Arc::new(world))
}

/// Parses a number of threads.
pub fn thread_count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|threads| (1..=MOST_THREADS).contains(threads))
        .ok_or(format!("expected 1 to {MOST_THREADS}"))
}

/// Number of threads to compute with: the requested one, else one for a GPU, where each thread would have its own
/// memory pool, and all of the machine's for the CPU.
pub fn threads(asked: Option<usize>, device: &str) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.unwrap_or_else(|| if device.starts_with("cuda:") { 1 } else { cores() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_computed_on_by_one_thread_unless_more_are_asked_for() {
        assert_eq!([threads(None, "cuda:1"), threads(Some(3), "cuda:1"), threads(Some(3), "cpu")], [1, 3, 3]);
        assert_eq!(threads(None, "cpu"), std::thread::available_parallelism().unwrap().get());
    }
}
