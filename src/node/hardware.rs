//! How long work takes on a node's hardware, in virtual time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Work that would take longer than this is never done.
const NEVER_SECONDS: f64 = 1e9;
/// A forward pass is about a third of forward and backward.
const FORWARD_SHARE: f64 = 1.0 / 3.0;
/// A validator without a stated speed finishes its evaluations within this part of a round. If it fell behind, it would
/// find no uploads any more.
const EVALUATION_SHARE: f64 = 0.8;
/// The same for audits, which wait until peers have shown their states. Some rounds have more audits than the average, and pieces of pages come on top: weights
/// must still be posted before the round is over.
const AUDIT_SHARE: f64 = 0.2;

/// How fast a node computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hardware {
    /// Tokens a second of each device, forward and backward. By default the devices of a peer train on its pages
    /// together, or those of a validator finish its evaluations, in half a round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Devices that share the work of the node. In a simulation they are that many times as fast as one.
    #[serde(skip_serializing_if = "is_one")]
    pub devices: usize,
}

/// Whether it is the default number of devices, which a file need not say.
fn is_one(devices: &usize) -> bool {
    *devices == 1
}

impl Default for Hardware {
    fn default() -> Self {
        Self { tokens_per_second: None, devices: 1 }
    }
}

impl Hardware {
    /// Most devices of a node.
    pub const MOST_DEVICES: usize = 1 << 16;

    /// Tokens a second of all devices together, if their speed is stated.
    fn speed(&self) -> Option<f64> {
        self.tokens_per_second.map(|speed| speed * self.devices as f64)
    }
}

/// A node's processor.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    tokens_per_second: f64,
}

impl Processor {
    /// The processor of a peer. Without a stated speed, it trains on the tokens of a round in half a round.
    pub fn of_peer(hardware: &Hardware, round_tokens: f64, round_seconds: f64) -> Self {
        let default = round_tokens / (round_seconds / 2.0);
        Self { tokens_per_second: hardware.speed().unwrap_or(default) }
    }

    /// The processor of a validator that runs `evaluated_tokens` forward in a round, for audits or at once. Without a stated
    /// speed, it is as fast as a peer, or faster if it would not keep up otherwise.
    pub fn of_validator(
        hardware: &Hardware,
        round_tokens: f64,
        (evaluated_tokens, audits): (f64, bool),
        round_seconds: f64,
    ) -> Self {
        let peer = Self::of_peer(hardware, round_tokens, round_seconds);
        if hardware.tokens_per_second.is_some() {
            return peer;
        }
        let share = if audits { AUDIT_SHARE } else { EVALUATION_SHARE };
        let needed = evaluated_tokens * FORWARD_SHARE / (round_seconds * share);
        Self { tokens_per_second: peer.tokens_per_second.max(needed) }
    }

    /// A real processor. It adds no virtual time to its work.
    pub fn real() -> Self {
        Self { tokens_per_second: f64::INFINITY }
    }

    /// Time to run this many tokens forward and backward.
    pub fn training(&self, tokens: f64) -> Duration {
        Duration::from_secs_f64((tokens / self.tokens_per_second).min(NEVER_SECONDS))
    }

    /// Time to run this many tokens forward.
    pub fn evaluation(&self, tokens: f64) -> Duration {
        self.training(tokens * FORWARD_SHARE)
    }
}
