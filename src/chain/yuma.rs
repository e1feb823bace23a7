//! Yuma consensus: turns the weights of several validators into one set of payments.
//!
//! A weight is clipped to the highest value that half of the stake backs (the stake-weighted median), so a minority of
//! validators cannot lift its favourites. Validators earn through bonds, a moving average of the clipped weights they
//! backed: a validator earns most by giving weight early to peers that the others come to value too, and less when it
//! is out of line (Bittensor's Yuma consensus; arXiv 2505.21684 uses it for pay).

use crate::chain::ChainSettings;

/// Result of an epoch. Columns are peers and rows are validators, as in the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The highest weight of each peer that enough stake backs.
    pub consensus: Vec<f64>,
    /// Stake-weighted clipped weight of each peer.
    pub ranks: Vec<f64>,
    /// Ranks as shares: they sum to 1, or are all 0.
    pub incentives: Vec<f64>,
    /// Bonds after the epoch.
    pub bonds: Vec<Vec<f64>>,
    /// What validators earn, as shares: they sum to 1, or are all 0.
    pub dividends: Vec<f64>,
}

/// Runs an epoch. `weights[i][j]` is the weight that validator i posted for peer j: finite, not negative, on any scale.
/// `bonds` come from the last epoch and have the same shape. A validator without a positive weight abstains and its
/// stake does not count; on Bittensor too, an inactive validator's stake would otherwise veto everything.
pub fn epoch(settings: &ChainSettings, stake: &[f64], weights: &[Vec<f64>], bonds: &[Vec<f64>]) -> Outcome {
    let peers = weights.first().map_or(0, Vec::len);
    let weights: Vec<Vec<f64>> = weights.iter().map(|row| normalised(row)).collect();
    let votes = |row: &[f64]| row.iter().any(|weight| *weight > 0.0);
    let active: Vec<f64> = stake.iter().zip(&weights).map(|(s, row)| if votes(row) { *s } else { 0.0 }).collect();
    let stake = normalised(&active);

    let consensus: Vec<f64> = (0..peers).map(|j| backed(&stake, &column(&weights, j), settings.kappa)).collect();
    let clipped: Vec<Vec<f64>> =
        weights.iter().map(|row| row.iter().zip(&consensus).map(|(w, cap)| w.min(*cap)).collect()).collect();
    let ranks: Vec<f64> = (0..peers).map(|j| dot(&stake, &column(&clipped, j))).collect();
    let incentives = normalised(&ranks);

    let bonds = renewed_bonds(settings, &stake, &weights, &clipped, bonds);
    let dividends = normalised(&bonds.iter().map(|row| dot(row, &incentives)).collect::<Vec<f64>>());
    Outcome { consensus, ranks, incentives, bonds, dividends }
}

/// The highest weight that validators with at least `kappa` of the stake match or exceed.
fn backed(stake: &[f64], weights: &[f64], kappa: f64) -> f64 {
    let mut by_weight: Vec<usize> = (0..weights.len()).collect();
    by_weight.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    let total: f64 = stake.iter().sum();
    let mut backing = 0.0;
    for validator in by_weight {
        backing += stake[validator];
        if backing >= kappa * total {
            return weights[validator];
        }
    }
    0.0
}

/// Moving average of each validator's share in the support of each peer. The bond penalty sets how much of the support
/// above consensus is dropped: at 1 only clipped weights count.
fn renewed_bonds(
    settings: &ChainSettings,
    stake: &[f64],
    weights: &[Vec<f64>],
    clipped: &[Vec<f64>],
    bonds: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let (alpha, penalty) = (settings.bond_alpha, settings.bond_penalty);
    let support: Vec<Vec<f64>> = stake
        .iter()
        .zip(weights.iter().zip(clipped))
        .map(|(s, (row, cut))| row.iter().zip(cut).map(|(w, c)| s * ((1.0 - penalty) * w + penalty * c)).collect())
        .collect();
    let peers = weights.first().map_or(0, Vec::len);
    let totals: Vec<f64> = (0..peers).map(|j| column(&support, j).iter().sum()).collect();
    support
        .iter()
        .zip(bonds)
        .map(|(row, old)| {
            let share = |j: usize| if totals[j] > 0.0 { row[j] / totals[j] } else { 0.0 };
            (0..peers).map(|j| alpha * share(j) + (1.0 - alpha) * old[j]).collect()
        })
        .collect()
}

/// Scales values to sum to 1, unless all are 0. Divides by the largest first, because the sum of large weights may be
/// infinite.
fn normalised(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return vec![0.0; values.len()];
    }
    let total: f64 = values.iter().map(|value| value / largest).sum();
    values.iter().map(|value| value / largest / total).collect()
}

