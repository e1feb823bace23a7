//! The short way from a scenario to its results, in memory or in a run folder.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use thiserror::Error;

use super::rows::{RoundRows, Rows};
use super::{Equality, Leaderboard, Manifest, PeerRow, ReportError, RoundRow, RunData, RunWriter, redraw};
use crate::digest::Digest;
use crate::engine::{Observer, ObserverError, Outcome, RunError, RunOptions, SharedObserver, Traffic, simulate};
use crate::model::Device;
use crate::node::{OpenError, RoundReport};
use crate::scenario::{Scenario, World};

/// Why a scenario could not be run or its run not be saved.
#[derive(Debug, Error)]
pub enum SimulationError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// How [`run_with`] runs a scenario. Results do not depend on it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that compute.
    pub threads: usize,
    /// Set from outside to stop the run after its round. Also set when the run fails.
    pub interrupt: Arc<AtomicBool>,
}

impl Default for Options {
    /// All cores, without an interrupt.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { threads, interrupt: Arc::default() }
    }
}

/// Simulates a scenario on all cores of this machine, and keeps every round in memory.
///
/// # Errors
/// The corpus cannot be read, or settings conflict.
///
/// # Panics
/// If the scenario names a mechanism that is not in its registry. A scenario that was parsed never does.
pub fn run(scenario: Scenario) -> Result<RunData, SimulationError> {
    let run = run_with(scenario, &Options::default())?;
    Ok(run.expect("nobody interrupts it"))
}

/// Like [`run`], with options; `None` if an interrupt came first.
///
/// # Errors
/// Like [`run`].
///
/// # Panics
/// Like [`run`].
pub fn run_with(scenario: Scenario, options: &Options) -> Result<Option<RunData>, SimulationError> {
    let world = Arc::new(World::open(scenario, Device::Cpu)?);
    let mut manifest = Manifest::new(world.scenario.clone(), Device::Cpu.to_string(), options.threads);
    manifest.describe(&world.network);
    let rows = Rows::new(&manifest.scenario, &manifest.columns, &[]);
    let told = Arc::new(Mutex::new(Told { rows, rounds: Vec::new(), peers: Vec::new() }));
    let Some(digest) = simulated(world, false, options, told.clone())? else { return Ok(None) };
    manifest.digest = Some(digest);
    manifest.finished = true;
    manifest.rounds_done = manifest.scenario.rounds;
    let mut told = told.lock().expect("no panic while held");
    let (rounds, peers) = (std::mem::take(&mut told.rounds), std::mem::take(&mut told.peers));
    let leaderboard = Leaderboard::of(&manifest.columns, &peers).rows();
    manifest.honest_pay = Equality::of_honest(&leaderboard);
    let name = format!("{}-{}", manifest.scenario.name, manifest.seed);
    Ok(Some(RunData { name, manifest, rounds, peers, baseline: Vec::new(), leaderboard }))
}

/// Simulates a scenario and its AdamW baseline on all cores of this machine. Writes a new run folder with tables,
/// pictures and models, as `sim run` does.
///
/// # Errors
/// Those of [`run`]; also if the folder is not empty or the disk cannot be written.
///
/// # Panics
/// Like [`run`].
pub fn record(scenario: Scenario, root: &Path) -> Result<RunData, SimulationError> {
    let world = Arc::new(World::open(scenario, Device::Cpu)?);
    let options = Options::default();
    let manifest = Manifest::new(world.scenario.clone(), Device::Cpu.to_string(), options.threads);
    let writer = Arc::new(Mutex::new(RunWriter::create(root, &world, manifest)?));
    let started = std::time::Instant::now();
    let digest = simulated(world, true, &options, writer.clone())?;
    let mut writer = writer.lock().expect("no panic while held");
    writer.manifest.wall_seconds = started.elapsed().as_secs_f64();
    writer.close(true, digest)?;
    Ok(redraw(root)?)
}

