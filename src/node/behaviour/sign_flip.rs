//! Trains honestly and uploads the opposite, to drive the loss up.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use super::values::map_values;
use crate::training::PseudoGradient;

/// The settings of `sign-flip`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignFlipSettings {}

impl BehaviourSettings for SignFlipSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(SignFlip)
    }
}

struct SignFlip;

#[async_trait]
impl Behaviour for SignFlip {
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, _around: &Surroundings<'_>) -> Option<PseudoGradient> {
        own.map(|own| map_values(own, |value| -value))
    }
}
