//! Runs a scenario into a folder, or goes on with the run of a folder, as `sim run` and `sim resume` do.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gauntlet::engine::{
    BaselineState, BaselineStep, Checkpoint, Observer, ObserverError, Outcome, RunOptions, Traffic, simulate,
};
use gauntlet::model::Device;
use gauntlet::node::RoundReport;
use gauntlet::report::{self, Manifest, ReportError, RunFolder, RunWriter, Saved};
use gauntlet::scenario::World;
use gauntlet::training::Replica;
use pyo3::prelude::*;

use super::background::{threads, work};
use super::errors::{Failure, Raised, raised};
use super::kinds::{Kind, classes, registry};
use super::scenario::Scenario;

/// How far a run is.
#[derive(Clone, Copy, Default)]
struct Progress {
    rounds: u64,
    loss: Option<f64>,
    steps: u64,
}

/// Writes a run, and notes how far it is.
struct Shown {
    writer: RunWriter,
    progress: Arc<Mutex<Progress>>,
}

impl Shown {
    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for Shown {
    fn round(&mut self, report: &RoundReport, traffic: Traffic) -> Result<(), ObserverError> {
        self.writer.round(report, traffic)?;
        self.note(|progress| {
            progress.rounds = report.round + 1;
            progress.loss = report.loss.or(progress.loss);
        });
        Ok(())
    }

    fn baseline(&mut self, step: BaselineStep) -> Result<(), ObserverError> {
        self.writer.baseline(step)?;
        self.note(|progress| progress.steps = step.round + 1);
        Ok(())
    }

    fn model(&mut self, round: u64, replica: &Replica) -> Result<(), ObserverError> {
        self.writer.model(round, replica)
    }

    fn average(&mut self, round: u64, theta: &[f32]) -> Result<(), ObserverError> {
        self.writer.average(round, theta)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        self.writer.checkpoint(checkpoint)
    }

    fn baseline_checkpoint(&mut self, state: &BaselineState) -> Result<(), ObserverError> {
        self.writer.baseline_checkpoint(state)
    }
}

/// A run that is about to go on.
struct Begun {
    world: Arc<World>,
    writer: RunWriter,
    saved: Saved,
    threads: usize,
    baseline: bool,
}

/// Runs a scenario into a new folder. `tick(rounds, loss, steps)` hears from time to time how far it is. Returns whether
/// all rounds are done; an interrupt is raised where it came.
#[pyfunction]
pub fn run(
    py: Python<'_>,
    scenario: &Scenario,
    out: PathBuf,
    threads: Option<usize>,
    baseline: bool,
    tick: Py<PyAny>,
) -> PyResult<()> {
    let failure = Arc::new(Failure::default());
    let (scenario, threads) = (scenario.with(&failure), self::threads(threads)?);
    let begin = move || {
        if out.join("manifest.json").exists() {
            return Err(told(ReportError::Exists(out.clone())));
        }
        let world = Arc::new(World::open(scenario, Device::Cpu).map_err(|error| raised(Raised::Scenario, error))?);
        let mut manifest = Manifest::new(world.scenario.clone(), Device::Cpu.to_string(), threads);
        manifest.no_baseline = !baseline;
        let writer = RunWriter::create(&out, &world, manifest).map_err(told)?;
        Ok((out, Begun { world, writer, saved: Saved::default(), threads, baseline }))
    };
    live(py, &failure, tick, begin)
}

/// Goes on with the run of a folder, for `rounds` rounds in all. `kinds` are the classes that it was started with.
#[pyfunction]
pub fn resume(
    py: Python<'_>,
    folder: PathBuf,
    kinds: Vec<Py<Kind>>,
    rounds: Option<u64>,
    threads: Option<usize>,
    tick: Py<PyAny>,
) -> PyResult<()> {
    let failure = Arc::new(Failure::default());
    let (registry, threads) = (registry(&classes(&kinds), &failure), self::threads(threads)?);
    let begin = move || {
        let (opened, mut manifest) = RunFolder::open(&folder).map_err(told)?;
        manifest.scenario.registry = registry;
        known_kinds(&manifest)?;
        set_length(&mut manifest, rounds, &folder)?;
        let world = World::open_as(manifest.scenario.clone(), &manifest.begun_as(), Device::Cpu);
        let world = Arc::new(world.map_err(|error| raised(Raised::Scenario, error))?);
        if manifest.run.is_some_and(|run| run != world.network.run) {
            let message = "its run has other data, or a class has other settings, than when it was started";
            return Err(refused(&folder, message));
        }
        // Folders of earlier versions do not record `no_baseline`.
        let baseline = !manifest.no_baseline && (manifest.rounds_done == 0 || opened.has_baseline());
        let saved = Saved::read(&opened, &manifest).map_err(told)?;
        let config = world.network.core.config.clone();
        let writer = RunWriter::go_on(opened, manifest, config, saved.done()).map_err(told)?;
        Ok((folder, Begun { world, writer, saved, threads, baseline }))
    };
    live(py, &failure, tick, begin)
}

/// Begins on a thread, and lives to the end or to Ctrl-C.
fn live(
    py: Python<'_>,
    failure: &Arc<Failure>,
    tick: Py<PyAny>,
    begin: impl FnOnce() -> PyResult<(PathBuf, Begun)> + Send + 'static,
) -> PyResult<()> {
    let progress = Arc::new(Mutex::new(Progress::default()));
    let (told, interrupt) = (progress.clone(), failure.interrupt.clone());
    let tell = move |py: Python<'_>| {
        let Progress { rounds, loss, steps } = *told.lock().unwrap_or_else(PoisonError::into_inner);
        tick.call1(py, (rounds, loss, steps)).map(|_| ())
    };
    let guard = failure.clone();
    work(py, failure, tell, move || {
        let (out, begun) = begin()?;
        let (done, steps) = begun.saved.done();
        *progress.lock().unwrap_or_else(PoisonError::into_inner) = Progress { rounds: done, loss: None, steps };
        let started = Instant::now();
        let wall_before = begun.writer.manifest.wall_seconds;
        let observer = Arc::new(Mutex::new(Shown { writer: begun.writer, progress }));
        let options = RunOptions {
            threads: begun.threads,
            baseline: begun.baseline,
            resume: begun.saved.checkpoint,
            resume_baseline: begun.saved.baseline,
            interrupt,
        };
        let world = begun.world;
        let lived = guard.ended(|| simulate(world, options, observer.clone()));
        // Even after an exception of a hook, the folder says how far it is.
        let mut observer = observer.lock().unwrap_or_else(PoisonError::into_inner);
        observer.writer.manifest.wall_seconds = wall_before + started.elapsed().as_secs_f64();
        let digest = match &lived {
            Some(Ok(Outcome::Finished(digest))) => Some(*digest),
            _ => None,
        };
        let closed = observer.writer.close(digest.is_some(), digest);
        if let Some(error) = guard.take() {
            return Err(error);
        }
        let lived = lived.ok_or_else(|| raised(Raised::Failed, "the run ended; nothing says why"))?;
        lived.map_err(|error| raised(Raised::Failed, error))?;
        closed.map_err(self::told)?;
        if digest.is_some() {
            report::redraw(&out).map_err(self::told)?;
        }
        Ok(())
    })
}

