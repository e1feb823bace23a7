//! DeMo: decoupled momentum (Peng et al., arXiv 2411.19870).
//!
//! A peer keeps a momentum of its own. Each round it adds its gradient, cuts every tensor into chunks, takes the 2-D DCT-II of each chunk,
//! sends the few coefficients of largest magnitude, and subtracts from the momentum what it sent (error feedback).

mod chunks;
pub(crate) mod dct;
mod encode;
pub(crate) mod kernels;
mod topk;

pub use chunks::{ChunkError, ChunkLayout, MAX_CHUNK, PayloadError, TensorChunks};

use encode::{Encoder, Step};

use crate::model::ParamLayout;
use crate::scenario::DemoSettings;
use crate::training::PseudoGradient;

/// Whether kernels use fused multiply-add where the CPU is not asked at run time.
pub(crate) const FUSED_BASELINE: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

/// DeMo for one model. The momentum is the caller's: one a peer, of as many values as the model has, zero at first.
#[derive(Clone, Debug)]
pub struct Demo {
    layout: ChunkLayout,
    decay: f32,
    feedback_from_round: u64,
}

impl Demo {
    /// # Errors
    /// A chunk size or top-k out of range, a tensor that is neither vector nor matrix.
    pub fn new(settings: &DemoSettings, params: &ParamLayout) -> Result<Self, ChunkError> {
        Ok(Self {
            layout: ChunkLayout::new(params, settings.chunk, settings.topk)?,
            decay: settings.decay as f32,
            feedback_from_round: settings.feedback_from_round,
        })
    }

    /// The chunks, against which payloads are checked and by which they are aggregated.
    pub fn layout(&self) -> &ChunkLayout {
        &self.layout
    }

    /// One round of a peer: `momentum = decay * momentum + lr * gradient`, what is sent of it, and, from the configured round on, the
    /// momentum without what is sent. Indices of a chunk come by falling magnitude; of equal magnitudes the lower index comes first.
    ///
    /// Runs on the calling thread. Its last bits may differ between CPUs, which is no harm: only what is sent counts.
    ///
    /// # Panics
    /// If `momentum` or `gradient` does not have as many values as the model.
    pub fn encode(&self, momentum: &mut [f32], gradient: &[f32], lr: f32, round: u64) -> PseudoGradient {
        assert_eq!(momentum.len(), self.layout.total(), "the momentum has the model's size");
        assert_eq!(gradient.len(), self.layout.total(), "the gradient has the model's size");
        let step = Step { decay: self.decay, lr, feedback: round >= self.feedback_from_round };
        let mut encoders = Vec::new();
        let tensor = |chunks: &TensorChunks| {
            let (momentum, gradient) = (&mut momentum[chunks.range.clone()], &gradient[chunks.range.clone()]);
            Encoder::for_shape(&mut encoders, chunks).encode(chunks, momentum, gradient, step)
        };
        PseudoGradient { tensors: self.layout.tensors.iter().map(tensor).collect() }
    }
}
