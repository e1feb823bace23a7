//! Fast evaluation: the cheap checks that every upload goes through every round.
//!
//! What each check defends against: the put window is too short to fetch another's upload and post it as one's own; the
//! form check keeps payloads out that would break or bend the aggregation; the sync check keeps out gradients that were
//! computed on another model, which point somewhere else and cost the whole network.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Steps behind at which nothing is left of the sync score (arXiv 2505.21684).
const STEPS_WITHOUT_CREDIT: f64 = 5.0;

/// What fast evaluation found about one peer in one round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FastOutcome {
    /// Everything in order.
    Passed { steps_behind: f64 },
    /// Nothing was uploaded.
    Absent,
    /// Stamped before the put window.
    TooEarly,
    /// Stamped after the put window.
    TooLate,
    /// Undecodable, wrongly signed, or not of the model's shape.
    Malformed,
    /// Computed on a model that is too many steps away.
    OutOfSync { steps_behind: f64 },
}

impl FastOutcome {
    /// Outcome of an upload that arrived in time and in good form, by how far its model is away.
    pub fn of_sync(steps_behind: f64, max_steps_behind: f64) -> Self {
        if steps_behind <= max_steps_behind { Self::Passed { steps_behind } } else { Self::OutOfSync { steps_behind } }
    }

    /// Name in tables and files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Absent => "absent",
            Self::TooEarly => "too_early",
            Self::TooLate => "too_late",
            Self::Malformed => "malformed",
            Self::OutOfSync { .. } => "out_of_sync",
        }
    }

    /// Whether the upload may be evaluated and aggregated.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Passed { .. })
    }

    /// Distance of the peer's model from the validator's in steps, where the check got that far.
    pub fn steps_behind(&self) -> Option<f64> {
        match *self {
            Self::Passed { steps_behind } | Self::OutOfSync { steps_behind } => Some(steps_behind),
            _ => None,
        }
    }
}

impl fmt::Display for FastOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong with an upload's stamp, if anything: it must lie in the put window, both ends included. All
/// since genesis.
pub fn mistimed(stamp: Duration, opens: Duration, closes: Duration) -> Option<FastOutcome> {
    if stamp < opens {
        Some(FastOutcome::TooEarly)
    } else if stamp > closes {
        Some(FastOutcome::TooLate)
    } else {
        None
    }
}

/// How many sign steps of size `lr` the peer's model is away from the validator's: mean |theta_validator - theta_peer|
/// / lr over the sampled parameters. Infinite for samples that cannot be compared (another number of them, none, not
/// finite).
pub fn steps_behind(validator_samples: &[f32], peer_samples: &[f32], lr: f64) -> f64 {
    if validator_samples.len() != peer_samples.len() || peer_samples.is_empty() {
        return f64::INFINITY;
    }
    let distance: f64 = validator_samples
        .iter()
        .zip(peer_samples)
        .map(|(&ours, &theirs)| (f64::from(ours) - f64::from(theirs)).abs())
        .sum();
    let steps = distance / peer_samples.len() as f64 / lr;
    if distance == 0.0 {
        0.0
    } else if steps.is_nan() {
        f64::INFINITY
    } else {
        steps
    }
}

/// (1 - min(steps, 5) / 5)^exponent: 1 in sync, 0 from five steps on (and for what is not a number).
pub fn sync_score(steps_behind: f64, exponent: f64) -> f64 {
    if steps_behind.is_nan() {
        return 0.0;
    }
    libm::pow(1.0 - steps_behind.clamp(0.0, STEPS_WITHOUT_CREDIT) / STEPS_WITHOUT_CREDIT, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_steps() {
        let ours = [0.0f32, 0.5, -0.25];
        let theirs = [0.002f32, 0.498, -0.248];
        assert!((steps_behind(&ours, &theirs, 1e-3) - 2.0).abs() < 1e-4);
        assert_eq!(steps_behind(&ours, &ours, 1e-3), 0.0);
        assert_eq!(steps_behind(&ours, &ours, 0.0), 0.0);
    }

    #[test]
    fn hostile_samples_are_infinitely_far() {
        let ours = [0.0f32, 1.0];
        for theirs in [&[0.0f32, f32::NAN][..], &[f32::INFINITY, 1.0], &[0.0], &[]] {
            let steps = steps_behind(&ours, theirs, 1e-3);
            assert_eq!(steps, f64::INFINITY, "{theirs:?}");
            assert!(!FastOutcome::of_sync(steps, 3.0).passed());
            assert_eq!(sync_score(steps, 2.5), 0.0);
        }
        assert!(!FastOutcome::of_sync(f64::NAN, 3.0).passed());
        assert_eq!(steps_behind(&[], &[], 1e-3), f64::INFINITY);
        assert!(steps_behind(&[f32::MAX; 4], &[f32::MIN; 4], 1e-3).is_finite());
    }

    #[test]
    fn sync_score_falls_from_one_to_zero() {
        assert_eq!(sync_score(0.0, 2.5), 1.0);
        assert!((sync_score(3.0, 2.5) - 0.4f64.powf(2.5)).abs() < 1e-12);
        assert_eq!(sync_score(5.0, 2.5), 0.0);
        assert_eq!(sync_score(1e300, 2.5), 0.0);
        assert_eq!(sync_score(f64::NAN, 2.5), 0.0);
    }

    #[test]
    fn the_put_window_includes_its_ends() {
        let outcome = |stamp| {
            let [stamp, opens, closes] = [stamp, 1000, 2000].map(Duration::from_millis);
            mistimed(stamp, opens, closes)
        };
        assert_eq!(outcome(999), Some(FastOutcome::TooEarly));
        assert_eq!(outcome(1000), None);
        assert_eq!(outcome(2000), None);
        assert_eq!(outcome(2001), Some(FastOutcome::TooLate));
    }
}
