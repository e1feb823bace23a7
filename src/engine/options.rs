//! Options of a run, and how it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thiserror::Error;
use tokio::task::JoinError;

use super::checkpoint::Checkpoint;
use super::observer::ObserverError;
use crate::chain::LedgerError;
use crate::digest::Digest;
use crate::node::OpenError;
use crate::training::baseline::BaselineState;

/// Options of a run. None of them changes its results.
pub struct RunOptions {
    /// Number of threads that compute.
    pub threads: usize,
    /// Whether to train the AdamW baseline beside it.
    pub baseline: bool,
    /// The checkpoint to resume from.
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
    /// It was interrupted and left a checkpoint; this many rounds are done.
    Interrupted(u64),
}

/// Why a run failed.
#[derive(Debug, Error)]
pub enum RunError {
    /// The checkpoint is not of this run, or is damaged.
    #[error("cannot resume from the checkpoint: {0}")]
    Checkpoint(String),
    /// The scenario's settings contradict each other, or a file that they name cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The chain refuses the scenario's nodes.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The observer failed; for a run folder, the disk.
    #[error(transparent)]
    Observer(#[from] ObserverError),
    /// A node's task panicked: a defect.
    #[error("a node stopped unexpectedly ({0}): a defect; please report it with the scenario and the seed")]
    Node(JoinError),
}
