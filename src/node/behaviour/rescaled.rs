//! Trains honestly and multiplies what it uploads, so that a plain mean would be its own.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use super::values::map_values;
use crate::training::PseudoGradient;

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
        Box::new(Rescaled { factor: self.factor as f32 })
    }
}

struct Rescaled {
    factor: f32,
}

#[async_trait]
impl Behaviour for Rescaled {
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, _around: &Surroundings<'_>) -> Option<PseudoGradient> {
        own.map(|own| map_values(own, |value| value * self.factor))
    }
}
