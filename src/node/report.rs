//! What a validator says of a finished round.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::digest::Digest;
use crate::mechanism::Status;
use crate::transport::Hotkey;

/// A finished round, as a validator saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoundReport {
    pub round: u64,
    /// Whose report this is.
    pub validator: Hotkey,
    /// Whether it was this validator that decided the round. If so its report is the one that counts.
    pub decided: bool,
    /// When the round was over for the validator, since genesis.
    pub at: Duration,
    pub lr: f64,
    /// Held-out loss of the model after the round, nats a token, in the rounds in which it is measured, by
    /// the validator that decided.
    pub loss: Option<f64>,
    /// Mean loss of the model before the round on the assigned pages that were evaluated.
    pub train_loss: Option<f64>,
    /// Uploads found in the bucket.
    pub uploads: usize,
    /// Digest of the model after the round.
    pub model: Digest,
    pub peers: Vec<PeerReport>,
}

/// A registered peer in a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerReport {
    pub uid: Uid,
    pub hotkey: Hotkey,
    pub status: Status,
    pub steps_behind: Option<f64>,
    pub loss_score_assigned: Option<f64>,
    pub loss_score_unassigned: Option<f64>,
    pub rating_mu: f64,
    pub rating_sigma: f64,
    pub proof_of_computation: f64,
    pub peer_score: f64,
    /// What the chain pays this peer in this round.
    pub incentive: f64,
    pub aggregated: bool,
}
