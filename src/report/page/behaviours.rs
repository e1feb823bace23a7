//! Peers by behaviour: how many, what they are paid together, and the spread of each of the mechanism's numbers.

use serde::Serialize;

use super::kept::{Kept, of_round};
use super::numbers::Numbers;
use crate::report::PeerRow;
use crate::report::plots::quantile;

/// Most behaviours with lines of their own. The others share one.
const MOST: usize = 16;
/// The label of those that share a line.
const OTHERS: &str = "other behaviours";

/// The behaviours of a run, honest ones first, then in the order in which they came.
pub struct Groups {
    pub labels: Vec<String>,
}

/// The peers of a behaviour, round by round.
#[derive(Serialize)]
pub struct Behaviour {
    label: String,
    count: Vec<usize>,
    /// Their share of the round's pay, all together.
    pay: Numbers,
    /// For each of the mechanism's columns.
    numbers: Vec<Spread>,
}

/// The median of a number, and between which values four fifths of the peers lie.
#[derive(Default, Serialize)]
struct Spread {
    middle: Numbers,
    low: Numbers,
    high: Numbers,
}

impl Groups {
    /// The behaviours that the slots name; a folder without them names them in the lines of its peers.
    pub fn of(kept: &Kept) -> Self {
        let mut labels: Vec<String> = Vec::new();
        let mut more = false;
        let mut add = |label: &str| {
            if !labels.iter().any(|known| known == label) {
                match labels.len() < MOST {
                    true => labels.push(label.to_string()),
                    false => more = true,
                }
            }
        };
        kept.slots.iter().for_each(|slot| add(&slot.behaviour));
        if kept.slots.is_empty() {
            kept.run.peers.iter().for_each(|row| add(&row.behaviour));
        }
        labels.sort_by_key(|label| !label.starts_with("honest"));
        if more {
            labels.push(OTHERS.into());
        }
        Self { labels }
    }

    /// The place of a behaviour, or that of the others.
    pub fn at(&self, label: &str) -> usize {
        self.labels.iter().position(|known| known == label).unwrap_or(self.labels.len().saturating_sub(1))
    }

    /// What each behaviour's peers got in these rounds.
    pub fn measured(&self, rows: &[PeerRow], rounds: &[u64], columns: usize) -> Vec<Behaviour> {
        let mut behaviours: Vec<Behaviour> = self.labels.iter().map(|label| Behaviour::new(label, columns)).collect();
        let mut peers: Vec<Vec<&PeerRow>> = vec![Vec::new(); behaviours.len()];
        let mut values = Vec::new();
        for round in rounds {
            peers.iter_mut().for_each(Vec::clear);
            for row in of_round(rows, *round) {
                if let Some(group) = peers.get_mut(self.at(&row.behaviour)) {
                    group.push(row);
                }
            }
            for (behaviour, peers) in behaviours.iter_mut().zip(&peers) {
                behaviour.add(peers, &mut values);
            }
        }
        behaviours
    }
}

impl Behaviour {
    fn new(label: &str, columns: usize) -> Self {
        let numbers = std::iter::repeat_with(Spread::default).take(columns).collect();
        Self { label: label.into(), count: Vec::new(), pay: Vec::new(), numbers }
    }

    fn add(&mut self, peers: &[&PeerRow], values: &mut Vec<f64>) {
        self.count.push(peers.len());
        let paid = peers.iter().map(|row| row.incentive).sum::<f64>();
        self.pay.push(Some(paid).filter(|_| !peers.is_empty()).into());
        for (at, spread) in self.numbers.iter_mut().enumerate() {
            values.clear();
            let known = peers.iter().filter_map(|row| row.numbers.get(at).copied().flatten());
            values.extend(known.filter(|number| number.is_finite()));
            values.sort_by(f64::total_cmp);
            // No value gives NaN, which the page reads as nothing.
            spread.middle.push(quantile(values, 0.5).into());
            spread.low.push(quantile(values, 0.1).into());
            spread.high.push(quantile(values, 0.9).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::kept::{ROUNDS, ROWS};
    use crate::report::{RunData, sample};

    #[test]
    fn more_behaviours_than_lines_share_the_last() {
        let mut run = sample::copycat();
        run.peers.iter_mut().for_each(|row| {
            if row.uid > 0 {
                row.behaviour = format!("kind {:?}", row.uid / 2);
            }
        });
        let groups = |run: &RunData| Groups::of(&Kept::of(run, &[], &[], (ROUNDS, ROWS)));
        assert_eq!(groups(&run).labels.len(), 9);
        run.peers
            .iter_mut()
            .for_each(|row| row.behaviour = format!("{} of {}", row.behaviour, row.uid % 2 + row.round as u16 % 2));
        let many = groups(&run);
        assert_eq!((many.labels.len(), many.labels[16].as_str(), many.at("unheard of")), (17, OTHERS, 16));
        let of_first = many.measured(&run.peers[..16], &[0], 6);
        assert_eq!(of_first.iter().map(|behaviour| behaviour.count[0]).sum::<usize>(), 16);
        assert_eq!(many.labels[0], "honest of 0");
    }
}
