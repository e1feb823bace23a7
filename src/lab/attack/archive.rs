//! What a search knows of each strategy.

use std::collections::BTreeMap;

use super::arena::Trial;
use super::space::Strategy;

/// The part of an honest peer's cost that is not training: its slot, machine and link.
///
/// A strategy that trains on nothing still costs this much, so its gain is finite.
pub const OVERHEAD: f64 = 0.1;

impl Trial {
    /// Pay divided by cost; an honest peer's gain is 1.
    pub fn gain(&self) -> f64 {
        self.pay / (OVERHEAD + (1.0 - OVERHEAD) * self.work)
    }
}

/// Trials by strategy. The first trial of each strategy is of the first seed, and so on.
#[derive(Default)]
pub struct Archive(BTreeMap<Strategy, Vec<Trial>>);

impl Archive {
    /// Adds the trial of the strategy's next seed.
    pub fn add(&mut self, strategy: Strategy, trial: Trial) {
        self.0.entry(strategy).or_default().push(trial);
    }

    /// The trials of a strategy.
    pub fn trials(&self, strategy: &Strategy) -> &[Trial] {
        self.0.get(strategy).map_or(&[], Vec::as_slice)
    }

    /// How many strategies have been tried.
    pub fn strategies(&self) -> usize {
        self.0.len()
    }

    /// All strategies, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (&Strategy, &[Trial])> {
        self.0.iter().map(|(strategy, trials)| (strategy, trials.as_slice()))
    }

    /// All strategies, the most promising first.
    pub fn best(&self) -> Vec<Strategy> {
        let mut all: Vec<(f64, &Strategy)> =
            self.0.iter().map(|(strategy, trials)| (promise(trials), strategy)).collect();
        all.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
        all.into_iter().map(|(_, strategy)| strategy.clone()).collect()
    }

    /// The most promising strategies that differ in what they earned: of those that earned the same to the last digit,
    /// one. A part without effect makes another strategy, but no other finding.
    pub fn distinct(&self, most: usize) -> Vec<Strategy> {
        let mut kept: Vec<Strategy> = Vec::new();
        for strategy in self.best() {
            let trials = self.trials(&strategy);
            let earned_the_same = |other: &Strategy| trials.iter().zip(self.trials(other)).all(|(a, b)| a == b);
            if kept.len() < most && !kept.iter().any(earned_the_same) {
                kept.push(strategy);
            }
        }
        kept
    }
}

/// The expected gain of a strategy: its mean gain, counting one more trial in which it gains as much as an honest peer.
/// So one lucky seed counts half.
pub fn promise(trials: &[Trial]) -> f64 {
    (1.0 + trials.iter().map(Trial::gain).sum::<f64>()) / (1 + trials.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::attack::space::{Conditions, Space};
    use crate::random::rng;

    #[test]
    fn what_costs_less_gains_more_and_nothing_is_free() {
        let gain = |pay, work| Trial { pay, work }.gain();
        assert_eq!((gain(1.0, 1.0), gain(3.0, 1.0)), (1.0, 3.0));
        assert!((gain(1.0, 0.0) - 10.0).abs() < 1e-12 && gain(0.0, 0.0) == 0.0);
        assert!((gain(1.1, 0.5) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn one_lucky_seed_does_not_lead() {
        let space = Space::new(Conditions { most_pages: 1.0, ..Conditions::default() });
        let mut rng = rng(1, "archive test", 0, 0);
        let (lucky, steady) = (space.drawn(&mut rng), space.drawn(&mut rng));
        let mut archive = Archive::default();
        archive.add(lucky.clone(), Trial { pay: 6.0, work: 1.0 });
        (0..4).for_each(|_| archive.add(steady.clone(), Trial { pay: 5.0, work: 1.0 }));
        assert_eq!(archive.best(), [steady.clone(), lucky]);
        assert_eq!((archive.strategies(), archive.trials(&steady).len()), (2, 4));
        assert_eq!(archive.trials(&space.honest()), []);
    }

    #[test]
    fn strategies_that_earn_the_same_are_one_finding() {
        let space = Space::new(Conditions { most_pages: 1.0, ..Conditions::default() });
        let mut rng = rng(2, "archive test", 0, 0);
        let [first, alike, other] = [(); 3].map(|()| space.drawn(&mut rng));
        let mut archive = Archive::default();
        for (strategy, pays) in [(&first, [9.0, 8.0].as_slice()), (&alike, &[9.0]), (&other, &[9.0, 3.0])] {
            pays.iter().for_each(|&pay| archive.add(strategy.clone(), Trial { pay, work: 1.0 }));
        }
        assert_eq!(archive.distinct(9), [first.clone(), other]);
        assert_eq!(archive.distinct(1), [first]);
    }
}
