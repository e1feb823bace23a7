//! What a run tells an observer while it goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::cost::Cost;
use crate::node::RoundReport;
use crate::training::Replica;
use crate::training::baseline::BaselineState;
use crate::transport::Hotkey;

/// Follows a run. Every method does nothing by default, and an error of an observer ends the run.
pub trait Observer: Send {
    /// A round is over.
    fn round(&mut self, _report: &RoundReport, _traffic: Traffic) -> Result<(), ObserverError> {
        Ok(())
    }

    /// A node notes an event. Besides the reports, the run's digest covers these events. Nodes are numbered from 0,
    /// validators first, then peers, both in the scenario's order; `at` is since genesis.
    fn event(&mut self, _node: usize, _at: Duration, _event: &str) {}

    /// The AdamW baseline has made the step of a round.
    fn baseline(&mut self, _step: BaselineStep) -> Result<(), ObserverError> {
        Ok(())
    }

    /// The model before a round with a checkpoint, and the model after the last round.
    fn model(&mut self, _round: u64, _replica: &Replica) -> Result<(), ObserverError> {
        Ok(())
    }

    /// The average of the models up to the same rounds, where `training.average` asks for it.
    fn average(&mut self, _round: u64, _theta: &[f32]) -> Result<(), ObserverError> {
        Ok(())
    }

    /// The run can be resumed from here.
    fn checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        Ok(())
    }

    /// The baseline can be resumed from here.
    fn baseline_checkpoint(&mut self, _state: &BaselineState) -> Result<(), ObserverError> {
        Ok(())
    }
}

/// The observer of a run. Both the world and the baseline report to it.
pub type SharedObserver = Arc<Mutex<dyn Observer>>;

/// Why an observer failed.
pub type ObserverError = Box<dyn std::error::Error + Send + Sync>;

/// Bytes that all nodes sent and received during a round, and what the round cost each registered peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub up: u64,
    pub down: u64,
    pub peers: BTreeMap<Hotkey, Cost>,
}

/// A step of the baseline.
#[derive(Clone, Copy, Debug)]
pub struct BaselineStep {
    pub round: u64,
    pub lr: f64,
    /// Held-out loss after the step, in rounds in which it is measured.
    pub loss: Option<f64>,
    /// The same of the average of the last models, if the scenario has one.
    pub average_loss: Option<f64>,
}
