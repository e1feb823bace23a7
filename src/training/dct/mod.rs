//! The two-dimensional DCT of a chunk: forward and back in f32, and back in whole numbers, the same on every machine.

mod forward;
mod inverse;
mod product;
pub mod tables;

pub use forward::forward;
pub use inverse::{Coefficient, ExactInverse, SparseInverse};

/// Whether kernels use fused multiply-add without asking the CPU at run time.
pub const FUSED_BASELINE: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
