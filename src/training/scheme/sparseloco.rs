//! SparseLoCo (Sarfi et al., arXiv 2508.15706).
//!
//! From the agreed model, a peer makes some steps of AdamW or Muon alone. It adds the movement to its error feedback, which
//! decays. Of each chunk of that, it sends the few values of largest magnitude, quantised, and subtracts them. All
//! nodes subtract the mean of the peers' values from the model, after clipping each tensor of a peer to the median
//! norm.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::Table;

use super::footprint::Footprint;
use super::limits;
use super::local_steps::{InnerSettings, LocalSteps};
use super::seam::{LocalTraining, Scheme, SchemeSettings};
use super::topk::TopK;
use crate::model::ParamLayout;
use crate::settings::Findings;
use crate::training::adamw::Moments;
use crate::training::optimiser::OptimiserKind;
use crate::training::quantise::quantise;
use crate::training::state::{append_counted, make_room};
use crate::training::{
    Basis, ChunkError, ChunkLayout, Evaluator, PayloadLayout, PayloadShape, PseudoGradient, Replica, Round,
    SparseTensor, TensorChunks,
};

/// SparseLoCo: Sarfi et al., arXiv 2508.15706. `training.lr` is the rate of its inner steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SparseLocoSettings {
    /// The optimiser of the steps: `adamw`, or `muon` for the matrices of the blocks.
    #[serde(skip_serializing_if = "OptimiserKind::is_adamw")]
    pub inner: OptimiserKind,
    /// A peer's own steps, each on an equal part of the round's pages. Default: 30, or the pages of a round if they are
    /// fewer.
    pub inner_steps: usize,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    /// Largest L2 norm of a step's gradient.
    pub clip_norm: f64,
    /// Weight of Muon's momentum. Default: 0.95.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Factor of `training.lr` for the matrices that Muon steps. Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_lr: Option<f64>,
    /// Side of a chunk. If it does not divide a tensor's side, the largest divisor below it is used there.
    pub chunk: usize,
    /// Values sent per chunk (all of a smaller chunk).
    pub topk: usize,
    /// Decay of the error feedback per round.
    pub decay: f64,
    /// Bits of a sent value: 2, 4, 8, or 32 to send it in full.
    pub bits: u32,
    /// Factor of the mean of the peers' updates.
    pub outer_lr: f64,
}

impl Default for SparseLocoSettings {
    fn default() -> Self {
        let InnerSettings { inner, inner_steps, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr } =
            InnerSettings::default();
        Self {
            inner,
            inner_steps,
            beta1,
            beta2,
            weight_decay,
            clip_norm,
            momentum,
            matrix_lr,
            chunk: 64,
            topk: 64,
            decay: 0.95,
            bits: 2,
            outer_lr: 1.0,
        }
    }
}

impl SparseLocoSettings {
    /// The steps that a peer makes alone.
    pub fn inner(&self) -> InnerSettings {
        let Self { inner, inner_steps, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr, .. } = *self;
        InnerSettings { inner, inner_steps, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr }
    }
}

impl SchemeSettings for SparseLocoSettings {
    fn check(&self, found: &mut Findings, pages_per_round: usize) {
        limits::chunks(found, self.chunk, self.topk);
        found.fraction("decay", self.decay);
        limits::bits(found, self.bits);
        found.positive("outer_lr", self.outer_lr);
        self.inner().check(found, pages_per_round);
    }

    fn dependent_defaults(&self, pages_per_round: usize) -> Table {
        self.inner().dependent_defaults(pages_per_round)
    }

    fn inner_steps(&self) -> Option<usize> {
        Some(self.inner_steps)
    }

    fn basis(&self) -> Basis {
        BASIS
    }

    fn build(&self, params: &ParamLayout) -> Result<Box<dyn Scheme>, ChunkError> {
        Ok(Box::new(SparseLoco::new(self, params)?))
    }
}

/// The meaning of the values that a peer sends.
pub const BASIS: Basis = Basis::Values;

/// SparseLoCo for one model. The caller keeps the error feedback: one per peer, with as many values as the model,
/// initially zero.
#[derive(Clone, Debug)]
pub struct SparseLoco {
    layout: Arc<ChunkLayout>,
    shape: PayloadShape,
    steps: LocalSteps,
    decay: f32,
    outer_lr: f64,
}

impl SparseLoco {
    /// # Errors
    /// The chunk size or top-k is out of range, or a tensor is neither vector nor matrix.
    pub fn new(settings: &SparseLocoSettings, params: &ParamLayout) -> Result<Self, ChunkError> {
        let layout = ChunkLayout::new(params, settings.chunk, settings.topk)?;
        Ok(Self {
            shape: layout.shape(settings.bits),
            layout: Arc::new(layout),
            steps: LocalSteps::new(&settings.inner(), params),
            decay: settings.decay as f32,
            outer_lr: settings.outer_lr,
        })
    }

    /// How the tensors are cut.
    pub fn layout(&self) -> &ChunkLayout {
        &self.layout
    }

    /// Sets `error` to `decay * error + update`, subtracts what is sent of it, and returns that. The indices of a chunk
    /// are in descending order of magnitude; among equal magnitudes the lower index comes first.
    ///
    /// # Panics
    /// If `error` or `update` does not have as many values as the model.
    pub fn encode(&self, error: &mut [f32], update: &[f32]) -> PseudoGradient {
        assert_eq!(error.len(), self.layout.total(), "the error has the model's size");
        assert_eq!(update.len(), self.layout.total(), "the update has the model's size");
        let mut encoder = Encoder::default();
        let tensors = self.layout.tensors.iter().zip(&self.shape.tensors).map(|(chunks, shape)| {
            let (error, update) = (&mut error[chunks.range.clone()], &update[chunks.range.clone()]);
            let mut sent = encoder.select(chunks, error, update, self.decay);
            quantise(&mut sent.values, shape.value_bits);
            subtract(chunks, error, &sent);
            sent
        });
        PseudoGradient { tensors: tensors.collect() }
    }
}

