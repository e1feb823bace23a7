//! Hand-written CPU kernels for the two halves of a transformer block and the loss, forward and backward, each on one
//! thread.
//!
//! Weights are used as stored, `[out, in]`. A product packs at most one copy of its right factor into panels, once per
//! pass. Between products, rows are processed in as few passes as the data flow allows, in scratch memory that stays in
//! the cache.

pub mod attention;
pub mod attention_block;
pub mod buffer;
pub mod cross_entropy;
pub mod embedding;
pub mod loss_head;
pub mod math;
pub mod matrix;
pub mod mlp_block;
pub mod newton_schulz;
pub mod rms_norm;
pub mod rotary;
pub mod swiglu;
pub mod vector;
