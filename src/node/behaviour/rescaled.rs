//! Trains honestly and multiplies what it uploads, so that a plain mean would be its own.

use async_trait::async_trait;

use super::{Behaviour, Surroundings, map_values};
use crate::training::PseudoGradient;

pub struct Rescaled {
    pub factor: f64,
}

#[async_trait]
impl Behaviour for Rescaled {
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, _around: &Surroundings<'_>) -> Option<PseudoGradient> {
        own.map(|own| map_values(own, |value| value * self.factor as f32))
    }
}
