//! What a run's digest covers of a report.

use std::time::Duration;

use serde::Serialize;

use crate::Uid;
use crate::digest::Digest;
use crate::node::{PeerReport, RoundReport};
use crate::transport::Hotkey;

/// A report in the form by which the published runs were digested: with the numbers of the Gauntlet, by name. It stays as
/// it is, or none of them could be verified any more.
#[derive(Serialize)]
struct Legacy {
    round: u64,
    validator: Hotkey,
    decided: bool,
    at: Duration,
    lr: f64,
    loss: Option<f64>,
    train_loss: Option<f64>,
    uploads: usize,
    model: Digest,
    peers: Vec<LegacyPeer>,
}

#[derive(Serialize)]
struct LegacyPeer {
    uid: Uid,
    hotkey: Hotkey,
    status: &'static str,
    steps_behind: Option<f64>,
    loss_score_assigned: Option<f64>,
    loss_score_unassigned: Option<f64>,
    rating_mu: f64,
    rating_sigma: f64,
    proof_of_computation: f64,
    peer_score: f64,
    incentive: f64,
    aggregated: bool,
}

/// The bytes of a report that go into the run's digest.
pub fn bytes(report: &RoundReport) -> Vec<u8> {
    let peer = |peer: &PeerReport| {
        let number = |name| report.number(peer, name);
        LegacyPeer {
            uid: peer.uid,
            hotkey: peer.hotkey,
            status: peer.status.name(),
            steps_behind: peer.steps_behind,
            loss_score_assigned: number("loss_score_assigned"),
            loss_score_unassigned: number("loss_score_unassigned"),
            rating_mu: number("rating_mu").unwrap_or(0.0),
            rating_sigma: number("rating_sigma").unwrap_or(0.0),
            proof_of_computation: number("proof_of_computation").unwrap_or(0.0),
            peer_score: number("peer_score").unwrap_or(0.0),
            incentive: peer.incentive,
            aggregated: peer.aggregated,
        }
    };
    let legacy = Legacy {
        round: report.round,
        validator: report.validator,
        decided: report.decided,
        at: report.at,
        lr: report.lr,
        loss: report.loss,
        train_loss: report.train_loss,
        uploads: report.uploads,
        model: report.model,
        peers: report.peers.iter().map(peer).collect(),
    };
    postcard::to_stdvec(&legacy).expect("a plain structure")
}