impl Scheme for SparseLoco {
    fn local(&self) -> Box<dyn LocalTraining> {
        let parameters = self.layout.total();
        let state = State { error: vec![0.0; parameters], moments: self.steps.optimiser().moments() };
        Box::new(Local { scheme: self.clone(), state })
    }

    fn kept_values(&self) -> usize {
        self.layout.total() + self.steps.optimiser().kept_values()
    }

    fn shape(&self) -> &PayloadShape {
        &self.shape
    }

    fn payloads(&self) -> PayloadLayout {
        PayloadLayout { chunks: self.layout.clone(), basis: BASIS }
    }

    fn rate(&self, _lr: f64) -> f64 {
        self.outer_lr
    }

    fn step_size(&self, lr: f64) -> f64 {
        self.outer_lr * self.steps.size(lr)
    }

    fn local_steps(&self) -> Option<&LocalSteps> {
        Some(&self.steps)
    }

    fn footprint(&self) -> Footprint {
        self.steps.footprint()
    }
}

/// One peer's side.
struct Local {
    scheme: SparseLoco,
    state: State,
}

#[derive(Serialize, Deserialize)]
struct State {
    /// Error feedback: what the peer has not sent yet.
    error: Vec<f32>,
    moments: Moments,
}

impl LocalTraining for Local {
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient {
        let Self { scheme, state } = self;
        let update = scheme.steps.update(evaluator, &mut state.moments, replica, pages, round);
        scheme.encode(&mut state.error, &update)
    }

    fn scale_kept(&mut self, factor: f32) {
        self.state.error.iter_mut().for_each(|error| *error *= factor);
    }

    fn save(&self, state: &mut Vec<u8>) {
        make_room(self.scheme.kept_values(), state);
        append_counted(&self.state.error, state);
        self.state.moments.append(state);
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let State { error, moments } = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        let parameters = self.scheme.layout.total();
        if error.len() != parameters {
            return Err(format!("the state of a model of {} parameters, expected {parameters}", error.len()));
        }
        self.state = State { error, moments: self.scheme.steps.optimiser().restored(moments)? };
        Ok(())
    }
}

/// Scratch memory for chunks, and a selection for each chunk size.
#[derive(Default)]
struct Encoder {
    selections: Vec<(usize, TopK)>,
    /// 0, 1, 2 ...
    index: Vec<u16>,
    chunk: Vec<f32>,
}

impl Encoder {
    /// Updates the error of one tensor and returns what is to be sent of it.
    fn select(&mut self, chunks: &TensorChunks, error: &mut [f32], update: &[f32], decay: f32) -> SparseTensor {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2")]
            fn wide(
                encoder: &mut Encoder,
                chunks: &TensorChunks,
                error: &mut [f32],
                update: &[f32],
                decay: f32,
            ) -> SparseTensor {
                encoder.select_all(chunks, error, update, decay)
            }
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the CPU has the feature.
                return unsafe { wide(self, chunks, error, update, decay) };
            }
        }
        self.select_all(chunks, error, update, decay)
    }

    #[inline(always)]
    fn select_all(&mut self, chunks: &TensorChunks, error: &mut [f32], update: &[f32], decay: f32) -> SparseTensor {
        let (size, width, cols) = (chunks.size(), chunks.width, chunks.cols);
        self.index.extend((self.index.len()..size).map(|index| index as u16));
        let known = self.selections.iter().position(|(of_size, _)| *of_size == size);
        let at = known.unwrap_or_else(|| {
            self.selections.push((size, TopK::new(chunks.k, size)));
            self.selections.len() - 1
        });
        let topk = &mut self.selections[at].1;
        self.chunk.resize(size, 0.0);

        let mut out = SparseTensor {
            indices: Vec::with_capacity(chunks.coefficients()),
            values: Vec::with_capacity(chunks.coefficients()),
        };
        let band = chunks.height * cols;
        for (error, update) in error.chunks_exact_mut(band).zip(update.chunks_exact(band)) {
            // In the order of memory, while chunks jump from row to row: afterwards they find the band in the cache.
            error.iter_mut().zip(update).for_each(|(error, &update)| *error = decay * *error + update);
            for left in (0..cols).step_by(width) {
                for (row, error) in self.chunk.chunks_exact_mut(width).zip(error.chunks_exact(cols)) {
                    row.copy_from_slice(&error[left..][..width]);
                }
                let chunk = &self.chunk;
                topk.select(chunk, &self.index, |index, position| {
                    out.indices.push(index);
                    out.values.push(chunk[usize::from(position)]);
                });
            }
        }
        out
    }
}

/// Subtracts what is sent from the error feedback of a tensor.
fn subtract(chunks: &TensorChunks, error: &mut [f32], sent: &SparseTensor) {
    let coefficients = sent.indices.chunks_exact(chunks.k).zip(sent.values.chunks_exact(chunks.k));
    for (chunk, (indices, values)) in coefficients.enumerate() {
        let chunk = &mut error[chunks.corner(chunk)..];
        for (&index, &value) in indices.iter().zip(values) {
            chunk[chunks.offset(index)] -= value;
        }
    }
}

#[cfg(test)]
mod tests;
