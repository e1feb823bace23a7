//! OpenSkill's Plackett-Luce rating of peers that are evaluated together.
//!
//! Weng & Lin, "A Bayesian approximation method for online ranking" (JMLR 12, 2011), algorithm 4, for teams of one
//! player, in the form of the OpenSkill package (Joshy, arXiv 2401.05451). A single loss score is far too noisy to pay
//! by. The order of a handful of peers in a round is much less noisy, and a rating adds up many rounds. A rating also
//! knows its uncertainty, so a newcomer is not paid for one lucky draw.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// OpenSkill's Plackett-Luce model (Joshy, arXiv 2401.05451).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenSkillSettings {
    pub mu: f64,
    pub sigma: f64,
    pub beta: f64,
    pub tau: f64,
    pub kappa: f64,
}

impl Default for OpenSkillSettings {
    fn default() -> Self {
        Self { mu: 25.0, sigma: 25.0 / 3.0, beta: 7.0, tau: 0.1, kappa: 1e-4 }
    }
}

impl OpenSkillSettings {
    /// Checks ranges that types cannot express.
    pub fn check(&self, found: &mut Findings) {
        found.positive("sigma", self.sigma);
        found.positive("beta", self.beta);
        found.not_negative("tau", self.tau);
        found.positive("kappa", self.kappa);
    }
}

/// Belief about a peer's skill: a normal distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rating {
    pub mu: f64,
    pub sigma: f64,
}

impl Rating {
    /// The belief about a newcomer.
    pub fn newcomer(settings: &OpenSkillSettings) -> Self {
        Self { mu: settings.mu, sigma: settings.sigma }
    }

    /// The skill that the peer has almost surely: three deviations below the mean. 0 for a newcomer with default
    /// settings.
    pub fn ordinal(&self) -> f64 {
        self.mu - 3.0 * self.sigma
    }
}

/// Ratings after one ranking, in the given order. A higher score is better; equal scores are a tie.
///
/// With fewer than two players nothing changes. Scores must not be NaN; infinite ones are fine, because they are only
/// compared.
pub fn rate(settings: &OpenSkillSettings, players: &[(Rating, f64)]) -> Vec<Rating> {
    let before: Vec<Rating> = players.iter().map(|(rating, _)| *rating).collect();
    // tau keeps sigma from vanishing, so that the rating can follow a peer whose quality changes.
    let widened: Vec<Rating> = before
        .iter()
        .map(|r| Rating { mu: r.mu, sigma: (r.sigma * r.sigma + settings.tau * settings.tau).sqrt() })
        .collect();
    let variance: f64 = widened.iter().map(|r| r.sigma * r.sigma + settings.beta * settings.beta).sum();
    let c = variance.sqrt();
    if players.len() < 2 || !c.is_finite() || c <= 0.0 {
        return before;
    }

    let mut worst_first: Vec<usize> = (0..players.len()).collect();
    worst_first.sort_by(|&a, &b| players[a].1.total_cmp(&players[b].1));
    let groups: Vec<&[usize]> = worst_first.chunk_by(|&a, &b| players[a].1 == players[b].1).collect();

    let mut after = widened.clone();
    for (rank, group) in groups.iter().enumerate() {
        for &player in *group {
            after[player] = updated(settings, &widened, c, &groups, rank, player);
        }
    }
    after
}

/// The rating of `player`, a member of `groups[rank]` (worst group first), after the ranking.
fn updated(
    settings: &OpenSkillSettings,
    ratings: &[Rating],
    c: f64,
    groups: &[&[usize]],
    rank: usize,
    player: usize,
) -> Rating {
    let Rating { mu, sigma } = ratings[player];
    // Plackett-Luce sees a ranking as a sequence of choices of the best among those left. The player took part in the
    // choice of its own group and of every better one; `chance` is its probability of being chosen. Exponents are
    // relative to the player, who is among those left, so the sum is at least 1 and no rating can make it divide by
    // zero.
    let mut left = 0.0;
    let mut omega = 1.0 / groups[rank].len() as f64;
    let mut delta = 0.0;
    for (other_rank, group) in groups.iter().enumerate() {
        left += group.iter().map(|&other| libm::exp((ratings[other].mu - mu) / c)).sum::<f64>();
        if other_rank >= rank {
            let chance = 1.0 / left;
            omega -= chance;
            delta += chance * (1.0 - chance);
        }
    }
    let variance = sigma * sigma;
    let gamma = sigma / c;
    let shrink = 1.0 - gamma * delta * variance / (c * c);
    Rating { mu: mu + omega * variance / c, sigma: sigma * shrink.max(settings.kappa).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn winner_gains_what_an_equal_loser_loses() {
        let settings = OpenSkillSettings::default();
        let newcomer = Rating::newcomer(&settings);
        let after = rate(&settings, &[(newcomer, 1.0), (newcomer, f64::NEG_INFINITY)]);
        assert!(after[0].mu > 25.0 && (after[0].mu + after[1].mu - 50.0).abs() < 1e-12);
        assert!(after.iter().all(|rating| rating.sigma < newcomer.sigma));
        assert!(after[0].ordinal() > 0.0 && after[1].ordinal() < 0.0);
    }

    #[test]
    fn one_player_learns_nothing() {
        let settings = OpenSkillSettings::default();
        let newcomer = Rating::newcomer(&settings);
        assert_eq!(rate(&settings, &[(newcomer, 1.0)]), vec![newcomer]);
        assert!(rate(&settings, &[]).is_empty());
    }

    proptest! {
        #[test]
        fn stays_finite_and_ignores_the_order_of_players(
            players in prop::collection::vec((-1e6..1e6f64, 1e-6..100.0f64, -3i32..3), 2..12),
            turn in 0usize..12,
        ) {
            let settings = OpenSkillSettings::default();
            let players: Vec<(Rating, f64)> =
                players.into_iter().map(|(mu, sigma, score)| (Rating { mu, sigma }, score as f64)).collect();
            let mut turned = players.clone();
            turned.rotate_left(turn % players.len());
            let mut straight = rate(&settings, &players);
            straight.rotate_left(turn % players.len());
            for (a, b) in straight.iter().zip(rate(&settings, &turned)) {
                prop_assert!(a.mu.is_finite() && a.sigma > 0.0 && a.sigma.is_finite());
                prop_assert!((a.mu - b.mu).abs() <= 1e-9 * b.mu.abs().max(1.0));
                prop_assert!((a.sigma - b.sigma).abs() <= 1e-9 * b.sigma);
            }
        }
    }
}
