//! Trains on pages of its own choice, like a peer that trains once and sells the result under many names.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings};
use super::strategy::StrategySettings;

/// The settings of `free-rider`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreeRiderSettings {}

impl BehaviourSettings for FreeRiderSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        StrategySettings { pages: 0.0, extra: 1.0, ..StrategySettings::default() }.build()
    }
}
