//! Experiments of many networks: sweeps, searches for strategies that pay, comparisons.

use std::sync::{Arc, Mutex, PoisonError};

use gauntlet::bucket;
use gauntlet::lab::attack::{Arena, Search};
use gauntlet::lab::sweep::{Axis, Outcome, Plan, Sweep};
use gauntlet::lab::{self, Comparison, Event, LabError, PoolOptions, Shelf};
use gauntlet::report::tables::Look;
use pyo3::prelude::*;

use super::background::{threads, work};
use super::errors::{Failure, Raised, raised};
use super::scenario::Scenario;

/// Networks done, of how many, and what they are run for.
#[derive(Clone, Default)]
struct Progress {
    before: usize,
    done: usize,
    of: usize,
    words: String,
}

type Shared = Arc<Mutex<Progress>>;

fn note(shared: &Shared, change: impl FnOnce(&mut Progress)) {
    change(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Tells a Python function `tick(done, of, words)`.
fn teller(shared: &Shared, tick: Py<PyAny>) -> impl FnMut(Python<'_>) -> PyResult<()> + use<> {
    let shared = shared.clone();
    move |py| {
        let Progress { before, done, of, words } = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tick.call1(py, (before + done, of, words)).map(|_| ())
    }
}

fn tell(shared: &Shared, event: Event<'_>, all: Option<usize>) {
    match event {
        Event::Done { done, of, .. } => {
            note(shared, |progress| (progress.done, progress.of) = (done, all.unwrap_or(of)))
        }
        Event::Damaged { object, reason } => {
            note(shared, |progress| {
                progress.words = format!("{object} is damaged ({reason}); its network is run again")
            });
        }
    }
}

/// Runs all combinations of some settings. Returns the tables as text.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // The arguments of the Python function, which names them.
pub fn sweep(
    py: Python<'_>,
    scenario: &Scenario,
    grids: Vec<String>,
    seeds: usize,
    control: bool,
    threads: Option<usize>,
    out: String,
    tick: Py<PyAny>,
) -> PyResult<String> {
    let failure = Arc::new(Failure::default());
    let (read, threads) = (scenario.reader(&failure), self::threads(threads)?);
    if !(1..=10_000).contains(&seeds) {
        return Err(raised(Raised::Scenario, format!("seeds={seeds}: expected 1 to 10000")));
    }
    let progress = Shared::default();
    let (tell_python, interrupt) = (teller(&progress, tick), failure.interrupt.clone());
    work(py, &failure, tell_python, move || {
        let refused = |error: &dyn std::fmt::Display| raised(Raised::Scenario, error);
        let axes = grids.iter().map(|grid| Axis::parse(grid)).collect::<Result<Vec<_>, _>>();
        let axes = axes.map_err(|error| refused(&error))?;
        let plan = Plan::new(axes, seeds, control, read).map_err(|error| refused(&error))?;
        let place = bucket::open(&out, true).map_err(|error| raised(Raised::Folder, error))?;
        let told = |error: lab::sweep::SweepError| {
            raised(if error.is_usage() { Raised::Folder } else { Raised::Failed }, error)
        };
        let sweep = Sweep::begin(plan, &place).map_err(told)?;
        let options = PoolOptions { threads, shard: None, interrupt, progress: &|event| tell(&progress, event, None) };
        match sweep.run(&options, Look::Plain).map_err(told)? {
            Outcome::Whole { summary, .. } => Ok(summary),
            Outcome::Part { there, of } => {
                Err(raised(Raised::Failed, format!("{there} of {of} networks are in {out}; the same call goes on")))
            }
        }
    })
}

/// Searches for strategies that a mechanism pays for less than honest work. Returns the report.
#[pyfunction]
pub fn attack(
    py: Python<'_>,
    scenario: &Scenario,
    budget: usize,
    seed: u64,
    threads: Option<usize>,
    out: String,
    tick: Py<PyAny>,
) -> PyResult<String> {
    let failure = Arc::new(Failure::default());
    let (scenario, threads) = (scenario.with(&failure), self::threads(threads)?);
    if budget == 0 {
        return Err(raised(Raised::Scenario, "budget=0: a search needs one network at least"));
    }
    let progress = Shared::default();
    let (tell_python, interrupt) = (teller(&progress, tick), failure.interrupt.clone());
    work(py, &failure, tell_python, move || {
        let Some(arena) = Arena::new(&scenario) else {
            let message = "the scenario has no group of honest [[peers]]; a search needs some to measure strategies by";
            return Err(raised(Raised::Scenario, message));
        };
        let shelf = Shelf::new(&bucket::open(&out, true).map_err(|error| raised(Raised::Folder, error))?);
        let heard = |event: Event<'_>| tell(&progress, event, Some(budget));
        let stage = |before: usize, words: &str| {
            note(&progress, |progress| *progress = Progress { before, done: 0, of: budget, words: words.into() });
        };
        let pool = PoolOptions { threads, shard: None, interrupt, progress: &heard };
        let search = Search { arena: &arena, budget, seed, shelf: &shelf, pool, stage: &stage };
        let told = |error: LabError| raised(if error.is_usage() { Raised::Folder } else { Raised::Failed }, error);
        match search.record(&scenario).map_err(told)? {
            Some(recorded) => Ok(recorded.report),
            None => {
                Err(raised(Raised::Failed, format!("stopped; what was run is in {out}, and the same call goes on")))
            }
        }
    })
}

/// Puts runs and sweeps beside one another. Returns the tables as text, and the picture as SVG.
#[pyfunction]
pub fn compare(py: Python<'_>, places: Vec<String>) -> PyResult<(String, String)> {
    let failure = Arc::new(Failure::default());
    work(
        py,
        &failure,
        |_| Ok(()),
        move || {
            let comparison = Comparison::read(&places).map_err(|error| raised(Raised::Folder, error))?;
            let picture = comparison.picture().map_err(|error| raised(Raised::Failed, error))?;
            Ok((comparison.summary(Look::Plain), picture))
        },
    )
}
