//! A validator's report of a finished round.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::digest::Digest;
use crate::mechanism::{Column, Status};
use crate::transport::Hotkey;

/// A finished round, as a validator saw it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoundReport {
    pub round: u64,
    /// The validator that reports.
    pub validator: Hotkey,
    /// Whether this validator decided the round. The report of the one that decided counts.
    pub decided: bool,
    /// When the round was over for the validator, since genesis.
    pub at: Duration,
    pub lr: f64,
    /// Held-out loss of the model after the round, in nats a token. Only the validator that decided measures it, in
    /// rounds in which it is due.
    pub loss: Option<f64>,
    /// The same of the average of the last models, if the network has one (`training.average`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_loss: Option<f64>,
    /// Of a scenario with backdoors, when the held-out loss is measured: the part of held-out prompts with a trigger that
    /// the model continues as the backdoor wants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backdoor: Option<f64>,
    /// Mean loss of the model before the round on the assigned pages that were evaluated.
    pub train_loss: Option<f64>,
    /// Pages that the validator ran forward to evaluate peers.
    pub forward_passes: u64,
    /// Uploads found in the bucket.
    pub uploads: usize,
    /// Digest of the model after the round.
    pub model: Digest,
    /// The meaning of the mechanism's numbers.
    pub columns: Vec<Column>,
    pub peers: Vec<PeerReport>,
}

/// A registered peer in a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerReport {
    pub uid: Uid,
    pub hotkey: Hotkey,
    pub status: Status,
    pub steps_behind: Option<f64>,
    /// The mechanism's numbers, one per column of the report.
    pub numbers: Vec<Option<f64>>,
    /// What the chain pays this peer in this round.
    pub incentive: f64,
    pub aggregated: bool,
}

impl RoundReport {
    /// A peer's number in the named column; `None` if the report has no such column.
    pub fn number(&self, peer: &PeerReport, name: &str) -> Option<f64> {
        peer.number(&self.columns, name)
    }

    /// What a run's digest covers of the report: everything but the descriptions of columns.
    pub fn digested(&self) -> Vec<u8> {
        let Self { round, validator, decided, at, lr, loss, train_loss, .. } = self;
        let Self { forward_passes, uploads, model, columns, peers, backdoor, average_loss, .. } = self;
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_ref()).collect();
        let of_round = (round, validator, decided, at, lr, loss, train_loss, forward_passes, uploads, model);
        let mut bytes = postcard::to_stdvec(&(of_round, names, peers)).expect("a plain structure");
        bytes.extend(backdoor.iter().chain(average_loss).flat_map(|number| number.to_le_bytes()));
        bytes
    }

    /// Whether the report can be written to files. Reports of other nodes may hold anything.
    pub fn is_safe_to_write(&self) -> bool {
        Column::are_safe_to_write(&self.columns)
            && self.peers.iter().all(|peer| peer.numbers.len() == self.columns.len())
    }
}

impl PeerReport {
    /// The number in the named column; `None` if there is no such column.
    pub fn number(&self, columns: &[Column], name: &str) -> Option<f64> {
        let at = columns.iter().position(|column| column.name == name)?;
        self.numbers.get(at).copied().flatten()
    }
}
