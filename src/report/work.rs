//! Compares a peer's work and pay with a mean honest peer's, over the rounds in which it holds its slot.

use serde::{Deserialize, Serialize};

use super::{LeaderboardRow, PeerRow};

/// The behaviour with which all others are compared.
pub const HONEST: &str = "honest";

/// Totals of the honest peers of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HonestRound {
    peers: u64,
    paid: f64,
    /// `None` as soon as one of them is unknown.
    tokens: Option<f64>,
}

impl Default for HonestRound {
    fn default() -> Self {
        Self { peers: 0, paid: 0.0, tokens: Some(0.0) }
    }
}

impl HonestRound {
    /// Adds a peer of the round, if it is honest.
    pub fn add(&mut self, peer: &PeerRow) {
        if peer.behaviour == HONEST {
            self.peers += 1;
            self.paid += peer.incentive;
            self.tokens = sum(self.tokens, peer.tokens.map(|tokens| tokens as f64));
        }
    }
}

/// Sums over the rounds with an honest peer: a peer's own, and those of a mean honest peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    paid: (f64, f64),
    tokens: Option<(f64, f64)>,
}

impl Default for Compared {
    fn default() -> Self {
        Self { paid: (0.0, 0.0), tokens: Some((0.0, 0.0)) }
    }
}

impl Compared {
    /// Adds a round of the peer: its pay and its tokens.
    pub fn add(&mut self, (paid, tokens): (f64, Option<u64>), honest: &HonestRound) {
        if honest.peers == 0 {
            return;
        }
        let mean = |sum: f64| sum / honest.peers as f64;
        self.paid = (self.paid.0 + paid, self.paid.1 + mean(honest.paid));
        let (own, others) = self.tokens.unzip();
        let own = sum(own, tokens.map(|tokens| tokens as f64));
        self.tokens = own.zip(sum(others, honest.tokens.map(mean)));
    }

    /// Writes work, pay and profit into a row.
    pub fn write(&self, row: &mut LeaderboardRow) {
        row.work = self.tokens.and_then(ratio);
        row.pay = ratio(self.paid);
        row.profit = row.pay.zip(row.work).and_then(ratio);
    }
}

fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? + b?)
}

fn ratio((of, to): (f64, f64)) -> Option<f64> {
    (to > 0.0).then_some(of / to).filter(|ratio| ratio.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn honest(paid: f64, tokens: Option<u64>) -> PeerRow {
        PeerRow { incentive: paid, tokens, ..sample::peer_row() }
    }

    /// A peer's pay in a round, its tokens, and the peers of the round.
    type Round<'a> = ((f64, Option<u64>), &'a [PeerRow]);

    /// Work, pay and profit.
    fn compared(rounds: &[Round]) -> [Option<f64>; 3] {
        let (mut compared, mut row) = (Compared::default(), LeaderboardRow::default());
        for (own, peers) in rounds {
            let mut round = HonestRound::default();
            peers.iter().for_each(|peer| round.add(peer));
            compared.add(*own, &round);
        }
        compared.write(&mut row);
        [row.work, row.pay, row.profit]
    }

    #[test]
    fn a_peer_is_compared_with_the_mean_of_the_honest_in_its_own_rounds() {
        let two = [honest(0.1, Some(100)), honest(0.3, Some(300))];
        let copycat = PeerRow { behaviour: "copycat of best".into(), ..honest(0.5, Some(9)) };
        let with_others = [two.to_vec(), vec![copycat]].concat();
        assert_eq!(compared(&[((0.4, Some(50)), &with_others)]), [Some(0.25), Some(2.0), Some(8.0)]);
        // A round without honest peers is not compared.
        assert_eq!(compared(&[((0.4, Some(50)), &two), ((0.9, Some(900)), &[])]), [Some(0.25), Some(2.0), Some(8.0)]);
        assert_eq!(compared(&[((0.9, Some(900)), &[])]), [None; 3]);
    }

    #[test]
    fn without_work_there_is_no_profit_and_what_is_unknown_stays_so() {
        let known = [honest(0.2, Some(100))];
        let unknown = [honest(0.2, None)];
        assert_eq!(compared(&[((0.1, Some(0)), &known)]), [Some(0.0), Some(0.5), None]);
        assert_eq!(compared(&[((0.1, None), &known), ((0.1, Some(7)), &known)]), [None, Some(0.5), None]);
        assert_eq!(compared(&[((0.1, Some(7)), &unknown), ((0.1, Some(7)), &known)]), [None, Some(0.5), None]);
        assert_eq!(compared(&[((0.0, Some(0)), &[honest(0.0, Some(0))])]), [None; 3], "nobody works or is paid");
    }
}
