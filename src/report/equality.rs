//! Measures how evenly pay is shared.

use serde::{Deserialize, Serialize};

use super::LeaderboardRow;
use super::work::HONEST;

/// How evenly the pay of a run is shared among peers with the same behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Equality {
    pub peers: usize,
    /// See [`gini`].
    pub gini: f64,
    /// See [`variation`].
    pub variation: f64,
}

impl Equality {
    /// Over the honest peers that held their slot as long as any other honest peer did. `None` if there are fewer than
    /// two, if none was paid, or if the folder does not say how long they held it.
    pub fn of_honest(rows: &[LeaderboardRow]) -> Option<Self> {
        let honest: Vec<&LeaderboardRow> = rows.iter().filter(|row| row.behaviour == HONEST).collect();
        let longest = honest.iter().filter_map(|row| row.rounds_registered).max()?;
        let there = honest.iter().filter(|row| row.rounds_registered == Some(longest));
        let paid: Vec<f64> = there.map(|row| row.incentive_total).collect();
        if paid.len() < 2 {
            return None;
        }
        Some(Self { peers: paid.len(), gini: gini(&paid)?, variation: variation(&paid)? })
    }
}

/// The Gini coefficient: half the mean absolute difference of two shares, where each pair includes a share with itself,
/// divided by the mean share. It is 0 if all are equal and 1 - 1/n if one of n gets everything. `None` if nothing is
/// shared.
pub fn gini(shares: &[f64]) -> Option<f64> {
    let mut sorted = shares.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (count, sum) = (sorted.len() as f64, sorted.iter().sum::<f64>());
    let weighted: f64 = sorted.iter().zip(1..).map(|(share, rank)| share * f64::from(rank)).sum();
    (sum > 0.0).then(|| (2.0 * weighted / sum - count - 1.0) / count).filter(|gini| gini.is_finite())
}

/// The coefficient of variation: standard deviation, with n in the denominator, divided by the mean. `None` if nothing
/// is shared.
pub fn variation(shares: &[f64]) -> Option<f64> {
    let count = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / count;
    let squares: f64 = shares.iter().map(|share| (share - mean) * (share - mean)).sum();
    (mean > 0.0).then(|| (squares / count).sqrt() / mean).filter(|variation| variation.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?}, expected {expected}");
    }

    #[test]
    fn equal_shares_are_zero_and_one_owner_is_nearly_one() {
        close(gini(&[3.0; 4]), 0.0);
        close(variation(&[3.0; 4]), 0.0);
        close(gini(&[0.0, 0.0, 5.0, 0.0]), 0.75);
        close(variation(&[0.0, 0.0, 5.0, 0.0]), 3f64.sqrt());
        // Differences of all pairs: (1 + 2 + 3 + 1 + 2 + 1) * 2 / 16, half of it, by a mean of 2.5.
        close(gini(&[4.0, 1.0, 3.0, 2.0]), 0.25);
        close(variation(&[4.0, 1.0, 3.0, 2.0]), 1.25f64.sqrt() / 2.5);
    }

    #[test]
    fn nothing_shared_has_no_inequality() {
        for shares in [&[][..], &[0.0, 0.0], &[f64::NAN, 1.0], &[f64::INFINITY, 1.0]] {
            assert_eq!((gini(shares), variation(shares)), (None, None), "{shares:?}");
        }
    }

    #[test]
    fn honest_peers_that_were_there_all_along_are_compared() {
        let row = |behaviour: &str, rounds, paid| LeaderboardRow {
            behaviour: behaviour.into(),
            incentive_total: paid,
            rounds_registered: rounds,
            ..LeaderboardRow::default()
        };
        let rows = [
            row("honest", Some(20), 0.1),
            row("copycat", Some(20), 0.5),
            row("honest", Some(20), 0.3),
            row("honest", Some(5), 0.1),
        ];
        let equality = Equality::of_honest(&rows).unwrap();
        assert_eq!(equality.peers, 2);
        close(Some(equality.gini), 0.25);
        close(Some(equality.variation), 0.5);
        assert_eq!(Equality::of_honest(&rows[..2]), None, "one alone");
        assert_eq!(Equality::of_honest(&[row("honest", None, 0.1), row("honest", None, 0.2)]), None);
    }
}
