//! Trains the central baseline: beside a run, on its own thread with the run's pool, or alone. It has its own
//! checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::observer::{BaselineStep, ObserverError, SharedObserver};
use super::options::Outcome;
use crate::Uid;
use crate::corpus::{PageError, PageId};
use crate::digest::Digest;
use crate::model::Device;
use crate::node::Compute;
use crate::scenario::World;
use crate::training::baseline::{Baseline, BaselineState};

/// Trains the baseline of a network without the network, on `devices` of one kind (the CPU once per thread). The steps
/// and bits are those of [`simulate`](super::simulate).
///
/// The digest of a finished training is the last model's.
///
/// # Errors
/// The observer fails, a page cannot be read, or `resume` is the state of another model.
///
/// # Panics
/// If there are no devices.
pub fn train_baseline(
    world: &Arc<World>,
    devices: Vec<Device>,
    resume: Option<BaselineState>,
    interrupt: &AtomicBool,
    observer: &SharedObserver,
) -> Result<Outcome, ObserverError> {
    train(world, untrained(world).on(devices), &Compute::new(1), resume, interrupt, observer)
}

/// The baseline of a network, before its first step.
pub fn untrained(world: &World) -> Baseline {
    let (network, scenario) = (&world.network, &world.scenario);
    let baseline = network.core.baseline(&network.genesis, &scenario.baseline, scenario.schedule_rounds());
    baseline.averaging(scenario.training.average)
}

/// Trains until the last round or the interrupt, and saves its state.
pub fn train(
    world: &Arc<World>,
    mut baseline: Baseline,
    compute: &Compute,
    resume: Option<BaselineState>,
    interrupt: &AtomicBool,
    observer: &SharedObserver,
) -> Result<Outcome, ObserverError> {
    let scenario = &world.scenario;
    if let Some(state) = resume {
        if state.theta.len() != world.network.genesis.theta.len() {
            return Err("the baseline's checkpoint is of another model; remove baseline.bin".into());
        }
        baseline.restore(state);
    }
    for round in baseline.rounds()..scenario.rounds {
        let world = world.clone();
        let (trained, step) = compute.call(move || {
            let step = step(&world, &mut baseline, round);
            (baseline, step)
        });
        baseline = trained;
        let step = step?;
        let mut observer = observer.lock().expect("no panic while held");
        observer.baseline(step)?;
        let interrupted = interrupt.load(Ordering::Relaxed);
        let is_last = round + 1 == scenario.rounds;
        if interrupted || is_last || (round + 1).is_multiple_of(scenario.training.checkpoint_every) {
            observer.baseline_checkpoint(baseline.state())?;
        }
        if interrupted && !is_last {
            return Ok(Outcome::Interrupted(round + 1));
        }
    }
    Ok(Outcome::Finished(Digest::of_f32(baseline.theta())))
}

/// One round, on pages like those of the aggregated peers. Meanwhile the pages of the next round are fetched.
fn step(world: &World, baseline: &mut Baseline, round: u64) -> Result<BaselineStep, PageError> {
    let (scenario, corpus) = (&world.scenario, &world.network.core.corpus);
    let pages = corpus.pages(&pages_of(world, round))?;
    if round + 1 < scenario.rounds {
        corpus.fetch_ahead(&pages_of(world, round + 1));
    }
    let lr = baseline.lr();
    baseline.round(&pages);
    let measured = (round + 1).is_multiple_of(scenario.training.eval_every) || round + 1 == scenario.rounds;
    let loss = measured.then(|| baseline.loss(corpus.held_out()));
    let average_loss = loss.and_then(|_| baseline.average_loss(corpus.held_out()));
    Ok(BaselineStep { round, lr, loss, average_loss })
}

fn pages_of(world: &World, round: u64) -> Vec<PageId> {
    let (network, scenario) = (&world.network, &world.scenario);
    let wanted = scenario.baseline_pages();
    let peers = wanted.div_ceil(scenario.training.pages_per_round);
    (0..peers).flat_map(|uid| network.assignment.assigned(uid as Uid, round)).take(wanted).collect()
}
