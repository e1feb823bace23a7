//! Means with their 95 % intervals.

use serde::{Deserialize, Serialize};

/// The mean of some values, and its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub mean: f64,
    /// Half the width of the 95 % interval, by Student's t; `None` for one value.
    pub half: Option<f64>,
    /// Number of values.
    pub count: usize,
}

impl Interval {
    /// From independent values, such as those of several seeds; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let half = (count > 1).then(|| {
            let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
            t_quantile(count - 1) * (squares / (count - 1) as f64 / count as f64).sqrt()
        });
        Some(Self { mean, half, count })
    }

    /// From the differences `after - before` of pairs, such as two settings with the same seed.
    pub fn of_differences(pairs: &[(f64, f64)]) -> Option<Self> {
        Self::of(&pairs.iter().map(|(before, after)| after - before).collect::<Vec<_>>())
    }

    /// The same of values that are multiplied by this factor.
    pub fn scaled(self, factor: f64) -> Self {
        Self { mean: self.mean * factor, half: self.half.map(|half| half * factor), ..self }
    }

    /// `1.20 ± 0.31`: the mean and half the width of the interval, if there is one. `signed` writes a plus too.
    pub fn text(&self, digits: usize, signed: bool) -> String {
        let mean = if signed { format!("{:+.digits$}", self.mean) } else { format!("{:.digits$}", self.mean) };
        // Avoid a minus before a zero.
        let is_zero = mean.trim_start_matches(['-', '0', '.']).is_empty();
        let mean = if is_zero { mean.replace('-', if signed { "+" } else { "" }) } else { mean };
        self.half.map_or(mean.clone(), |half| format!("{mean} ± {half:.digits$}"))
    }

    /// The same, followed by `(4 of 5)` if only so many of the networks have the number, for example a loss where one
    /// diverged.
    pub fn text_of(&self, digits: usize, networks: usize) -> String {
        let text = self.text(digits, false);
        if self.count < networks { format!("{text} ({} of {networks})", self.count) } else { text }
    }

    /// Both ends of the interval, if there is one.
    pub fn ends(&self) -> Option<(f64, f64)> {
        self.half.map(|half| (self.mean - half, self.mean + half))
    }
}

/// The absolute value that Student's t with these degrees of freedom exceeds with a probability of 5 %.
///
/// # Panics
/// Without any degree of freedom.
pub fn t_quantile(freedom: usize) -> f64 {
    assert!(freedom > 0, "one value has no spread");
    // Bisection over the angle, as the probability rises with it. 60 steps exhaust an f64's precision.
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..60 {
        let angle = 0.5 * (low + high);
        if within(angle, freedom) < 0.95 {
            low = angle;
        } else {
            high = angle;
        }
    }
    libm::tan(0.5 * (low + high)) * (freedom as f64).sqrt()
}

/// The probability that |t| stays below `tan(angle) * sqrt(freedom)`: Abramowitz and Stegun, 26.7.3 and 26.7.4.
fn within(angle: f64, freedom: usize) -> f64 {
    let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
    let square = cosine * cosine;
    let odd = freedom % 2 == 1;
    if freedom == 1 {
        return angle * std::f64::consts::FRAC_2_PI;
    }
    // cos + 2/3 cos^3 + 2*4/(3*5) cos^5 + ..., or 1 + 1/2 cos^2 + 1*3/(2*4) cos^4 + ..., up to cos^(freedom - 2).
    let (mut term, mut power) = if odd { (cosine, 1) } else { (1.0, 0) };
    let mut sum = term;
    while power + 2 <= freedom - 2 && term > 1e-18 {
        power += 2;
        term *= square * (power - 1) as f64 / power as f64;
        sum += term;
    }
    if odd { std::f64::consts::FRAC_2_PI * (angle + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_published_tables() {
        for (freedom, expected) in [
            (1, 12.706_204_736_174_7),
            (2, 4.302_652_729_749_46),
            (3, 3.182_446_305_283_71),
            (4, 2.776_445_105_197_79),
            (5, 2.570_581_835_636_31),
            (9, 2.262_157_162_798_2),
            (10, 2.228_138_851_986_27),
            (30, 2.042_272_456_301_24),
            (100, 1.983_971_518_523_55),
            (1000, 1.962_339_080_826_41),
        ] {
            let found = t_quantile(freedom);
            assert!((found - expected).abs() < 1e-9, "{freedom}: {found}");
        }
        // Close to the value of the normal distribution, 1.959964.
        assert!((t_quantile(100_001) - 1.959_988).abs() < 1e-6);
    }

    #[test]
    fn an_interval_matches_a_textbook() {
        // Sample mean 5, deviation 2: 2.776 * 2 / sqrt(5).
        let interval = Interval::of(&[3.0, 3.0, 5.0, 7.0, 7.0]).unwrap();
        assert_eq!((interval.mean, interval.count), (5.0, 5));
        assert!((interval.half.unwrap() - 2.776_445_105_197_79 * (4.0_f64 / 5.0).sqrt()).abs() < 1e-12);
        assert_eq!(Interval::of(&[4.0]).unwrap(), Interval { mean: 4.0, half: None, count: 1 });
        assert_eq!((Interval::of(&[]), Interval::of(&[4.0]).unwrap().ends()), (None, None));
    }

    #[test]
    fn an_interval_is_written_with_its_half_and_what_is_missing() {
        let interval = Interval::of(&[0.25, 0.75]).unwrap();
        assert_eq!((interval.text(2, false), interval.text(1, true)), ("0.50 ± 3.18".into(), "+0.5 ± 3.2".into()));
        assert_eq!(
            (interval.text_of(2, 2), interval.text_of(2, 3)),
            ("0.50 ± 3.18".into(), "0.50 ± 3.18 (2 of 3)".into())
        );
        let zero = Interval { mean: -0.001, half: None, count: 1 };
        assert_eq!((zero.text(2, false), zero.text(2, true)), ("0.00".into(), "+0.00".into()));
        assert_eq!(zero.scaled(100.0).text(2, true), "-0.10");
    }

    #[test]
    fn pairs_cancel_what_both_share() {
        let pairs: Vec<(f64, f64)> =
            (0..5).map(|seed| (100.0 * f64::from(seed), 100.0 * f64::from(seed) + 2.0)).collect();
        let interval = Interval::of_differences(&pairs).unwrap();
        assert_eq!((interval.mean, interval.ends()), (2.0, Some((2.0, 2.0))));
    }
}
