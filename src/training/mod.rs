//! What peers compute from their data, and what all nodes do with the uploads.
//!
//! A [`scheme`] makes pseudo-gradients from data; an [`aggregate::Aggregation`] makes one update from many of them.
//! They share only the [`PayloadLayout`], and a scheme names the rule it is published with. [`TrainingCore`] combines
//! them with a model, a corpus and a device.

pub mod adamw;
pub mod aggregate;
mod average;
pub mod baseline;
mod chunks;
pub mod coefficients;
pub mod contrast;
mod core;
mod dct;
mod evaluator;
pub mod gradient;
mod lanes;
pub mod mix;
pub mod muon;
pub mod optimiser;
mod poison;
mod pseudo_gradient;
pub mod quantise;
mod replica;
mod round;
pub mod schedule;
pub mod scheme;
mod settings;
mod state;
mod taken_up;
mod thinned;

pub use average::Average;
pub use chunks::{Basis, ChunkError, ChunkLayout, MAX_CHUNK, PayloadLayout, TensorChunks};
pub use core::{Contribution, CoreError, CoreSettings, TrainingCore, remembered};
pub use evaluator::Evaluator;
pub use gradient::Labels;
pub use poison::{Data, Poison, Trigger};
pub use pseudo_gradient::{PayloadError, PayloadShape, PseudoGradient, SparseTensor, TensorShape};
pub use replica::Replica;
pub use round::Round;
pub use settings::{BaselineSettings, TrainingSettings};
pub use taken_up::tokens_to_take_up;
pub use thinned::Kept;
