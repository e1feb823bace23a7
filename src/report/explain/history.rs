//! A peer's rounds, each with the rows of all other peers.

use super::error::ExplainError;
use super::words::{number, ranges};
use crate::Uid;
use crate::mechanism::{Column, ColumnKind};
use crate::report::work::HONEST;
use crate::report::{PeerRow, RunData};

/// All rounds of a peer.
pub struct History<'a> {
    pub columns: &'a [Column],
    /// Index of the column that ranks peers; `None` if the mechanism has no score.
    pub score: Option<usize>,
    pub moments: Vec<Moment<'a>>,
}

/// A round of a peer.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub row: &'a PeerRow,
    /// The previous row of the same holder of the slot.
    pub before: Option<&'a PeerRow>,
    /// All rows of the round.
    pub peers: &'a [PeerRow],
}

impl<'a> History<'a> {
    /// The rounds of all holders of a slot, in the order of the file.
    ///
    /// # Errors
    /// Nobody holds the slot in any round.
    pub fn of(run: &'a RunData, uid: Uid) -> Result<Self, ExplainError> {
        if run.manifest.central {
            return Err(ExplainError::Central(run.name.clone()));
        }
        let columns = &run.manifest.columns;
        let mut moments: Vec<Moment> = Vec::new();
        for peers in run.peers.chunk_by(|a, b| a.round == b.round) {
            if let Some(row) = peers.iter().find(|row| row.uid == uid) {
                let before = moments.last().map(|last| last.row).filter(|before| before.owner == row.owner);
                moments.push(Moment { row, before, peers });
            }
        }
        if moments.is_empty() {
            let mut known: Vec<u64> = run.peers.iter().map(|row| row.uid.into()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(ExplainError::NoPeer { run: run.name.clone(), uid, known: ranges(&known) });
        }
        let score = columns.iter().position(|column| column.kind == ColumnKind::Score);
        Ok(Self { columns, score, moments })
    }

    /// The holders of the slot in order, each with its rounds.
    pub fn holders(&self) -> impl Iterator<Item = &[Moment<'a>]> {
        self.moments.chunk_by(|a, b| a.row.owner == b.row.owner)
    }

    /// The number that ranks peers: the score, or pay if the mechanism has none.
    pub fn rated(&self, row: &PeerRow) -> Option<f64> {
        match self.score {
            Some(at) => value(row, at),
            None => Some(row.incentive),
        }
    }

    /// Name of the number that [`rated`](Self::rated) returns.
    pub fn rated_by(&self) -> String {
        self.score.map_or_else(|| "pay".into(), |at| self.columns[at].words())
    }

    /// Rank of a peer in its round, and the number of ranked peers. Rank 1 is the best; equal peers share a rank.
    pub fn rank(&self, row: &PeerRow, peers: &[PeerRow]) -> Option<(usize, usize)> {
        let own = self.rated(row)?;
        let better = peers.iter().filter(|other| self.rated(other).is_some_and(|score| score > own)).count();
        Some((better + 1, peers.len()))
    }

    /// Whether the mechanism's columns show which peers were evaluated.
    pub fn says_evaluations(&self) -> bool {
        self.columns.iter().any(|column| column.kind == ColumnKind::Measured)
    }

    /// What was measured of a peer in a round: column indices and values.
    pub fn measured(&self, row: &PeerRow) -> Vec<(usize, f64)> {
        self.of_kind(row, ColumnKind::Measured)
    }

    /// The numbers that last from round to round, without those that are the uncertainty of another.
    pub fn standing(&self, row: &PeerRow) -> Vec<(usize, f64)> {
        let mut numbers = self.of_kind(row, ColumnKind::Standing);
        numbers.retain(|(at, _)| !self.is_spread(*at));
        numbers
    }

    fn of_kind(&self, row: &PeerRow, kind: ColumnKind) -> Vec<(usize, f64)> {
        let columns = self.columns.iter().enumerate().filter(|(_, column)| column.kind == kind);
        columns.filter_map(|(at, _)| Some((at, value(row, at)?))).collect()
    }

    fn is_spread(&self, at: usize) -> bool {
        self.columns.iter().any(|column| column.spread.as_ref() == Some(&self.columns[at].name))
    }

    /// A peer's number in a column, with its uncertainty if it has one.
    pub fn with_spread(&self, row: &PeerRow, at: usize) -> String {
        let spread = self.columns.iter().position(|other| self.columns[at].spread.as_ref() == Some(&other.name));
        let own = value(row, at).map_or_else(|| "unknown".into(), number);
        match spread.and_then(|spread| value(row, spread)) {
            Some(spread) => format!("{own} ± {}", number(spread)),
            None => own,
        }
    }
}

impl Moment<'_> {
    /// The peers to compare with: the honest ones of the round, or all if none is known to be honest.
    pub fn compared_with(&self) -> impl Iterator<Item = &PeerRow> {
        let honest = self.has_honest();
        self.peers.iter().filter(move |row| !honest || row.behaviour == HONEST)
    }

    pub fn has_honest(&self) -> bool {
        self.peers.iter().any(|row| row.behaviour == HONEST)
    }

    /// Mean pay of the peers to compare with.
    pub fn mean_pay(&self) -> f64 {
        mean(self.compared_with().map(|row| row.incentive)).unwrap_or(0.0)
    }

    /// Mean of a column over the peers to compare with.
    pub fn mean_number(&self, at: usize) -> Option<f64> {
        mean(self.compared_with().filter_map(|row| value(row, at)))
    }

    /// The peer with the least pay among those that were paid.
    pub fn last_paid(&self) -> Option<&PeerRow> {
        let paid = self.peers.iter().filter(|row| row.incentive > 0.0);
        paid.min_by(|a, b| a.incentive.total_cmp(&b.incentive))
    }
}

/// A number of a peer if it is known and finite.
pub fn value(row: &PeerRow, at: usize) -> Option<f64> {
    row.numbers.get(at).copied().flatten().filter(|value| value.is_finite())
}

/// The mean; `None` for no values.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u64), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}
