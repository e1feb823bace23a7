//! Trains honestly and multiplies its payload, so that it would dominate a plain mean.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings};
use super::strategy::StrategySettings;

/// The settings of `rescaled`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RescaledSettings {
    /// Factor of all values.
    factor: f64,
}

impl Default for RescaledSettings {
    fn default() -> Self {
        Self { factor: 1e6 }
    }
}

impl BehaviourSettings for RescaledSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        // The factor is an f32, so the products are those of f32 values.
        StrategySettings { scale: f64::from(self.factor as f32), ..StrategySettings::default() }.build()
    }
}
