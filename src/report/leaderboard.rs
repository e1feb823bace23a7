//! Sums up each peer's pay over a run, round by round.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::work::{Compared, HonestRound};
use super::{LeaderboardRow, PeerRow};
use crate::Uid;
use crate::mechanism::Column;

/// The standings so far. They can be saved with a checkpoint: a resumed run that adds the same rows ends with the same
/// leaderboard.
///
/// A slot may change hands, so standings are kept by uid, owner and behaviour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leaderboard {
    /// Indices of the columns whose last value is kept.
    columns: Vec<usize>,
    rounds: u64,
    /// Total incentive of all peers in all rounds.
    paid: f64,
    /// By key.
    standings: Vec<Standing>,
    /// The honest peers of the latest round.
    honest: HonestRound,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Standing {
    owner: u32,
    /// Everything but the incentives and the comparisons is up to date.
    row: LeaderboardRow,
    paid: f64,
    /// Rounds and incentives of the last tenth of the run.
    recent: VecDeque<(u64, f64)>,
    /// The latest round, its pay and its tokens, not yet compared.
    latest: Option<(f64, Option<u64>)>,
    compared: Compared,
}

impl Standing {
    fn key(&self) -> (Uid, u32, &str) {
        (self.row.uid, self.owner, &self.row.behaviour)
    }

    fn of_newcomer(peer: &PeerRow, columns: usize) -> Self {
        let row = LeaderboardRow {
            uid: peer.uid,
            behaviour: peer.behaviour.clone(),
            numbers: vec![None; columns],
            rounds_registered: Some(0),
            tokens: Some(0),
            bytes_up: Some(0),
            bytes_down: Some(0),
            ..LeaderboardRow::default()
        };
        let (recent, compared) = (VecDeque::new(), Compared::default());
        Self { owner: peer.owner, row, paid: 0.0, recent, latest: None, compared }
    }
}

/// Length of the last tenth of this many rounds; at least one.
fn last_tenth(rounds: u64) -> u64 {
    rounds.div_ceil(10).max(1)
}

impl Leaderboard {
    /// Standings before the first round. `columns` are the mechanism's numbers of each peer.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: Column::lasting(columns), ..Self::default() }
    }

    /// The standings after these rows, which are in the order of their rounds.
    pub fn of(columns: &[Column], rows: &[PeerRow]) -> Self {
        let mut this = Self::new(columns);
        rows.iter().for_each(|row| this.add(row));
        this
    }

    /// Adds a peer's round. Rounds must come in order.
    pub fn add(&mut self, peer: &PeerRow) {
        if peer.round >= self.rounds {
            self.compare();
            self.rounds = peer.round.saturating_add(1);
        }
        self.honest.add(peer);
        self.paid += peer.incentive;
        let key = (peer.uid, peer.owner, peer.behaviour.as_str());
        let at = self.standings.binary_search_by(|standing| standing.key().cmp(&key)).unwrap_or_else(|at| {
            self.standings.insert(at, Standing::of_newcomer(peer, self.columns.len()));
            at
        });
        let Standing { row, paid, recent, latest, .. } = &mut self.standings[at];
        *paid += peer.incentive;
        *latest = Some((peer.incentive, peer.tokens));
        recent.push_back((peer.round, peer.incentive));
        let first = self.rounds - last_tenth(self.rounds);
        while recent.front().is_some_and(|(round, _)| *round < first) {
            recent.pop_front();
        }
        for (last, &at) in row.numbers.iter_mut().zip(&self.columns) {
            *last = peer.numbers.get(at).copied().flatten().or(*last);
        }
        row.rounds_aggregated += u64::from(peer.aggregated);
        row.rounds_failed += u64::from(peer.status.failed());
        row.rounds_registered = sum(row.rounds_registered, Some(1));
        row.tokens = sum(row.tokens, peer.tokens);
        row.bytes_up = sum(row.bytes_up, peer.bytes_up);
        row.bytes_down = sum(row.bytes_down, peer.bytes_down);
    }

    /// Compares each peer of the latest round with the honest ones, which are all known by now.
    fn compare(&mut self) {
        let honest = std::mem::take(&mut self.honest);
        for standing in &mut self.standings {
            if let Some(latest) = standing.latest.take() {
                standing.compared.add(latest, &honest);
            }
        }
    }

    /// The lines of `leaderboard.csv`, sorted by pay over the last tenth.
    pub fn rows(&self) -> Vec<LeaderboardRow> {
        let mut whole = self.clone();
        whole.compare();
        let length = last_tenth(self.rounds);
        let first = self.rounds.saturating_sub(length);
        let row = |standing: &Standing| {
            let recent = standing.recent.iter().filter(|(round, _)| *round >= first).map(|(_, incentive)| incentive);
            let mut row = LeaderboardRow {
                incentive_final: recent.sum::<f64>() / length as f64,
                incentive_total: if self.paid > 0.0 { standing.paid / self.paid } else { 0.0 },
                ..standing.row.clone()
            };
            standing.compared.write(&mut row);
            row
        };
        let mut rows: Vec<_> = whole.standings.iter().map(row).collect();
        rows.sort_by(|a, b| {
            b.incentive_final.total_cmp(&a.incentive_final).then(b.incentive_total.total_cmp(&a.incentive_total))
        });
        rows
    }
}

