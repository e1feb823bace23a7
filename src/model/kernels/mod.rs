//! Hand-written CPU kernels: a transformer block's two halves and the loss, forward and backward, each on one thread.
//!
//! Weights are used as they lie, `[out, in]`; nothing is transposed or copied for a matrix product, and what lies between the products is
//! done in as few passes as there are products to wait for.

pub mod attention;
pub mod attention_block;
pub mod buffer;
pub mod cross_entropy;
pub mod embedding;
pub mod loss_head;
pub mod math;
pub mod matrix;
pub mod mlp_block;
pub mod rms_norm;
pub mod rotary;
pub mod swiglu;
pub mod vector;