/// Runs to the end or to the interrupt.
fn simulated(
    world: Arc<World>,
    baseline: bool,
    options: &Options,
    observer: SharedObserver,
) -> Result<Option<Digest>, SimulationError> {
    let Options { threads, interrupt } = options.clone();
    let options = RunOptions { threads, baseline, resume: None, resume_baseline: None, interrupt };
    match simulate(world, options, observer)? {
        Outcome::Finished(digest) => Ok(Some(digest)),
        Outcome::Interrupted(_) => Ok(None),
    }
}

/// Collects the reports of a run.
struct Told {
    rows: Rows,
    rounds: Vec<RoundRow>,
    peers: Vec<PeerRow>,
}

impl Observer for Told {
    fn round(&mut self, report: &RoundReport, traffic: Traffic) -> Result<(), ObserverError> {
        let RoundRows { round, peers, .. } = self.rows.of(report, Some(&traffic));
        self.rounds.push(round);
        self.peers.extend(peers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Uid;
    use crate::mechanism::{
        Column, ColumnKind, Facts, Measurement, Mechanism, MechanismSettings, Ranking, Results, Status, shipped,
    };
    use crate::report::{load, tables};
    use crate::scenario::Registry;
    use crate::settings::{Findings, Kinded};

    /// Pays like `equal`, and reports whether each uid is even.
    struct Even(Box<dyn Mechanism>);

    #[derive(Default, serde::Serialize, serde::Deserialize)]
    struct EvenSettings {}

    impl MechanismSettings for EvenSettings {
        fn check(&self, _found: &mut Findings) {}

        fn build(&self, secret: u64) -> Box<dyn Mechanism> {
            Box::new(Even(shipped().resolve(&Kinded::of("equal")).expect("a shipped kind").settings.build(secret)))
        }

        fn forward_passes(&self, _pages: usize, _aggregated: usize) -> f64 {
            0.0
        }
    }

    impl Mechanism for Even {
        fn arrive(&mut self, uid: Uid) {
            self.0.arrive(uid);
        }
        fn leave(&mut self, uid: Uid) {
            self.0.leave(uid);
        }
        fn observe(&mut self, facts: &Facts) {
            self.0.observe(facts);
        }
        fn include(&self, round: u64, except: &[Uid]) -> Ranking {
            self.0.include(round, except)
        }
        fn measure(&mut self, round: u64, aggregated: &[Uid]) -> Vec<Measurement> {
            self.0.measure(round, aggregated)
        }
        fn learn(&mut self, round: u64, aggregated: &[Uid], results: &Results) {
            self.0.learn(round, aggregated, results);
        }
        fn pay(&self) -> Vec<(Uid, f64)> {
            self.0.pay()
        }
        fn status(&self, uid: Uid, round: u64) -> Option<Status> {
            self.0.status(uid, round)
        }
        fn columns(&self) -> Vec<Column> {
            let evenness = Column::new("evenness", "evenness, halves", ColumnKind::Score).with_spread("doubt");
            vec![evenness, Column::new("doubt", "doubt, halves", ColumnKind::Standing)]
        }
        fn numbers(&self, uid: Uid, _round: u64) -> Vec<Option<f64>> {
            vec![Some(f64::from(1 - uid % 2)), Some(0.5)]
        }
        fn save(&self) -> Vec<u8> {
            self.0.save()
        }
        fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
            self.0.restore(saved)
        }
    }

    fn scenario() -> Scenario {
        let mechanisms = shipped().with::<EvenSettings>("even", |settings| Box::new(settings));
        let registry = Registry { mechanisms, ..Registry::default() };
        let toml = r#"
            name = "small"
            rounds = 4
            mechanism = "even"
            model = { preset = "nano", sequence_length = 16 }
            corpus = { held_out_pages = 8 }
            training = { lr = 3e-3, pages_per_round = 4, micro_batch = 4 }
            scheme = { topk = 8 }
            protocol = { top_peers = 2, min_peers = 2 }
            peers = [{ count = 3 }]
        "#;
        Scenario::from_toml_with(registry, toml, "small.toml", &[]).unwrap()
    }

    #[test]
    fn numbers_of_a_custom_mechanism_come_back_from_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("small-1");
        let recorded = record(scenario(), &root).unwrap();
        // The reading program does not know the mechanism.
        let read = load(&root).unwrap();
        assert_eq!((&read.peers, &read.leaderboard), (&recorded.peers, &recorded.leaderboard));
        assert_eq!(read.peers[1].numbers, [Some(0.0), Some(0.5)]);
        // Four pages of sixteen tokens per round.
        assert!(read.peers.iter().all(|peer| peer.tokens == Some(64)));
        assert!(read.leaderboard.iter().all(|row| row.tokens == Some(256) && row.work == Some(1.0)));
        for (round, peers) in read.rounds.iter().zip(read.peers.chunks(3)) {
            let sent: u64 = peers.iter().filter_map(|peer| peer.bytes_up).sum();
            assert!((3 * read.manifest.upload_bytes..=round.bytes_up.unwrap()).contains(&sent), "{sent}, {round:?}");
        }
        let lines = std::fs::read_to_string(root.join("peers.csv")).unwrap();
        let header = "round,uid,behaviour,status,steps_behind,evenness,doubt,incentive,aggregated,tokens,bytes_up,\
                      bytes_down";
        assert_eq!(lines.lines().next(), Some(header));
        assert!(tables::by_peer(&read, tables::Look::Plain).contains("1.00 ± 0.50"));
        let picture = std::fs::read_to_string(root.join("plots/evenness.svg")).unwrap();
        assert!(picture.contains("evenness, halves"));
        let page = std::fs::read_to_string(root.join("report.html")).unwrap();
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        assert!(data.contains("evenness") && !data.contains("rating"), "no number of another mechanism");
        assert!(!root.join("backdoor.csv").exists());

        let in_memory = run(scenario()).unwrap();
        assert_eq!(in_memory.manifest.digest, recorded.manifest.digest);
        assert_eq!((in_memory.peers, in_memory.rounds), (read.peers, read.rounds));
        assert_eq!(in_memory.manifest.honest_pay, recorded.manifest.honest_pay);
        assert_eq!(in_memory.leaderboard, read.leaderboard);
        assert!(matches!(record(scenario(), &root), Err(SimulationError::Report(ReportError::Exists(_)))));
    }

