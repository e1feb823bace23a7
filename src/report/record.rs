//! One line of each of a run's CSV files: plain data, in the order of the columns.

use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::digest::Digest;
pub use crate::mechanism::Status;

/// A line of `rounds.csv`: the network in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundRow {
    /// Rounds are counted from 0; losses are those after the round's aggregation.
    pub round: u64,
    /// Virtual time at the round's end.
    pub virtual_seconds: f64,
    pub lr: f64,
    /// Held-out cross-entropy in nats a token, where it was measured.
    pub loss: Option<f64>,
    /// Mean cross-entropy before the step, of the pages on which the lead validator evaluated peers.
    pub train_loss: Option<f64>,
    /// Peers aggregated.
    pub aggregated: usize,
    /// Uploads the bucket accepted.
    pub uploads: usize,
    /// Bytes that all nodes sent, and received, between the round's start and its end. The payloads of a round are
    /// mostly fetched after its end, so they count for the next. Nobody knows them of a real network.
    pub bytes_up: Option<u64>,
    pub bytes_down: Option<u64>,
    /// Digest of the model that all synchronised replicas have now.
    pub replica_digest: Digest,
}

/// A line of `peers.csv`: one peer in one round, as the lead validator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerRow {
    pub round: u64,
    pub uid: Uid,
    /// Which peer holds the slot: two in succession may have the same uid and the same behaviour. Not in the file.
    #[serde(skip)]
    pub owner: u32,
    /// Label of what the peer does, as `honest` or `copycat of best`.
    pub behaviour: String,
    pub status: Status,
    /// Estimated by the sync check; none where nothing was uploaded.
    pub steps_behind: Option<f64>,
    /// Fall of the loss on the peer's own pages; none where it was not evaluated in this round.
    pub loss_score_assigned: Option<f64>,
    /// Fall of the loss on pages that nobody was assigned.
    pub loss_score_unassigned: Option<f64>,
    pub rating_mu: Option<f64>,
    pub rating_sigma: Option<f64>,
    /// In -1..1.
    pub proof_of_computation: Option<f64>,
    pub peer_score: Option<f64>,
    /// Share of what this round pays to peers: the shares of a round sum to 1, or to 0 when nobody is paid.
    pub incentive: f64,
    pub aggregated: bool,
}

/// A line of `leaderboard.csv`: one holder of a slot over the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaderboardRow {
    pub uid: Uid,
    pub behaviour: String,
    /// Mean share of a round's pay over the last tenth of the rounds.
    pub incentive_final: f64,
    /// Share of all that was paid in the run.
    pub incentive_total: f64,
    /// This and the next three: the last known.
    pub peer_score: Option<f64>,
    pub rating_mu: Option<f64>,
    pub rating_sigma: Option<f64>,
    pub proof_of_computation: Option<f64>,
    pub rounds_aggregated: u64,
    /// Rounds in which it held a slot and did not pass the fast evaluation, absence included.
    pub rounds_failed: u64,
}

/// A line of `baseline.csv`: central AdamW after as many rounds' worth of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineRow {
    pub round: u64,
    pub lr: f64,
    /// Held-out cross-entropy in nats a token, where it was measured.
    pub loss: Option<f64>,
}

/// A line of `slots.csv`: a peer that takes over a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotRow {
    /// The first round in which it holds the slot.
    pub round: u64,
    pub uid: Uid,
    /// Number among the scenario's peers.
    pub peer: u32,
    /// Its public key.
    pub hotkey: String,
    pub behaviour: String,
}

/// A type that is a line of a CSV file whose lines are in the order of rounds.
pub(super) trait Row: Serialize + for<'de> Deserialize<'de> {
    /// The file's name and the line with the columns' names.
    const FILE: &'static str;
    const HEADER: &'static str;
}

impl Row for RoundRow {
    const FILE: &'static str = "rounds.csv";
    const HEADER: &'static str = "round,virtual_seconds,lr,loss,train_loss,aggregated,uploads,bytes_up,bytes_down,\
                                  replica_digest";
}

impl Row for PeerRow {
    const FILE: &'static str = "peers.csv";
    const HEADER: &'static str = "round,uid,behaviour,status,steps_behind,loss_score_assigned,loss_score_unassigned,\
                                  rating_mu,rating_sigma,proof_of_computation,peer_score,incentive,aggregated";
}

impl Row for LeaderboardRow {
    const FILE: &'static str = "leaderboard.csv";
    const HEADER: &'static str = "uid,behaviour,incentive_final,incentive_total,peer_score,rating_mu,rating_sigma,\
                                  proof_of_computation,rounds_aggregated,rounds_failed";
}

impl Row for SlotRow {
    const FILE: &'static str = "slots.csv";
    const HEADER: &'static str = "round,uid,peer,hotkey,behaviour";
}

impl Row for BaselineRow {
    const FILE: &'static str = "baseline.csv";
    const HEADER: &'static str = "round,lr,loss";
}
