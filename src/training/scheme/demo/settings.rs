//! The settings of DeMo in a scenario's `[scheme]`.

use serde::{Deserialize, Serialize};

/// DeMo: Peng et al., arXiv 2411.19870.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoSettings {
    /// Side of a chunk. If it does not divide a tensor's side, the largest divisor below it is used there.
    pub chunk: usize,
    /// Coefficients sent per chunk (all of a smaller chunk).
    pub topk: usize,
    /// Decay of the momentum per round.
    pub decay: f64,
    /// From this round on, what was sent is subtracted from the momentum.
    pub feedback_from_round: u64,
    /// Bits of a sent value: 2, 4, 8, or 32 to send it in full.
    pub bits: u32,
}

impl Default for DemoSettings {
    fn default() -> Self {
        Self { chunk: 64, topk: 32, decay: 0.999, feedback_from_round: 0, bits: 32 }
    }
}
