//! What the margins of a check say: by their signs, and by their sizes.

use serde::{Deserialize, Serialize};

use super::record::median;
use crate::mechanism::measure::Margin;

/// The part of the earlier rounds that remains after another one.
const MEMORY: f64 = 0.9;
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

    /// How strong a check finds the work: the mean over all weights of the margins relative to the usual ones, 1 where they are
    /// as large. Where there is usually none, the sign counts. Where nothing is the peer's own, -1.
    pub fn strength(&self, margins: &[Margin]) -> f64 {
        mean(margins, |at, value| {
            let usual = self.sums.get(at).map_or(0.0, |sum| sum / self.rounds);
            if usual > 0.0 { (value / usual).clamp(-MOST, MOST) } else { value.signum() }
        })
    }
}

/// The result of a check: the part of the weights whose margins are above 0, less that of the others. Sizes do not count here, because
/// an upload of fewer tokens has more of each.
pub fn result(margins: &[Margin]) -> f64 {
    mean(margins, |_, value| value.signum())
}

/// The mean over all weights of what each margin is worth. Where nothing is the peer's own, -1.
fn mean(margins: &[Margin], worth: impl Fn(usize, f64) -> f64) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (at, margin) in margins.iter().enumerate() {
        sum += margin.weights * shown(margin).map_or(-1.0, |value| worth(at, value));
        weights += margin.weights;
    }
    if weights > 0.0 { sum / weights } else { -1.0 }
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
    fn strength_is_the_size_of_margins_up_to_twice_the_usual() {
        let usual = after(&[&[[0.2, 0.4], [0.9, 0.4], [-1.0, 0.4]]]);
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
    }

    #[test]
    fn the_result_goes_by_signs() {
        assert_eq!(result(&margins([0.01, 0.9])), 1.0);
        assert_eq!(result(&margins([0.01, -0.9])), 0.5);
        assert_eq!(result(&margins([-0.01, 0.9])), -0.5);
        for usual in [Usual::default(), after(&[&[[-0.1, -0.2]]])] {
            assert_eq!(usual.strength(&margins([0.01, -0.9])), 0.5, "where no size is usual, strength does too");
        }
    }

    #[test]
    fn what_shows_nothing_counts_as_the_opposite() {
        let usual = after(&[&[[0.2, 0.2]]]);
        for nothing in [0.0, f64::NAN] {
            assert_eq!(usual.strength(&margins([nothing, nothing])), -1.0);
            assert_eq!(result(&margins([nothing, nothing])), -1.0);
        }
        assert_eq!((usual.strength(&[]), result(&[])), (-1.0, -1.0));
        assert!(after(&[&[[f64::NAN, f64::INFINITY]], &[]]).strength(&margins([0.06, 0.06])).is_finite());
    }

    #[test]
    fn only_those_who_are_known_to_work_say_what_is_usual() {
        let (work, idle) = (margins([0.2, 0.2]), margins([-0.3, 0.0]));
        let mut usual = Usual::default();
        usual.add(&[(&idle, 0.0)]);
        assert_eq!(usual, Usual::default());
        let half = margins([0.1, 0.1]);
        usual.add(&[(&idle, 0.0), (&work, 1.0), (&idle, 0.0)]);
        assert!((usual.strength(&half) - 0.5).abs() < 1e-12);
        usual.add(&[(&idle, 0.4), (&work, 1.0), (&idle, 0.4)]);
        assert!((usual.strength(&half) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_is_usual_follows_the_rounds() {
        let many = [&[[0.4, 0.4]][..]; 60];
        let usual = after(&[&[&[[0.06, 0.06]][..]; 60][..], &many].concat());
        assert!((usual.strength(&margins([0.2, 0.2])) - 0.5).abs() < 1e-2);
    }
}
