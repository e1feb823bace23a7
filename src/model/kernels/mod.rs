//! Hand-written CPU kernels: a transformer block's two halves and the loss, forward and backward, each on one thread.
//!
//! Weights are used as they lie, `[out, in]`: a product packs at most a panel-wise copy of its right factor, once a
//! pass. Between products, rows are gone over in as few passes as there are products to wait for, in scratch memory
//! that stays in the cache.

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
