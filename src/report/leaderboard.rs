//! Who was paid what over a run, summed up round by round.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{LeaderboardRow, PeerRow};
use crate::Uid;
use crate::mechanism::Column;

/// The standings so far. Can be kept with a checkpoint: fed the same rows, a resumed run ends with the same
/// leaderboard.
///
/// A slot may change hands, so standings go by uid, owner and behaviour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leaderboard {
    /// Places of the columns whose last value is kept.
    columns: Vec<usize>,
    rounds: u64,
    /// Incentive of all peers in all rounds.
    paid: f64,
    /// By key.
    standings: Vec<Standing>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Standing {
    owner: u32,
    /// All but the incentives is up to date.
    row: LeaderboardRow,
    paid: f64,
    /// Rounds and incentives of the last tenth.
    recent: VecDeque<(u64, f64)>,
}

impl Standing {
    fn key(&self) -> (Uid, u32, &str) {
        (self.row.uid, self.owner, &self.row.behaviour)
    }

    fn of_newcomer(peer: &PeerRow, columns: usize) -> Self {
        let row = LeaderboardRow {
            uid: peer.uid,
            behaviour: peer.behaviour.clone(),
            incentive_final: 0.0,
            incentive_total: 0.0,
            numbers: vec![None; columns],
            rounds_aggregated: 0,
            rounds_failed: 0,
        };
        Self { owner: peer.owner, row, paid: 0.0, recent: VecDeque::new() }
    }
}

/// The last tenth of so many rounds, one at least: its length.
fn last_tenth(rounds: u64) -> u64 {
    rounds.div_ceil(10).max(1)
}

impl Leaderboard {
    /// Standings before the first round, where the mechanism has these numbers of each peer.
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: Column::lasting(columns), ..Self::default() }
    }

    /// The standings after rows in the order of their rounds.
    pub fn of(columns: &[Column], rows: &[PeerRow]) -> Self {
        let mut this = Self::new(columns);
        rows.iter().for_each(|row| this.add(row));
        this
    }

    /// Adds a peer's round; rounds come in order.
    pub fn add(&mut self, peer: &PeerRow) {
        self.rounds = self.rounds.max(peer.round.saturating_add(1));
        self.paid += peer.incentive;
        let key = (peer.uid, peer.owner, peer.behaviour.as_str());
        let at = self.standings.binary_search_by(|standing| standing.key().cmp(&key)).unwrap_or_else(|at| {
            self.standings.insert(at, Standing::of_newcomer(peer, self.columns.len()));
            at
        });
        let Standing { row, paid, recent, .. } = &mut self.standings[at];
        *paid += peer.incentive;
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
    }

    /// The lines of `leaderboard.csv`, the best paid of the last tenth first.
    pub fn rows(&self) -> Vec<LeaderboardRow> {
        let length = last_tenth(self.rounds);
        let first = self.rounds.saturating_sub(length);
        let row = |standing: &Standing| {
            let recent = standing.recent.iter().filter(|(round, _)| *round >= first).map(|(_, incentive)| incentive);
            LeaderboardRow {
                incentive_final: recent.sum::<f64>() / length as f64,
                incentive_total: if self.paid > 0.0 { standing.paid / self.paid } else { 0.0 },
                ..standing.row.clone()
            }
        };
        let mut rows: Vec<_> = self.standings.iter().map(row).collect();
        rows.sort_by(|a, b| {
            b.incentive_final.total_cmp(&a.incentive_final).then(b.incentive_total.total_cmp(&a.incentive_total))
        });
        rows
    }
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
            // In the last four rounds uid 2 earns 0.4, 0.6, 0.8, 1.0.
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
    fn who_left_earns_nothing_in_the_end_and_a_slot_has_several_owners() {
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
    fn goes_on_from_its_serialised_form() {
        let run = sample::copycat();
        let whole = Leaderboard::of(&run.manifest.columns, &run.peers);
        let half = Leaderboard::of(&run.manifest.columns, &run.peers[..1000]);
        let mut resumed: Leaderboard = postcard::from_bytes(&postcard::to_stdvec(&half).unwrap()).unwrap();
        run.peers[1000..].iter().for_each(|row| resumed.add(row));
        assert_eq!(resumed, whole);
    }
}
