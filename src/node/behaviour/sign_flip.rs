//! Trains honestly and uploads the opposite, to drive the loss up.

use async_trait::async_trait;

use super::{Behaviour, Surroundings, map_values};
use crate::training::PseudoGradient;

pub struct SignFlip;

#[async_trait]
impl Behaviour for SignFlip {
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, _around: &Surroundings<'_>) -> Option<PseudoGradient> {
        own.map(|own| map_values(own, |value| -value))
    }
}
