//! Who takes part: groups of peers, groups of operators, and validators.

use serde::{Deserialize, Serialize};

use crate::node::Hardware;
use crate::settings::Kinded;
use crate::transport::simulated::Link;

/// Peers that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerGroup {
    /// How many.
    #[serde(default = "one")]
    pub count: usize,
    /// What they do: a kind of [`Registry::behaviours`](super::Registry) and its settings.
    #[serde(default)]
    pub behaviour: Kinded,
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

/// Operators of several slots that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorGroup {
    /// What tables call it; several of one name are numbered. Without one it is `operator-` and its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many.
    #[serde(default = "one")]
    pub count: usize,
    /// Slots that each of them registers, under a key of its own for each.
    #[serde(default = "default_uids")]
    pub uids: usize,
    /// What they do, as of peers.
    #[serde(default)]
    pub behaviour: Kinded,
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

fn default_uids() -> usize {
    3
}

/// A validator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidatorSettings {
    /// The highest stake leads.
    pub stake: f64,
    /// What it does: a kind of [`Registry::validator_behaviours`](super::Registry) and its settings. Left out where it is
    /// honest: the names of runs cover what is written.
    #[serde(skip_serializing_if = "is_honest")]
    pub behaviour: Kinded,
    /// Its public key in a real network; without one it has a key that follows from the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotkey: Option<String>,
    pub hardware: Hardware,
    pub link: Link,
    /// Round in which it falls silent for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<u64>,
}

/// Whether a validator's behaviour is the one that goes without saying.
pub fn is_honest(behaviour: &Kinded) -> bool {
    behaviour.settings.is_empty() && matches!(behaviour.kind.as_deref(), None | Some("honest"))
}

impl Default for ValidatorSettings {
    fn default() -> Self {
        Self {
            stake: 1000.0,
            behaviour: Kinded::default(),
            hotkey: None,
            hardware: Hardware::default(),
            link: Link::default(),
            leaves: None,
        }
    }
}
