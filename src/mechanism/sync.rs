//! Sync score: the factor on the score of a peer whose model lags.

/// Steps behind at which the sync score reaches 0 (arXiv 2505.21684).
const STEPS_WITHOUT_CREDIT: f64 = 5.0;

/// (1 - min(steps, 5) / 5)^exponent: 1 in sync, 0 from five steps on. NaN gives 0.
pub(super) fn sync_score(steps_behind: f64, exponent: f64) -> f64 {
    if steps_behind.is_nan() {
        return 0.0;
    }
    libm::pow(1.0 - steps_behind.clamp(0.0, STEPS_WITHOUT_CREDIT) / STEPS_WITHOUT_CREDIT, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_score_is_zero_from_five_steps_on() {
        assert_eq!([0.0, 5.0, 9.0, f64::INFINITY].map(|steps| sync_score(steps, 2.5)), [1.0, 0.0, 0.0, 0.0]);
        assert!((sync_score(2.5, 2.5) - 0.5f64.powf(2.5)).abs() < 1e-12);
        assert_eq!(sync_score(f64::NAN, 2.5), 0.0);
    }
}
