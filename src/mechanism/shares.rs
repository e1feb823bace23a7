//! Turns scores of peers into shares of the pay.

use crate::Uid;

/// x^power / sum x^power over the positive scores. The shares sum to 1, or are all 0 if no score is positive.
///
/// With a power above 1 one strong peer earns more than several names that split its work (arXiv 2505.21684 squares).
pub fn shares(scores: impl IntoIterator<Item = (Uid, f64)>, power: f64) -> Vec<(Uid, f64)> {
    let payable = |score: f64| if score.is_finite() { score.max(0.0) } else { 0.0 };
    let scores: Vec<(Uid, f64)> = scores.into_iter().map(|(uid, score)| (uid, payable(score))).collect();
    let best = scores.iter().map(|(_, score)| *score).fold(0.0, f64::max);
    // Relative to the best score, so that no power overflows and the best ones do not underflow.
    let raised = |score: f64| if score > 0.0 { libm::pow(score / best, power) } else { 0.0 };
    let total: f64 = scores.iter().map(|(_, score)| raised(*score)).sum();
    let share = |score: f64| if total > 0.0 && total.is_finite() { raised(score) / total } else { 0.0 };
    scores.iter().map(|(uid, score)| (*uid, share(*score))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_positive_scores_are_paid_and_by_their_square() {
        let paid = shares([(0, 1.0), (1, 2.0), (2, -9.0), (3, 0.0), (4, f64::NAN)], 2.0);
        assert_eq!(paid, [(0, 0.2), (1, 0.8), (2, 0.0), (3, 0.0), (4, 0.0)]);
        assert!(shares([(0, -1.0), (1, 0.0)], 2.0).iter().all(|(_, share)| *share == 0.0));
        assert!(shares([], 2.0).is_empty());
    }

    #[test]
    fn splitting_a_peer_does_not_pay() {
        let whole = shares([(0, 2.0), (1, 2.0)], 2.0)[0].1;
        let split = shares([(0, 1.0), (2, 1.0), (1, 2.0)], 2.0);
        assert!(split[0].1 + split[1].1 < whole);
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_or_nothing(
            scores in prop::collection::vec(prop::num::f64::ANY, 0..40),
            power in 0.5..4.0f64,
        ) {
            let positive = scores.iter().any(|score| score.is_finite() && *score > 0.0);
            let paid = shares(scores.into_iter().enumerate().map(|(uid, score)| (uid as Uid, score)), power);
            let sum: f64 = paid.iter().map(|(_, share)| share).sum();
            prop_assert!(paid.iter().all(|(_, share)| (0.0..=1.0).contains(share)));
            prop_assert!((sum - if positive { 1.0 } else { 0.0 }).abs() < 1e-9, "{sum}");
        }
    }
}
