//! How much a peer says it did over the last rounds.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The work that a peer said it did, 0 in rounds in which it did not pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The work from a round on, as long as it stays the same. A round that nobody observed counts as the one before it.
    since: VecDeque<(u64, f64)>,
    mean: f64,
}

impl Claims {
    /// Takes in the work of a round. The mean is over all rounds from one setting of weights to the next. So each counts once,
    /// and nobody may rest in those in which nobody sets weights.
    pub fn add(&mut self, round: u64, work: f64, weights_every: u64) {
        if self.last() != work || self.since.is_empty() {
            self.since.push_back((round, work));
        }
        let (rounds, end) = (weights_every.max(1), round + 1);
        let start = end.saturating_sub(rounds);
        while self.since.get(1).is_some_and(|(from, _)| *from <= start) {
            self.since.pop_front();
        }
        let ends = self.since.iter().skip(1).map(|(from, _)| *from).chain([end]);
        let work = self.since.iter().zip(ends).map(|((from, work), end)| work * (end - from.max(&start)) as f64);
        self.mean = work.sum::<f64>() / rounds as f64;
    }

    /// The work of the last round.
    pub fn last(&self) -> f64 {
        self.since.back().map_or(0.0, |(_, work)| *work)
    }

    /// The mean work of the last rounds, as many as from one setting of weights to the next. Those before the peer came count
    /// as 0.
    pub fn mean(&self) -> f64 {
        self.mean
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_of_the_last_rounds_counts_once(
            works in proptest::collection::vec(0u8..3, 1..60), every in 1u64..20, first in 0u64..30,
        ) {
            let mut claims = Claims::default();
            let mut all = Vec::new();
            for (round, &work) in (first..).zip(&works) {
                claims.add(round, work.into(), every);
                all.push(f64::from(work));
                let last = &all[all.len().saturating_sub(every as usize)..];
                prop_assert!((claims.mean() - last.iter().sum::<f64>() / every as f64).abs() < 1e-12);
                prop_assert_eq!(claims.last(), f64::from(work));
                prop_assert!(claims.since.len() <= every as usize);
            }
        }
    }

    #[test]
    fn a_round_that_was_not_observed_counts_as_the_one_before() {
        let mut claims = Claims::default();
        [(0, 1.0), (1, 0.0), (6, 1.0)].into_iter().for_each(|(round, work)| claims.add(round, work, 10));
        assert_eq!(claims.mean(), 0.2);
        claims.add(10, 1.0, 10);
        assert_eq!(claims.mean(), 0.5);
        // What is never claimed again leaves nothing behind.
        (11..2000).for_each(|round| claims.add(round, 1.0, 10));
        assert_eq!((claims.mean(), claims.since.len()), (1.0, 1));
    }
}
