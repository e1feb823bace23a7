//! The time of a round, by part.
//!
//! A peer knows the round's model when the previous round is over, its put window has closed, the deciding validator
//! has fetched all uploads, aggregated and posted its record, and the peer has fetched and applied the included
//! uploads. Then the peer trains. It must finish before its own put window opens. If uploads are sealed, the validator
//! fetches them while their keys arrive. Several devices of a node share all that it computes evenly.

use super::counts::{FORWARD_SHARE, Plan};
use super::device::Speed;
use super::traffic::mbps;
use crate::transport::simulated::Link;

/// The part of a peer's round in which it trains.
pub const TRAIN: &str = "train";

/// A part of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundPart {
    pub what: &'static str,
    pub seconds: f64,
}

/// The time of a node's round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundTime {
    /// In order, one after another.
    pub parts: Vec<RoundPart>,
    /// Their sum.
    pub needed: f64,
    /// The round's length.
    pub length: f64,
    /// Megabits per second at which the download takes all the time that the other parts leave; `None` if they leave
    /// none.
    pub least_mbps: Option<f64>,
}

impl RoundTime {
    /// `download` is the part for which the least bandwidth is computed.
    fn new(parts: Vec<RoundPart>, length: f64, download: (&'static str, u64)) -> Self {
        let needed = parts.iter().map(|part| part.seconds).sum();
        let downloading: f64 = parts.iter().filter(|part| part.what == download.0).map(|part| part.seconds).sum();
        let left = length - (needed - downloading);
        Self { parts, needed, length, least_mbps: (left > 0.0).then(|| mbps(download.1, left)) }
    }

    /// Whether the round is long enough.
    pub fn fits(&self) -> bool {
        self.needed <= self.length
    }
}

const PEER_FETCHES: &str = "fetch the aggregated uploads";
/// The part of Muon's steps beside their gradients.
pub const NEWTON_SCHULZ: &str = "Newton-Schulz";
const VALIDATOR_GATHERS: &str = "validator: fetch all uploads";
const VALIDATOR_GATHERS_SEALED: &str = "validator: fetch all uploads, wait for keys";

impl Plan {
    /// The round of a peer of the first group, with the first validator.
    pub fn peer_round(&self, speed: &Speed) -> RoundTime {
        let (traffic, devices) = (self.traffic(), self.peer_devices() as f64);
        let part = |what, seconds| RoundPart { what, seconds };
        let mut parts = vec![part("put window", self.scenario.protocol.put_window_seconds)];
        parts.extend(self.deciding(speed));
        parts.extend([
            part(PEER_FETCHES, transfer(traffic.peer_down, self.peer_link())),
            part("aggregate", speed.aggregate_seconds / devices),
            part(TRAIN, self.tokens_per_peer() / speed.tokens_per_second / devices),
        ]);
        let newton_schulz = self.newton_schulz_flops();
        if newton_schulz > 0.0 {
            // At the rate of the gradients.
            let seconds = newton_schulz / (self.work().flops_per_token * speed.tokens_per_second);
            parts.push(part(NEWTON_SCHULZ, seconds / devices));
        }
        parts.push(part("encode", speed.encode_seconds / devices));
        RoundTime::new(parts, self.scenario.round_seconds(), (PEER_FETCHES, traffic.peer_down))
    }

    /// The round of the first validator, which decides and evaluates.
    pub fn validator_round(&self, speed: &Speed) -> RoundTime {
        let mut parts = self.deciding(speed);
        let speed_of_all = speed.tokens_per_second * self.validator_devices() as f64;
        let seconds = self.evaluated_tokens() * FORWARD_SHARE / speed_of_all;
        parts.push(RoundPart { what: "validator: evaluate", seconds });
        let download = (self.gathering(), self.traffic().validator_down);
        RoundTime::new(parts, self.scenario.round_seconds(), download)
    }

    /// The deciding validator's work before its record is out.
    fn deciding(&self, speed: &Speed) -> Vec<RoundPart> {
        let (traffic, link) = (self.traffic(), &self.scenario.validators[0].link);
        let part = |what, seconds| RoundPart { what, seconds };
        let keys = self.scenario.protocol.reveal_seconds();
        vec![
            part(self.gathering(), transfer(traffic.validator_down, link).max(keys)),
            part("validator: aggregate", speed.aggregate_seconds / self.validator_devices() as f64),
            part("validator: send bundle and record", transfer(traffic.validator_up, link)),
        ]
    }

    fn gathering(&self) -> &'static str {
        if self.scenario.protocol.sealed { VALIDATOR_GATHERS_SEALED } else { VALIDATOR_GATHERS }
    }

    /// Seconds that an upload by a peer of the first group takes.
    pub fn upload_seconds(&self) -> f64 {
        transfer(self.traffic().upload, self.peer_link())
    }

    /// Seconds of a round in which a peer of the first group sends or receives.
    pub fn transfer_seconds(&self) -> f64 {
        self.upload_seconds() + transfer(self.traffic().peer_down, self.peer_link())
    }

    fn peer_link(&self) -> &Link {
        self.first_peer().link
    }
}

/// Seconds that bytes take on a link, including one round trip.
fn transfer(bytes: u64, link: &Link) -> f64 {
    2e-3 * link.latency_ms + 8.0 * bytes as f64 / (1e6 * link.bandwidth_mbps)
}