/// Checks that the program, with its classes, knows what a folder's scenario names.
fn known_kinds(manifest: &Manifest) -> PyResult<()> {
    let (registry, scenario) = (&manifest.scenario.registry, &manifest.scenario);
    let mechanism = registry.mechanisms.kind_of(&scenario.mechanism);
    let groups = scenario.peers.iter().map(|group| &group.behaviour);
    let groups = groups.chain(scenario.operators.iter().map(|group| &group.behaviour));
    let mut behaviours = groups.map(|kinded| registry.behaviours.kind_of(kinded));
    let unknown = behaviours.find(|kind| registry.behaviours.names().all(|known| known != *kind));
    let unknown = unknown.or_else(|| registry.mechanisms.names().all(|known| known != mechanism).then_some(mechanism));
    match unknown {
        Some(kind) => Err(raised(
            Raised::Scenario,
            format!("the run has peers or a mechanism of the kind `{kind}`; give its class, as in kinds=[Class]"),
        )),
        None => Ok(()),
    }
}

/// Sets the requested length, or fails if there is nothing to do.
fn set_length(manifest: &mut Manifest, asked: Option<u64>, folder: &std::path::Path) -> PyResult<()> {
    if manifest.bucket.is_some() || manifest.central || manifest.peers_every.is_some() {
        let what = if manifest.central {
            "a run of the baseline alone"
        } else {
            "no simulation of its own, or a published copy"
        };
        return Err(refused(
            folder,
            &format!("{what}; gauntlet.resume goes on with runs of gauntlet.run and `sim run`"),
        ));
    }
    if manifest.device != Device::Cpu.to_string() {
        return Err(refused(folder, &format!("run on {}; `sim resume` goes on with it", manifest.device)));
    }
    let (planned, done) = (manifest.scenario.rounds, manifest.rounds_done);
    let rounds = asked.unwrap_or(planned);
    if manifest.finished && rounds <= planned {
        return Err(refused(
            folder,
            &format!("finished after {planned} rounds; rounds=N goes on to N, which must be more"),
        ));
    }
    if rounds < done {
        return Err(refused(folder, &format!("{done} rounds are done; expected rounds={done} or more")));
    }
    if rounds != planned {
        manifest.set_rounds(rounds);
        let registry = manifest.scenario.registry.clone();
        // A peer may be scheduled for a round that the new length does not have.
        let text = manifest.scenario.to_toml();
        gauntlet::scenario::Scenario::from_toml_with(registry, &text, &format!("rounds={rounds}"), &[])
            .map_err(|error| raised(Raised::Scenario, error))?;
    }
    Ok(())
}

fn refused(folder: &std::path::Path, message: &str) -> PyErr {
    raised(Raised::Folder, format!("{}: {message}", folder.display()))
}

/// An error of a run folder.
pub fn told(error: ReportError) -> PyErr {
    raised(Raised::Folder, error)
}
