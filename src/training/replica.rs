//! A node's copy of the model.

use crate::digest::Digest;
use crate::model::Llama;

/// A node's copy of the model.
pub struct Replica {
    /// Digest of `theta`.
    pub digest: Digest,
    /// All parameters, in the layout's order.
    pub theta: Vec<f32>,
    /// The same parameters as a Burn module on the core's device.
    pub model: Llama,
}
