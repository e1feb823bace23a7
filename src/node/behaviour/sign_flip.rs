//! Trains honestly and uploads the opposite, to drive the loss up.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings};
use super::strategy::StrategySettings;

/// The settings of `sign-flip`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignFlipSettings {}

impl BehaviourSettings for SignFlipSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        StrategySettings { scale: -1.0, ..StrategySettings::default() }.build()
    }
}
