//! The AdamW baseline: beside a run, on a thread of its own, its work on the run's pool; or alone. Its own checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{BaselineStep, ObserverError, Outcome, SharedObserver};
use crate::Uid;
use crate::corpus::PageError;
use crate::digest::Digest;
use crate::model::Device;
use crate::node::{Compute, Network};
use crate::training::baseline::{Baseline, BaselineState};

/// Trains the baseline of a network without the network: the steps that [`simulate`](super::simulate) makes beside it,
/// to the same bits, on `devices` of one kind (the CPU as often as there are threads).
///
/// The digest of a finished training is that of the last model.
///
/// # Errors
/// The observer cannot go on; a page cannot be read; or `resume` is the state of another model.
///
/// # Panics
/// If there are no devices.
pub fn train_baseline(
    network: &Arc<Network>,
    devices: Vec<Device>,
    resume: Option<BaselineState>,
    interrupt: &AtomicBool,
    observer: &SharedObserver,
) -> Result<Outcome, ObserverError> {
    let baseline = network.core.baseline(&network.genesis, &network.scenario).on(devices);
    train(network, baseline, &Compute::new(1), resume, interrupt, observer)
}

/// Trains until the last round, or until the interrupt; then leaves its state.
pub fn train(
    network: &Arc<Network>,
    mut baseline: Baseline,
    compute: &Compute,
    resume: Option<BaselineState>,
    interrupt: &AtomicBool,
    observer: &SharedObserver,
) -> Result<Outcome, ObserverError> {
    let scenario = &network.scenario;
    if let Some(state) = resume {
        if state.theta.len() != network.genesis.theta.len() {
            return Err("the baseline's checkpoint is of another model; remove baseline.bin".into());
        }
        baseline.restore(state);
    }
    for round in baseline.state().moments.steps..scenario.rounds {
        let network = network.clone();
        let (trained, step) = compute.call(move || {
            let step = step(&network, &mut baseline, round);
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

/// One step, on pages such as the aggregated peers train on.
fn step(network: &Network, baseline: &mut Baseline, round: u64) -> Result<BaselineStep, PageError> {
    let scenario = &network.scenario;
    let wanted = scenario.baseline_pages();
    let per_peer = scenario.training.pages_per_round;
    let pages: Vec<_> = (0..wanted.div_ceil(per_peer))
        .flat_map(|uid| network.assignment.assigned(uid as Uid, round))
        .take(wanted)
        .collect();
    let pages = network.core.corpus.pages(&pages)?;
    let lr = baseline.lr();
    baseline.step(&pages);
    let measured = (round + 1).is_multiple_of(scenario.training.eval_every) || round + 1 == scenario.rounds;
    let loss = measured.then(|| baseline.loss(network.core.corpus.held_out()));
    Ok(BaselineStep { round, lr, loss })
}
