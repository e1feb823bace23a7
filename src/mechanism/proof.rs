//! Proof of computation: did a peer train on its assigned pages?
//!
//! An upload lowers the loss more on the pages it was computed from than on others. A peer that re-posts another's
//! upload, or trains on pages of its own choice, wins this comparison only by chance. Its average hovers around 0, and
//! only averages above 0 are paid (arXiv 2505.21684).

use serde::{Deserialize, Serialize};

/// The two loss scores of a peer in one primary evaluation: losses of the model before and after a small step along its
/// upload, on pages assigned to it and on unassigned pages. A hostile upload can make either `after` any number, NaN
/// included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScores {
    pub uid: crate::Uid,
    pub assigned_before: f64,
    pub assigned_after: f64,
    pub unassigned_before: f64,
    pub unassigned_after: f64,
}

impl LossScores {
    /// Relative gain on the assigned pages; minus infinity replaces NaN.
    pub fn assigned_gain(&self) -> f64 {
        relative_gain(self.assigned_before, self.assigned_after)
    }

    /// Relative gain on the unassigned pages, by which peers are ranked; minus infinity replaces NaN.
    pub fn unassigned_gain(&self) -> f64 {
        relative_gain(self.unassigned_before, self.unassigned_after)
    }

    /// +1 for a peer that gained more on its own pages, otherwise -1. Ties and NaN give -1: otherwise an upload that
    /// breaks the model on the unassigned pages would win. (One that only does harm there gets +1 but loses its
    /// rating.)
    pub fn proof(&self) -> f64 {
        let unassigned = self.unassigned_gain();
        if unassigned.is_finite() && self.assigned_gain() > unassigned { 1.0 } else { -1.0 }
    }
}

/// (before - after) / before. It is relative because assigned and unassigned pages differ in difficulty.
fn relative_gain(before: f64, after: f64) -> f64 {
    let gain = (before - after) / before;
    if before > 0.0 && gain.is_finite() { gain } else { f64::NEG_INFINITY }
}

/// The exponential average after another proof of +1 or -1.
pub fn averaged(average: f64, proof: f64, decay: f64) -> f64 {
    decay * average + (1.0 - decay) * proof
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(assigned_after: f64, unassigned_after: f64) -> LossScores {
        LossScores { uid: 0, assigned_before: 2.0, assigned_after, unassigned_before: 4.0, unassigned_after }
    }

    #[test]
    fn gains_are_relative() {
        // Half of 2 against a quarter of 4: the same difference in loss, but another proof.
        assert_eq!(scores(1.0, 3.0).proof(), 1.0);
        assert_eq!(scores(1.5, 3.0).proof(), -1.0);
        assert_eq!(scores(1.5, 2.9).proof(), -1.0);
    }

    #[test]
    fn nan_proves_nothing() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(scores(bad, 3.0).proof(), -1.0, "{bad}");
            assert_eq!(scores(bad, bad).proof(), -1.0, "{bad}");
            assert_eq!(scores(1.0, bad).proof(), -1.0, "{bad}");
            assert_eq!(scores(1.0, bad).unassigned_gain(), f64::NEG_INFINITY, "{bad}");
        }
    }

    #[test]
    fn average_of_honest_work_tends_to_one() {
        let average = (0..100).fold(0.0, |average, _| averaged(average, 1.0, 0.95));
        assert!((average - 0.994).abs() < 1e-3);
    }
}
