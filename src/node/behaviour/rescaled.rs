//! Trains honestly and multiplies what it uploads, so that a plain mean would be its own.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings};
use super::strategy::StrategySettings;

/// The settings of `rescaled`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RescaledSettings {
    /// What values are multiplied by.
    factor: f64,
}

impl Default for RescaledSettings {
    fn default() -> Self {
        Self { factor: 1e6 }
    }
}

impl BehaviourSettings for RescaledSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        // As an f32, so that the products are those of f32 values.
        StrategySettings { scale: f64::from(self.factor as f32), ..StrategySettings::default() }.build()
    }
}
