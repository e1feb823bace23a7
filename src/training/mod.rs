//! What peers do with their data, and what everybody does with what they upload.

pub mod adamw;
pub mod aggregate;
pub mod baseline;
mod core;
mod evaluator;
pub mod gradient;
mod lanes;
mod pseudo_gradient;
pub mod quantise;
pub mod schedule;
pub mod scheme;
mod settings;

pub use core::{Replica, TrainingCore, remembered};
pub use evaluator::Evaluator;
pub use pseudo_gradient::{PayloadError, PayloadShape, PseudoGradient, SparseTensor, TensorShape};
pub use settings::{BaselineSettings, TrainingSettings};
