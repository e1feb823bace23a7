//! How large the margins of checks usually are.

use serde::{Deserialize, Serialize};

use super::record::median;
use crate::mechanism::measure::Margin;

/// The part of the earlier rounds that remains after another one.
const MEMORY: f64 = 0.9;
/// The part of a usual margin that is enough: more does not count. Where it is smaller, chance and sharper proofs decide less, and
/// gradients that are cheaper all over are told less well.
const ENOUGH: f64 = 0.6;
/// The most that a margin counts in the strength of an upload, relative to the usual one. Chance makes many margins larger than usual.
/// If that did not count, chance would take more from honest uploads than from those of cheaper gradients.
const MOST: f64 = 2.0;

/// The usual margins of one kind of checks, one of each matrix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// Sums of the median margins of rounds; older ones weigh less.
    sums: Vec<f64>,
    /// Number of rounds; older ones count less.
    rounds: f64,
}

impl Usual {
    /// Takes in the margins of a round's checks, each with the work that earlier checks have found. Without any, nothing changes: peers of which nothing is known do not say what is usual.
    pub fn add(&mut self, checks: &[(&[Margin], f64)]) {
        let working = || checks.iter().filter(|(_, work)| *work > 0.0);
        let Some((first, _)) = working().next() else { return };
        self.sums.resize(first.len(), 0.0);
        self.rounds = MEMORY * self.rounds + 1.0;
        for (at, sum) in self.sums.iter_mut().enumerate() {
            let values = working().map(|(margins, work)| (margins.get(at).and_then(shown).unwrap_or(0.0), *work));
            *sum = MEMORY * *sum + median(values).unwrap_or(0.0);
        }
    }

    /// The result of a check: the mean over all weights of the margins relative to what is enough, 1 at most, because an
    /// upload of fewer tokens has more of each. Where nothing is the peer's own, -1.
    pub fn result(&self, margins: &[Margin]) -> f64 {
        self.mean(margins, |relative| (relative / ENOUGH).clamp(-1.0, 1.0))
    }

    /// How strong a check finds the work: the mean over all weights of the margins relative to the usual ones, 1 where they are
    /// as large. Where nothing is the peer's own, -1.
    pub fn strength(&self, margins: &[Margin]) -> f64 {
        self.mean(margins, |relative| relative.clamp(-MOST, MOST))
    }

    /// The mean over all weights of what margins relative to the usual ones are worth. Where there is usually none, the sign counts.
    fn mean(&self, margins: &[Margin], worth: impl Fn(f64) -> f64) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (at, margin) in margins.iter().enumerate() {
            let usual = self.sums.get(at).map_or(0.0, |sum| sum / self.rounds);
            let relative = |value: f64| if usual > 0.0 { value / usual } else { value.signum() };
            sum += margin.weights * shown(margin).map_or(-1.0, |value| worth(relative(value)));
            weights += margin.weights;
        }
        if weights > 0.0 { sum / weights } else { -1.0 }
    }
}

/// The result of a check by the signs of its margins.
pub fn by_signs(margins: &[Margin]) -> f64 {
    Usual::default().result(margins)
}

/// A margin from -1 to 1, unless nothing is the peer's own.
fn shown(margin: &Margin) -> Option<f64> {
    (!margin.value.is_nan() && margin.value != 0.0).then(|| margin.value.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn margins(values: [f64; 2]) -> [Margin; 2] {
        [Margin { weights: 3.0, value: values[0] }, Margin { weights: 1.0, value: values[1] }]
    }

    fn after(rounds: &[&[[f64; 2]]]) -> Usual {
        let mut usual = Usual::default();
        for round in rounds {
            let checks: Vec<[Margin; 2]> = round.iter().map(|values| margins(*values)).collect();
            usual.add(&checks.iter().map(|check| (&check[..], 1.0)).collect::<Vec<_>>());
        }
        usual
    }

    #[test]
    fn margins_count_by_their_size_up_to_what_is_enough() {
        let usual = after(&[&[[0.2, 0.4], [0.9, 0.4], [-1.0, 0.4]], &[[0.1, 0.4], [0.2, 0.4], [0.3, 0.4]]]);
        for (values, expected) in [
            ([0.2, 0.4], 1.0),
            ([0.12, 0.24], 1.0),
            ([0.06, 0.12], 0.5),
            ([0.9, 0.9], 1.0),
            ([-0.06, 0.12], 0.25 * (-3.0 * 0.5 + 0.5)),
            ([-0.9, -0.9], -1.0),
        ] {
            let found = usual.result(&margins(values));
            assert!((found - expected).abs() < 1e-12, "{values:?}: {found}");
        }
    }

    #[test]
    fn strength_is_the_size_of_margins_up_to_twice_the_usual() {
        let usual = after(&[&[[0.2, 0.4]]]);
        for (values, expected) in [
            ([0.2, 0.4], 1.0),
            ([0.1, 0.2], 0.5),
            ([0.3, 0.6], 1.5),
            ([0.9, 0.4], 0.25 * (3.0 * 2.0 + 1.0)),
            ([-0.9, 0.4], 0.25 * (-3.0 * 2.0 + 1.0)),
            ([0.2, 0.0], 0.25 * (3.0 - 1.0)),
        ] {
            let found = usual.strength(&margins(values));
            assert!((found - expected).abs() < 1e-12, "{values:?}: {found}");
        }
        assert_eq!(Usual::default().strength(&margins([0.3, -0.1])), 0.5, "signs, where nothing is usual");
        assert_eq!(usual.strength(&[]), -1.0);
    }

    #[test]
    fn where_no_size_is_usual_signs_count() {
        for usual in [Usual::default(), after(&[&[[-0.1, -0.2]]])] {
            assert_eq!(usual.result(&margins([0.01, 0.9])), 1.0);
            assert_eq!(usual.result(&margins([0.01, -0.9])), 0.5);
        }
        assert_eq!(by_signs(&margins([-0.01, 0.9])), -0.5);
    }

    #[test]
    fn what_shows_nothing_counts_as_the_opposite() {
        let usual = after(&[&[[0.2, 0.2]]]);
        for nothing in [0.0, f64::NAN] {
            assert_eq!(usual.result(&margins([nothing, nothing])), -1.0);
            assert_eq!(by_signs(&margins([nothing, nothing])), -1.0);
        }
        assert_eq!(usual.result(&[]), -1.0);
        assert!(after(&[&[[f64::NAN, f64::INFINITY]], &[]]).result(&margins([0.06, 0.06])).is_finite());
    }

    #[test]
    fn only_those_who_are_known_to_work_say_what_is_usual() {
        let (work, idle) = (margins([0.2, 0.2]), margins([-0.3, 0.0]));
        let mut usual = Usual::default();
        usual.add(&[(&idle, 0.0)]);
        assert_eq!(usual, Usual::default());
        usual.add(&[(&idle, 0.0), (&work, 1.0), (&idle, 0.0)]);
        assert!((usual.result(&margins([0.06, 0.06])) - 0.5).abs() < 1e-12);
        usual.add(&[(&idle, 0.4), (&work, 1.0), (&idle, 0.4)]);
        assert!((usual.result(&margins([0.06, 0.06])) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_is_usual_follows_the_rounds() {
        let many = [&[[0.4, 0.4]][..]; 60];
        let usual = after(&[&[&[[0.06, 0.06]][..]; 60][..], &many].concat());
        assert!((usual.result(&margins([0.12, 0.12])) - 0.5).abs() < 1e-2);
    }
}