    #[test]
    fn backdoor_success_is_recorded_and_a_renewed_key_keeps_its_peer() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("attacked");
        let peers = [
            "training.eval_every=2",
            "peers=[{count=2}, {behaviour='backdoor'}, {behaviour={kind='strategy', leaves={after=2}}}]",
        ];
        let text = scenario().to_toml().replace("kind = \"even\"", "kind = \"equal\"");
        let scenario = Scenario::from_toml(&text, "x.toml", &peers.map(str::to_string)).unwrap();
        record(scenario.clone(), &root).unwrap();
        let lines = std::fs::read_to_string(root.join("backdoor.csv")).unwrap();
        let rows: Vec<&str> = lines.lines().collect();
        assert!(rows[0] == "round,success" && rows[1].starts_with("1,") && rows[2].starts_with("3,"), "{lines}");
        assert_eq!(rows.len(), 3);
        // A folder does not store owners.
        let told = run(scenario).unwrap().peers;
        let of_strategy = told.iter().filter(|row| row.behaviour == "strategy");
        assert_eq!(of_strategy.clone().filter(|row| row.round == 3).count(), 2, "under its old key and its new one");
        let mut owners: Vec<u32> = of_strategy.map(|row| row.owner).collect();
        owners.dedup();
        assert_eq!(owners, [3]);
    }
}
