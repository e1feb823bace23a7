//! The run's model on a device: losses, gradients, and replicas of given parameters.

use super::gradient::{self, DeviceGradient, Gradient, Labels};
use crate::model::{Device, Llama, LlamaConfig};

/// Computes with the model of a run.
#[derive(Clone, Debug)]
pub struct Evaluator {
    pub config: LlamaConfig,
    pub device: Device,
    /// Pages in one forward and backward pass.
    pub micro_batch: usize,
    /// What gradients, but not losses, are to predict.
    labels: Labels,
}

impl Evaluator {
    /// The models of a configuration on a device, with so many pages in a pass.
    pub fn new(config: LlamaConfig, device: Device, micro_batch: usize) -> Self {
        Self { config, device, micro_batch, labels: Labels::True }
    }

    /// The same, whose gradients are of the loss on other labels.
    pub fn with_labels(&self, labels: Labels) -> Self {
        Self { labels, ..self.clone() }
    }

    /// The model with these parameters.
    pub fn model(&self, theta: &[f32]) -> Llama {
        Llama::from_flat(&self.config, theta, &self.device)
    }

    /// Mean gradient of these pages.
    pub fn gradient(&self, model: &Llama, pages: &[Vec<u32>]) -> Gradient {
        gradient::of_labels(model, pages, self.labels, self.micro_batch)
    }

    /// The same of a model that is not [fused](Llama::is_fused), on its device.
    pub fn gradient_on_device(&self, model: &Llama, pages: &[Vec<u32>]) -> DeviceGradient {
        gradient::of_labels_on_device(model, pages, self.labels, self.micro_batch)
    }

    /// Mean loss on these pages, in nats a token.
    pub fn loss(&self, model: &Llama, pages: &[Vec<u32>]) -> f64 {
        gradient::loss(model, pages, self.micro_batch)
    }
}
