//! The participants: groups of peers, groups of operators, and validators.

use serde::{Deserialize, Serialize};

use crate::node::Hardware;
use crate::settings::Kinded;
use crate::transport::simulated::Link;

/// A group of identical peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerGroup {
    /// Number of peers.
    #[serde(default = "one")]
    pub count: usize,
    /// Their behaviour: a kind of [`Registry::behaviours`](super::Registry) and its settings.
    #[serde(default)]
    pub behaviour: Kinded,
    /// Inner steps that each makes in a round, on as many pages a step as one of the scheme has; default: the scheme's
    /// `inner_steps`. Not written by default, because the names of runs cover what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_steps: Option<usize>,
    #[serde(default)]
    pub hardware: Hardware,
    #[serde(default)]
    pub link: Link,
    /// Round in which they register. With 0 they are registered from the start.
    #[serde(default)]
    pub joins: u64,
    /// Round in which they stop for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<u64>,
}

fn one() -> usize {
    1
}

/// A group of identical operators with several slots each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorGroup {
    /// Name in tables; several operators with one name are numbered. Without a name it is `operator-` and a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of operators.
    #[serde(default = "one")]
    pub count: usize,
    /// Number of slots that each operator registers, with a separate key for each.
    #[serde(default = "default_uids")]
    pub uids: usize,
    /// Their behaviour, like that of peers.
    #[serde(default)]
    pub behaviour: Kinded,
    /// Inner steps that each makes in a round, on as many pages a step as one of the scheme has; default: the scheme's
    /// `inner_steps`. Not written by default, because the names of runs cover what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_steps: Option<usize>,
    #[serde(default)]
    pub hardware: Hardware,
    #[serde(default)]
    pub link: Link,
    /// Round in which they register. With 0 they are registered from the start.
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
    /// Stake. The validator with the highest stake leads.
    pub stake: f64,
    /// Its behaviour: a kind of [`Registry::validator_behaviours`](super::Registry) and its settings. It is not written
    /// if it is honest, because the names of runs cover what is written.
    #[serde(skip_serializing_if = "is_honest")]
    pub behaviour: Kinded,
    /// Its public key in a real network. Without one, its key follows from the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hotkey: Option<String>,
    pub hardware: Hardware,
    pub link: Link,
    /// Round in which it stops for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<u64>,
}

/// Whether a validator's behaviour is the default.
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
