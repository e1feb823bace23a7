//! Columns of work and profit, relative to a mean honest peer, in tables of runs whose costs are known.

use super::ruled::{NONE, digits};
use crate::report::{LeaderboardRow, RunData, plots};

/// The explanation below the tables.
pub const LEGEND: &str =
    "work: tokens trained on; profit: pay divided by work; a mean honest peer has 1 of each in the same rounds";

/// The cost columns of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Costs {
    /// None, as costs are not known for a real network and for folders of earlier versions.
    Unknown,
    /// The columns of one peer.
    Each,
    /// The columns of all uids of an operator together.
    All,
}

impl Costs {
    /// These columns, if any peer's costs are known.
    pub fn of(run: &RunData, known: Self) -> Self {
        if run.leaderboard.iter().any(|row| row.work.is_some()) { known } else { Self::Unknown }
    }

    pub fn titles(self) -> &'static [&'static str] {
        match self {
            Self::Unknown => &[],
            Self::Each => &["work", "profit"],
            Self::All => &["tokens", "sent", "received", "work", "profit"],
        }
    }

    /// A group's cells, given the rounds of the run. Peers are weighted by the rounds in which they held a slot.
    pub fn cells(self, group: &[&LeaderboardRow], rounds: u64) -> Vec<String> {
        let held = |row: &LeaderboardRow| row.rounds_registered.unwrap_or(0) as f64;
        let total = |value: fn(&LeaderboardRow) -> Option<f64>| -> f64 {
            group.iter().filter_map(|row| Some(value(row)? * held(row))).sum()
        };
        let (work, pay) = (total(|row| row.work), total(|row| row.pay));
        let profit = digits(pay / work, 2);
        let sum = |value: fn(&LeaderboardRow) -> Option<u64>| {
            group.iter().map(|row| value(row).map(|count| count as f64)).sum::<Option<f64>>()
        };
        let size = |bytes: Option<f64>| {
            bytes.map_or(NONE.into(), |bytes| {
                let (unit, divisor) = plots::unit_of(bytes);
                format!("{:.1} {unit}", bytes / divisor)
            })
        };
        match self {
            Self::Unknown => Vec::new(),
            Self::Each => {
                let of_known = group.iter().filter(|row| row.work.is_some()).map(|row| held(row)).sum::<f64>();
                vec![digits(work / of_known, 2), profit]
            }
            Self::All => vec![
                sum(|row| row.tokens).map_or(NONE.into(), plots::number),
                size(sum(|row| row.bytes_up)),
                size(sum(|row| row.bytes_down)),
                digits(work / rounds as f64, 2),
                profit,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn row(rounds: u64, work: Option<f64>, pay: f64) -> LeaderboardRow {
        LeaderboardRow {
            rounds_registered: Some(rounds),
            work,
            pay: Some(pay),
            tokens: Some(1_500),
            bytes_up: Some(2_000_000),
            bytes_down: Some(999),
            ..LeaderboardRow::default()
        }
    }

    #[test]
    fn peers_are_weighted_by_their_rounds() {
        // 100 rounds of 0.5 and 25 of 1: 0.6 for a peer, 0.75 in total. Their pay is 100 * 2 + 25 * 1.
        let (long, short) = (row(100, Some(0.5), 2.0), row(25, Some(1.0), 1.0));
        let cells = |costs: Costs| costs.cells(&[&long, &short], 100).join(" ");
        assert_eq!(cells(Costs::Each), "0.60 3.00");
        assert_eq!(cells(Costs::All), "3,000 4.0 MB 2.0 KB 0.75 3.00");
        assert_eq!(cells(Costs::Unknown), "");
        let idle = row(100, Some(0.0), 2.0);
        assert_eq!(Costs::Each.cells(&[&idle], 100), ["0.00", "-"]);
        assert_eq!(Costs::Each.cells(&[&row(100, None, 2.0)], 100), ["-", "-"]);
    }

    #[test]
    fn costs_of_strangers_are_not_shown() {
        let mut run = sample::copycat();
        assert_eq!(Costs::of(&run, Costs::Each), Costs::Each);
        run.leaderboard.iter_mut().for_each(|row| row.work = None);
        assert_eq!(Costs::of(&run, Costs::Each).titles(), [""; 0]);
    }
}
