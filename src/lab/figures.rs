//! The figures that are kept of each simulated network: pay, cost and loss.

use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::digest::Digest;
use crate::report::{LeaderboardRow, RunData};

/// The label of honest peers, with which all others are compared.
pub const HONEST: &str = "honest";

/// The figures of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Digest of the run, which the same settings reproduce; `None` for an unfinished run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Held-out loss at the end, nats a token; `None` if it was never measured or is not finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Ordered by uid.
    pub peers: Vec<PeerFigures>,
}

/// The figures of one peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerFigures {
    pub uid: Uid,
    /// Its label in tables: `honest`, or `operator/behaviour`.
    pub behaviour: String,
    /// The operator that it belongs to, if one has several slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Share of all pay of the run.
    pub pay: f64,
    /// Tokens that it trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_up: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_down: Option<u64>,
    /// Rounds in which it was aggregated.
    pub aggregated: u64,
    /// What it did while it held its slot; `None` if not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// A peer relative to a mean honest one, over the rounds in which it held its slot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub rounds: u64,
    /// Tokens and pay, as multiples of the honest peer's.
    pub work: Option<f64>,
    pub pay: Option<f64>,
}

impl Figures {
    /// The figures of a run.
    pub fn of(run: &RunData) -> Self {
        let mut peers: Vec<_> = run.leaderboard.iter().map(PeerFigures::of).collect();
        peers.sort_by_key(|peer| peer.uid);
        let loss = run.rounds.iter().rev().find_map(|row| row.loss).filter(|loss| loss.is_finite());
        Self { digest: run.manifest.digest, loss, peers }
    }

    /// The labels of the peers: honest ones first, then by name.
    pub fn labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = self.peers.iter().map(|peer| peer.behaviour.as_str()).collect();
        labels.sort_unstable_by_key(|label| (*label != HONEST, *label));
        labels.dedup();
        labels
    }

    /// The peers of a label.
    pub fn peers_of(&self, label: &str) -> impl Iterator<Item = &PeerFigures> {
        self.peers.iter().filter(move |peer| peer.behaviour == label)
    }

    /// Share of all pay that the mean peer with a label gets.
    pub fn pay(&self, label: &str) -> Option<f64> {
        mean(self.peers_of(label).map(|peer| Some(peer.pay)))
    }

    /// Pay of the mean peer with a label, relative to a mean honest peer; `None` if honest peers are not paid. Each
    /// peer is compared with the honest peers of the rounds in which it held a slot, and weighted by the number of
    /// these rounds.
    pub fn pay_ratio(&self, label: &str) -> Option<f64> {
        let held = self.held(label, |held| held.pay, |peer| Some(peer.pay));
        held.or_else(|| ratio(self.pay(label)?, self.pay(HONEST)?))
    }

    /// Tokens that the mean peer with a label trained on, relative to a mean honest peer. Weighted as pay is.
    pub fn work(&self, label: &str) -> Option<f64> {
        let tokens = |label| mean(self.peers_of(label).map(|peer| peer.tokens.map(|tokens| tokens as f64)));
        let own = |peer: &PeerFigures| peer.tokens.map(|tokens| tokens as f64);
        self.held(label, |held| held.work, own).or_else(|| ratio(tokens(label)?, tokens(HONEST)?))
    }

    /// A mean over the rounds of all peers with a label; `None` unless every one has the number. A peer without it whose
    /// `own` total is 0 held its slot only while no honest peer had any either, as before the first pay. It says nothing
    /// and is left out.
    fn held(
        &self,
        label: &str,
        of: impl Fn(&Held) -> Option<f64>,
        own: impl Fn(&PeerFigures) -> Option<f64>,
    ) -> Option<f64> {
        let (mut sum, mut rounds) = (0.0, 0.0);
        for peer in self.peers_of(label) {
            let held = peer.held?;
            let Some(number) = of(&held) else {
                own(peer).filter(|own| *own == 0.0)?;
                continue;
            };
            sum += number * held.rounds as f64;
            rounds += held.rounds as f64;
        }
        ratio(sum, rounds)
    }

    /// Pay divided by work, where an honest peer's is 1; `None` without any work.
    pub fn profit(&self, label: &str) -> Option<f64> {
        ratio(self.pay_ratio(label)?, self.work(label)?)
    }
}

impl PeerFigures {
    fn of(row: &LeaderboardRow) -> Self {
        let operator = row.behaviour.split_once('/').map(|(operator, _)| operator.to_string());
        Self {
            uid: row.uid,
            behaviour: row.behaviour.clone(),
            operator,
            pay: row.incentive_total,
            tokens: row.tokens,
            bytes_up: row.bytes_up,
            bytes_down: row.bytes_down,
            aggregated: row.rounds_aggregated,
            held: row.rounds_registered.map(|rounds| Held { rounds, work: row.work, pay: row.pay }),
        }
    }
}