fn column(matrix: &[Vec<f64>], j: usize) -> Vec<f64> {
    matrix.iter().map(|row| row[j]).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stake: &[f64], weights: &[Vec<f64>]) -> Outcome {
        let bonds = vec![vec![0.0; weights[0].len()]; stake.len()];
        epoch(&ChainSettings::default(), stake, weights, &bonds)
    }

    #[test]
    fn one_validator_decides_alone() {
        let outcome = run(&[7.0], &[vec![3.0, 1.0, 0.0]]);
        assert_eq!(outcome.incentives, [0.75, 0.25, 0.0]);
        assert_eq!(outcome.dividends, [1.0]);
    }

    #[test]
    fn a_weight_above_what_half_of_the_stake_backs_is_clipped() {
        let outcome = run(&[40.0, 30.0, 30.0], &[vec![0.0, 1.0], vec![0.8, 0.2], vec![0.6, 0.4]]);
        assert_eq!(outcome.consensus, [0.6, 0.4]);
        // 0.3 * 0.6 + 0.3 * 0.6 and 0.4 * 0.4 + 0.3 * 0.2 + 0.3 * 0.4
        assert!((outcome.ranks[0] - 0.36).abs() < 1e-12 && (outcome.ranks[1] - 0.34).abs() < 1e-12);
        assert!((outcome.incentives[0] - 0.36 / 0.70).abs() < 1e-12);
        // Bonds are shares of the clipped support. Dividends of the first row: incentive of peer 1 * 0.16 / 0.34.
        let expected = 0.34 / 0.70 * (0.16 / 0.34);
        assert!((outcome.dividends[0] - expected).abs() < 1e-12, "{:?}", outcome.dividends);
    }

    #[test]
    fn bonds_are_a_moving_average() {
        let first = run(&[1.0, 1.0], &[vec![1.0], vec![1.0]]);
        assert_eq!(first.bonds, [[0.05], [0.05]]);
        let abstained = vec![vec![1.0], vec![0.0]];
        let second = epoch(&ChainSettings::default(), &[1.0, 1.0], &abstained, &first.bonds);
        assert!((second.bonds[0][0] - 0.145).abs() < 1e-12 && (second.bonds[1][0] - 0.045).abs() < 1e-12);
        assert!(second.dividends[0] > second.dividends[1]);
    }

    #[test]
    fn an_abstaining_validator_vetoes_nothing() {
        let outcome = run(&[90.0, 10.0], &[vec![0.0, 0.0], vec![0.5, 1.5]]);
        assert_eq!(outcome.incentives, [0.25, 0.75]);
        assert_eq!(outcome.dividends, [0.0, 1.0]);
        let nobody = run(&[90.0, 10.0], &[vec![0.0, 0.0], vec![0.0, 0.0]]);
        assert!(nobody.incentives.iter().chain(&nobody.dividends).all(|share| *share == 0.0));
    }

    fn weight() -> impl Strategy<Value = f64> {
        prop_oneof![1 => Just(0.0), 4 => 0.0..1.0f64, 1 => 0.0..f64::MAX]
    }

    fn network() -> impl Strategy<Value = (Vec<f64>, Vec<Vec<f64>>)> {
        (1usize..6, 1usize..8).prop_flat_map(|(validators, peers)| {
            let rows = prop::collection::vec(prop::collection::vec(weight(), peers), validators);
            (prop::collection::vec(0.1..1000.0f64, validators), rows)
        })
    }

    proptest! {
        #[test]
        fn shares_sum_to_one_and_nothing_exceeds_what_was_posted((stake, weights) in network()) {
            let mut bonds = vec![vec![0.0; weights[0].len()]; stake.len()];
            for _ in 0..3 {
                let outcome = epoch(&ChainSettings::default(), &stake, &weights, &bonds);
                for shares in [&outcome.incentives, &outcome.dividends] {
                    let sum: f64 = shares.iter().sum();
                    prop_assert!(shares.iter().all(|share| *share >= 0.0));
                    prop_assert!(sum == 0.0 || (sum - 1.0).abs() < 1e-9, "{sum}");
                }
                for (j, consensus) in outcome.consensus.iter().enumerate() {
                    let posted = weights.iter().map(|row| normalised(row)[j]).fold(0.0, f64::max);
                    prop_assert!(*consensus <= posted);
                    prop_assert!(outcome.ranks[j] <= consensus + 1e-12);
                }
                prop_assert!(outcome.bonds.iter().flatten().all(|bond| (0.0..=1.0 + 1e-9).contains(bond)));
                bonds = outcome.bonds;
            }
        }

        #[test]
        fn a_minority_lifts_nobody_above_what_the_majority_says(
            (stake, mut weights) in network(),
            minority in prop::collection::vec(weight(), 8),
        ) {
            weights.iter_mut().for_each(|row| row[0] += 1.0);
            let honest: f64 = stake.iter().sum();
            let highest: Vec<f64> = (0..weights[0].len())
                .map(|j| weights.iter().map(|row| normalised(row)[j]).fold(0.0, f64::max))
                .collect();
            let mut all_stake = stake;
            all_stake.push(honest * 0.95);
            weights.push(minority[..highest.len()].to_vec());
            let outcome = run(&all_stake, &weights);
            for (rank, most) in outcome.ranks.iter().zip(&highest) {
                prop_assert!(*rank <= most + 1e-12, "{rank} above {most}");
            }
        }
    }
}