/// The sum is unknown if either value is.
fn sum(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a?.saturating_add(b?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Status, sample};

    fn peer(round: u64, uid: Uid, owner: u32, incentive: f64) -> PeerRow {
        PeerRow { round, uid, owner, incentive, ..sample::peer_row() }
    }

    #[test]
    fn final_is_the_mean_of_the_last_tenth_and_total_the_share_of_all() {
        let mut board = Leaderboard::new(&sample::columns());
        for round in 0..40 {
            // In the last four rounds uid 2 earns 0.4, 0.6, 0.8 and 1.0.
            let second = if round < 36 { 0.0 } else { 0.4 + 0.2 * (round - 36) as f64 };
            board.add(&peer(round, 1, 0, 1.0 - second));
            board.add(&peer(round, 2, 1, second));
        }
        let rows = board.rows();
        assert_eq!((rows[0].uid, rows[1].uid), (2, 1));
        assert!((rows[0].incentive_final - 0.7).abs() < 1e-12);
        assert!((rows[0].incentive_total - 2.8 / 40.0).abs() < 1e-12);
        assert!((rows.iter().map(|row| row.incentive_total).sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_peer_that_left_has_no_final_pay_and_owners_are_kept_apart() {
        let mut board = Leaderboard::new(&sample::columns());
        for round in 0..100 {
            board.add(&peer(round, 7, if round < 95 { 0 } else { 1 }, 1.0));
        }
        let rows = board.rows();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].incentive_final, rows[1].incentive_final), (0.5, 0.5));
        assert_eq!((rows[0].incentive_total, rows[1].incentive_total), (0.95, 0.05));
        for round in 100..200 {
            board.add(&peer(round, 8, 2, 1.0));
        }
        assert_eq!(board.rows()[1].incentive_final, 0.0);
    }

    #[test]
    fn failures_are_counted_and_the_last_known_values_kept() {
        let mut board = Leaderboard::new(&sample::columns());
        let columns = sample::columns();
        let mu = columns.iter().position(|column| column.name == "rating_mu").unwrap();
        let mut first = PeerRow { aggregated: true, ..peer(0, 1, 0, 0.0) };
        first.numbers[mu] = Some(30.0);
        board.add(&first);
        let statuses = [Status::Absent, Status::Copy, Status::TooLate, Status::Unregistered];
        for (round, status) in (1..).zip(statuses) {
            let mut later = PeerRow { status, aggregated: false, ..peer(round, 1, 0, 0.0) };
            later.numbers[mu] = None;
            board.add(&later);
        }
        let row = &board.rows()[0];
        assert_eq!((row.rounds_aggregated, row.rounds_failed, row.numbers[1]), (1, 3, Some(30.0)));
        assert_eq!(row.incentive_total, 0.0, "nothing was paid");
    }

    #[test]
    fn costs_are_summed_and_compared_over_the_rounds_of_each_peer() {
        let mut board = Leaderboard::new(&sample::columns());
        for round in 0..10 {
            board.add(&PeerRow { tokens: Some(100), ..peer(round, 1, 0, 0.6) });
            board.add(&PeerRow { tokens: Some(300), bytes_down: Some(7), ..peer(round, 2, 1, 0.2) });
            if round >= 6 {
                // It does half the work of a mean honest peer and gets as much pay. It joins late.
                let late = PeerRow { tokens: Some(100), behaviour: "lazy".into(), ..peer(round, 3, 2, 0.4) };
                board.add(&late);
            }
        }
        let of = |uid| board.rows().into_iter().find(|row| row.uid == uid).unwrap();
        let (second, late) = (of(2), of(3));
        assert_eq!((second.tokens, second.bytes_down, second.rounds_registered), (Some(3000), Some(70), Some(10)));
        assert_eq!(
            (second.work, second.pay.map(|pay| (pay * 1e9).round()), second.bytes_up),
            (Some(1.5), Some(5e8), None)
        );
        assert_eq!((late.tokens, late.rounds_registered), (Some(400), Some(4)));
        let [work, pay, profit] =
            [late.work, late.pay, late.profit].map(|number| (number.unwrap() * 1e9).round() / 1e9);
        assert_eq!([work, pay, profit], [0.5, 1.0, 2.0]);
    }

    #[test]
    fn a_saved_leaderboard_continues_like_the_original() {
        let run = sample::copycat();
        let whole = Leaderboard::of(&run.manifest.columns, &run.peers);
        let half = Leaderboard::of(&run.manifest.columns, &run.peers[..1000]);
        let mut resumed: Leaderboard = postcard::from_bytes(&postcard::to_stdvec(&half).unwrap()).unwrap();
        run.peers[1000..].iter().for_each(|row| resumed.add(row));
        assert_eq!(resumed, whole);
    }
}