fn ratio(of: f64, to: f64) -> Option<f64> {
    Some(of / to).filter(|ratio| ratio.is_finite())
}

/// The mean of values; `None` if there are none or one is unknown.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values = values.collect::<Option<Vec<f64>>>()?;
    ratio(values.iter().sum(), values.len() as f64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A network with this pay and work for each peer.
    pub fn made(peers: &[(&str, f64, Option<u64>)]) -> Figures {
        let peer = |(uid, &(behaviour, pay, tokens)): (usize, &(&str, f64, Option<u64>))| PeerFigures {
            uid: uid as Uid,
            behaviour: behaviour.into(),
            operator: None,
            pay,
            tokens,
            bytes_up: None,
            bytes_down: None,
            aggregated: 3,
            held: None,
        };
        Figures {
            digest: Some(Digest::of(b"made")),
            loss: Some(2.5),
            peers: peers.iter().enumerate().map(peer).collect(),
        }
    }

    #[test]
    fn peers_are_measured_by_the_mean_honest_one() {
        let figures = made(&[
            ("copycat", 0.5, Some(50)),
            ("honest", 0.1, Some(100)),
            ("honest", 0.3, Some(300)),
            ("idle", 0.1, Some(0)),
        ]);
        assert_eq!(figures.labels(), ["honest", "copycat", "idle"]);
        assert_eq!((figures.pay("honest"), figures.pay_ratio("copycat")), (Some(0.2), Some(2.5)));
        assert_eq!((figures.work("copycat"), figures.profit("copycat")), (Some(0.25), Some(10.0)));
        assert_eq!((figures.work("idle"), figures.profit("idle")), (Some(0.0), None));
        assert_eq!((figures.pay("late"), figures.pay_ratio("late")), (None, None));
        let unpaid = made(&[("honest", 0.0, None), ("copycat", 1.0, Some(1))]);
        assert_eq!((unpaid.pay_ratio("copycat"), unpaid.work("copycat")), (None, None));
    }

    #[test]
    fn peers_count_by_the_rounds_in_which_they_held_a_slot() {
        let mut figures = made(&[("honest", 0.6, Some(100)), ("late", 0.1, Some(10)), ("late", 0.3, Some(60))]);
        let held = |rounds, work, pay| Some(Held { rounds, work: Some(work), pay: Some(pay) });
        (figures.peers[1].held, figures.peers[2].held) = (held(10, 1.0, 5.0), held(30, 2.0, 1.0));
        assert_eq!((figures.work("late"), figures.pay_ratio("late")), (Some(1.75), Some(2.0)));
        assert_eq!(figures.profit("late"), Some(2.0 / 1.75));
        figures.peers[2].held = None;
        let of_totals = (Some(0.35), Some(0.2 / 0.6));
        assert_eq!((figures.work("late"), figures.pay_ratio("late")), of_totals, "not known of all");
    }

    #[test]
    fn keys_that_were_dropped_before_the_first_pay_do_not_count() {
        // A peer that registers anew every 10 rounds, beside an honest one of 40 rounds. Pay begins in round 10.
        let mut figures =
            made(&[("honest", 0.25, None), ("leaves", 0.0, None), ("leaves", 0.375, None), ("leaves", 0.375, None)]);
        let held = |rounds, pay| Some(Held { rounds, work: None, pay });
        for (peer, held) in figures.peers.iter_mut().zip([
            held(30, Some(1.0)),
            held(10, None),
            held(10, Some(4.0)),
            held(10, Some(5.0)),
        ]) {
            peer.held = held;
        }
        assert_eq!(figures.pay_ratio("leaves"), Some(4.5));
        figures.peers[1].pay = 0.5;
        assert_eq!(
            figures.pay_ratio("leaves"),
            Some((0.5 + 0.375 + 0.375) / 3.0 / 0.25),
            "paid while nobody honest was"
        );
    }

    #[test]
    fn figures_of_a_run_are_those_of_its_leaderboard() {
        let mut run = crate::report::sample::copycat();
        run.rounds[148].loss = Some(1.75);
        run.rounds[149].loss = None;
        run.leaderboard[0].behaviour = "farm/copycat of best".into();
        let figures = Figures::of(&run);
        assert_eq!((figures.loss, figures.peers.len(), figures.digest), (Some(1.75), 16, run.manifest.digest));
        let row = &run.leaderboard[0];
        let peer = figures.peers.iter().find(|peer| peer.uid == row.uid).unwrap();
        assert_eq!(
            (peer.operator.as_deref(), peer.pay, peer.aggregated),
            (Some("farm"), row.incentive_total, row.rounds_aggregated)
        );
        assert!(figures.peers.is_sorted_by_key(|peer| peer.uid));
        run.rounds[148].loss = Some(f64::NAN);
        assert_eq!(Figures::of(&run).loss, None, "a run that blew up has none");
    }
}
