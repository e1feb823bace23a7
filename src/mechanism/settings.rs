//! What every mechanism's settings can tell.

use super::Mechanism;
use crate::settings::Findings;

/// The settings of a mechanism.
pub trait MechanismSettings: Send + Sync {
    /// Checks what a type cannot tell; paths are relative to the section.
    fn check(&self, found: &mut Findings);

    /// The mechanism of a validator. `secret` is the validator's own: peers must not foresee its draws.
    fn build(&self, secret: u64) -> Box<dyn Mechanism>;

    /// Pages that a validator runs forward in a round, where each peer has `pages` and `aggregated` are aggregated: what a
    /// validator's hardware must keep up with.
    fn forward_passes(&self, pages: usize, aggregated: usize) -> f64;
}

/// Pages in a sample of a peer's pages.
pub(super) fn sampled(fraction: f64, pages: usize) -> f64 {
    (fraction * pages as f64).round().max(1.0)
}
