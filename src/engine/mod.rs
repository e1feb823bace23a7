//! The paused-clock world: starts the nodes of a scenario, gives them hardware, links and a chain, and records what
//! happens.
//!
//! [`run`] runs a scenario and returns its reports. [`simulate`] can do more.
//!
//! Life of a run: [`simulate`] builds the world (or takes it up from a [`Checkpoint`]) on a single-threaded tokio
//! runtime whose clock is paused, so that time jumps to the next event. Nodes are tasks; their heavy work runs on a
//! pool of threads ([`Compute`](crate::node::Compute)). Between two rounds every node offers its state to the
//! [`recorder`]; when all have left theirs for the same round, that is a checkpoint. The run is over when every node
//! has seen the last round end, or with the checkpoint after an interrupt; what nodes did beyond that checkpoint is
//! done again when the run is resumed.

mod baseline;
mod chain;
mod checkpoint;
mod recorder;
mod whole;
mod world;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use baseline::train_baseline;
pub use checkpoint::Checkpoint;
pub use whole::{Finished, run, run_on};
pub use world::{RunError, simulate, simulate_on};

use crate::digest::Digest;
use crate::node::RoundReport;
use crate::training::Replica;
pub use crate::training::baseline::BaselineState;

/// What a run tells while it goes on; whoever is not interested does nothing. An error of an observer ends the run.
pub trait Observer: Send {
    /// A round is over.
    fn round(&mut self, _report: &RoundReport, _traffic: Traffic) -> Result<(), ObserverError> {
        Ok(())
    }

    /// A node notes an event: what the run's digest covers besides the reports. Nodes are numbered from 0, validators
    /// first, then peers, both in the scenario's order; `at` is since genesis.
    fn event(&mut self, _node: usize, _at: Duration, _event: &str) {}

    /// The AdamW baseline has taken the step of a round.
    fn baseline(&mut self, _step: BaselineStep) -> Result<(), ObserverError> {
        Ok(())
    }

    /// The model before a round, which is a checkpoint's or comes after the last.
    fn model(&mut self, _round: u64, _replica: &Replica) -> Result<(), ObserverError> {
        Ok(())
    }

    /// The run can be taken up from here.
    fn checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        Ok(())
    }

    /// The baseline can be taken up from here.
    fn baseline_checkpoint(&mut self, _state: &BaselineState) -> Result<(), ObserverError> {
        Ok(())
    }
}

/// The observer of a run: the world and the baseline both tell it what they do.
pub type SharedObserver = Arc<Mutex<dyn Observer>>;

/// Why an observer cannot go on.
pub type ObserverError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that all nodes sent and received during a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub up: u64,
    pub down: u64,
}

/// A step of the baseline.
#[derive(Clone, Copy, Debug)]
pub struct BaselineStep {
    pub round: u64,
    pub lr: f64,
    /// Held-out loss after the step, in the rounds in which it is measured.
    pub loss: Option<f64>,
}

/// How a run is to be done; nothing here changes its results.
pub struct RunOptions {
    /// Threads that compute.
    pub threads: usize,
    /// Train the AdamW baseline beside it?
    pub baseline: bool,
    /// Where to go on from.
    pub resume: Option<Checkpoint>,
    pub resume_baseline: Option<BaselineState>,
    /// Set from outside to end the run after this round, with a checkpoint.
    pub interrupt: Arc<AtomicBool>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All rounds are done; the digest covers models, scores, incentives and events of all of them.
    Finished(Digest),
    /// It was interrupted, and a checkpoint was left; so many rounds are done.
    Interrupted(u64),
}
