//! What a peer makes of its data, and what everybody does with the payloads of a round.
//!
//! Everything else of a network sees a [`PseudoGradient`] in a [`PayloadShape`]: nodes, Gauntlet, transport and wire
//! format know nothing of which scheme it is. A scheme is one module here and its settings in a scenario's `[scheme]`.

mod chunks;
pub mod demo;
pub mod dense;
mod local_steps;
mod settings;
pub mod sparseloco;
mod topk;

pub use chunks::{ChunkError, ChunkLayout, MAX_CHUNK, TensorChunks};
pub use demo::DemoSettings;
pub use dense::{DenseSettings, DenseUpdate};
pub use local_steps::InnerSettings;
pub use settings::SchemeSettings;
pub use sparseloco::SparseLocoSettings;

use serde::Serialize;

use super::evaluator::Evaluator;
use super::{PayloadShape, PseudoGradient, Replica};
use crate::model::{Device, Llama, ParamLayout};

/// A way to train together: what is sent, and the step that all take of it.
pub trait Scheme: Send + Sync {
    /// What a newcomer starts with.
    fn local(&self) -> Box<dyn LocalTraining>;

    /// How many f32 values a peer keeps from round to round.
    fn kept_values(&self) -> usize;

    /// What every valid payload looks like.
    fn shape(&self) -> &PayloadShape;

    /// The parameters after `fraction` of the step that these payloads together make at a round's learning rate: 1.0 to
    /// aggregate them, less to score one of them.
    ///
    /// Replicas stay the same only if this is the same to the bit on every machine and in any order of the payloads.
    ///
    /// # Panics
    /// If `theta` is not of this model, or a payload does not pass [`PayloadShape::check`].
    fn step(&self, theta: &[f32], lr: f64, payloads: &[&PseudoGradient], fraction: f64) -> Vec<f32>;

    /// The model of a replica after such a step, where the scheme can do without the parameters on the host.
    ///
    /// # Panics
    /// As [`Scheme::step`].
    fn stepped(
        &self,
        evaluator: &Evaluator,
        replica: &Replica,
        lr: f64,
        payloads: &[&PseudoGradient],
        fraction: f64,
    ) -> Llama {
        evaluator.model(&self.step(&replica.theta, lr, payloads, fraction))
    }

    /// How far a round moves a parameter: the unit of a peer's distance from the validator's model.
    fn step_size(&self, lr: f64) -> f64;
}

/// One peer's side of a scheme: the state that it keeps from round to round.
pub trait LocalTraining: Send + Sync {
    /// What the peer sends of a round: trained on `pages`, from `replica`, at the round's learning rate.
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient;

    /// Appends the state, to go on from, to `state`: at most one copy of it, as it can be gigabytes.
    fn save(&self, state: &mut Vec<u8>);

    /// Takes up the state that `save` appended.
    ///
    /// # Errors
    /// Bytes that are not the state of this scheme and model.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String>;
}

/// Which round it is, as far as training depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    pub number: u64,
    /// Learning rate of the round.
    pub lr: f64,
}

/// The scheme of a scenario, for a model of this layout, with its heavy work on `device`.
///
/// # Errors
/// A chunk size or top-k that the scheme cannot use.
pub fn from_settings(
    settings: &SchemeSettings,
    params: &ParamLayout,
    device: Device,
) -> Result<Box<dyn Scheme>, ChunkError> {
    Ok(match settings {
        SchemeSettings::Demo(settings) => Box::new(demo::Demo::new(settings, params)?.on(device)),
        SchemeSettings::Sparseloco(settings) => Box::new(sparseloco::SparseLoco::new(settings, params)?),
        SchemeSettings::Dense(settings) => Box::new(dense::Dense::new(settings, params)?),
    })
}

/// Appends what a peer keeps: `count` values, and little more.
fn append<T: Serialize>(kept: &T, count: usize, state: &mut Vec<u8>) {
    // Without room for it, it would be copied, twice as large, whenever it outgrows the memory that it has.
    state.reserve_exact(4 * count + 64);
    *state = postcard::to_extend(kept, std::mem::take(state)).expect("plain values");
}
