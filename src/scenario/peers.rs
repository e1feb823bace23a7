//! Who takes part: groups of peers, and validators.

use serde::{Deserialize, Serialize};

/// Peers that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerGroup {
    /// How many.
    #[serde(default = "one")]
    pub count: usize,
    /// What they do.
    #[serde(default)]
    pub behaviour: Behaviour,
    #[serde(default)]
    pub hardware: Hardware,
    #[serde(default)]
    pub link: Link,
    /// Round in which they register; those of round 0 are there from the start.
    #[serde(default)]
    pub joins: u64,
    /// Round in which they stop for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<u64>,
}

fn one() -> usize {
    1
}

/// A validator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidatorSettings {
    /// The highest stake leads.
    pub stake: f64,
    pub hardware: Hardware,
    pub link: Link,
}

impl Default for ValidatorSettings {
    fn default() -> Self {
        Self { stake: 1000.0, hardware: Hardware::default(), link: Link::default() }
    }
}

/// How fast a node computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hardware {
    /// Forward and backward, tokens a second. The default lets a peer finish its pages in half of a round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
}

#[allow(clippy::derivable_impls)]
impl Default for Hardware {
    fn default() -> Self {
        Self { tokens_per_second: None }
    }
}

/// How a node reaches the bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// One way, milliseconds.
    pub latency_ms: f64,
    /// Each direction, megabits a second.
    pub bandwidth_mbps: f64,
    /// Fraction of requests that fail.
    pub loss: f64,
}

impl Default for Link {
    fn default() -> Self {
        Self { latency_ms: 50.0, bandwidth_mbps: 100.0, loss: 0.0 }
    }
}

/// What a peer does instead of the honest thing. In TOML: `behaviour = "honest"`, or `behaviour = { kind = "lazy", fraction = 0.5 }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Behaviour {
    /// Trains on its assigned pages; `data` times as many as assigned.
    Honest { data: f64 },
    /// Trains on a fraction of its assigned pages only.
    Lazy { fraction: f64 },
    /// Trains on pages that were not assigned to it.
    FreeRider,
    /// Computes on the model of `rounds` ago.
    Stale { rounds: u64 },
    /// Stops for `pause` rounds at round `at`, then goes on with the model it has.
    Desync { at: u64, pause: u64 },
    /// Posts another's pseudo-gradient under its own name, values multiplied by 1 + `noise` * N(0, 1).
    Copycat { of: Copied, noise: f64 },
    /// Offline at random: goes away with `leave` and comes back with `return` probability a round.
    Offline {
        leave: f64,
        #[serde(rename = "return")]
        come_back: f64,
    },
    /// Uploads `seconds` after the put window has closed.
    Late { seconds: f64 },
    /// Uploads random coefficients.
    Noise,
    /// Uploads its pseudo-gradient with the sign flipped.
    SignFlip,
    /// Uploads its values multiplied by `factor`.
    Rescaled { factor: f64 },
    /// Uploads what no honest peer would.
    Malformed { how: Malformation },
}

/// Whom a copycat copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copied {
    /// The peer with the highest incentive.
    Best,
    /// A random peer, another each round.
    Random,
}

/// Ways in which an upload can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Malformation {
    /// Too few coefficients in a tensor.
    Shape,
    /// An index outside of its chunk.
    Index,
    /// A value that is not a number.
    Nan,
    /// Many times the size it should have.
    Oversized,
    /// Cut off in the middle.
    Truncated,
    /// Another of these each round.
    Any,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Honest { data: 1.0 }
    }
}
