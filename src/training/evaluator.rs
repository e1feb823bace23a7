//! The run's model on a device: losses, gradients, and replicas of given parameters.

use super::gradient::{self, Gradient};
use crate::model::{Device, Llama, LlamaConfig};

/// Computes with the model of a run.
#[derive(Clone, Debug)]
pub struct Evaluator {
    pub config: LlamaConfig,
    pub device: Device,
    /// Pages in one forward and backward pass.
    pub micro_batch: usize,
}

impl Evaluator {
    /// The model with these parameters.
    pub fn model(&self, theta: &[f32]) -> Llama {
        Llama::from_flat(&self.config, theta, &self.device)
    }

    /// Mean gradient of these pages.
    pub fn gradient(&self, model: &Llama, pages: &[Vec<u32>]) -> Gradient {
        gradient::gradient(model, pages, self.micro_batch)
    }

    /// Mean loss on these pages, in nats a token.
    pub fn loss(&self, model: &Llama, pages: &[Vec<u32>]) -> f64 {
        gradient::loss(model, pages, self.micro_batch)
    }
}
