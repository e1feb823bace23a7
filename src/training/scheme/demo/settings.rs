//! What a scenario's `[scheme]` says of DeMo.

use serde::{Deserialize, Serialize};

/// DeMo: Peng et al., arXiv 2411.19870.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoSettings {
    /// Side of a chunk; a side of a tensor that it does not divide uses its largest divisor not above it.
    pub chunk: usize,
    /// Coefficients sent of each chunk (all of a smaller chunk).
    pub topk: usize,
    /// Decay of the momentum a round.
    pub decay: f64,
    /// What was sent is subtracted from the momentum from this round on.
    pub feedback_from_round: u64,
    /// Bits of a value that is sent: 2, 4, 8, or 32 to send it as it is.
    pub bits: u32,
}

impl Default for DemoSettings {
    fn default() -> Self {
        Self { chunk: 64, topk: 32, decay: 0.999, feedback_from_round: 0, bits: 32 }
    }
}
