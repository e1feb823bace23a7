//! What peers do with their data, and what everybody does with what they upload.

pub mod aggregate;
pub mod baseline;
mod core;
pub mod gradient;
mod pseudo_gradient;
pub mod schedule;
pub mod scheme;

pub use core::{Replica, TrainingCore};
pub use pseudo_gradient::{PseudoGradient, SparseTensor};
