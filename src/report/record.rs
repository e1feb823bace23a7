//! The lines of a run's CSV files: plain data, in the order of the columns.

use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::digest::Digest;
use crate::mechanism::Column;
pub use crate::mechanism::Status;

/// A line of `rounds.csv`: the network in one round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundRow {
    /// Rounds are counted from 0. Losses are those after the round's aggregation.
    pub round: u64,
    /// Virtual time at the round's end.
    pub virtual_seconds: f64,
    pub lr: f64,
    /// Held-out cross-entropy in nats a token, if it was measured.
    pub loss: Option<f64>,
    /// Mean cross-entropy before the step, on the pages on which the lead validator evaluated peers.
    pub train_loss: Option<f64>,
    /// Number of aggregated peers.
    pub aggregated: usize,
    /// Number of uploads that the bucket accepted.
    pub uploads: usize,
    /// Pages that the validator ran forward to evaluate peers; `None` in folders of earlier versions.
    pub forward_passes: Option<u64>,
    /// Bytes that all nodes sent and received between the round's start and end. Most payloads of a round are fetched
    /// after its end, so they count for the next round. Not known for a real network.
    pub bytes_up: Option<u64>,
    pub bytes_down: Option<u64>,
    /// Digest of the model that all synchronised replicas hold now.
    pub replica_digest: Digest,
    /// The held-out loss of the average of the last models, if it was measured. Only runs with `training.average` have the
    /// column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_loss: Option<Option<f64>>,
}

/// A line of `peers.csv`: one peer in one round, as the lead validator sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerRow {
    pub round: u64,
    pub uid: Uid,
    /// The peer that holds the slot, as two successive holders may have the same uid and behaviour. Not in the file.
    #[serde(skip)]
    pub owner: u32,
    /// Label of the peer's behaviour, such as `honest` or `copycat of best`.
    pub behaviour: String,
    pub status: Status,
    /// Estimated by the sync check; `None` if nothing was uploaded.
    pub steps_behind: Option<f64>,
    /// The mechanism's numbers, one per column of the manifest.
    pub numbers: Vec<Option<f64>>,
    /// Share of this round's pay. The shares of a round sum to 1, or to 0 if no peer is paid.
    pub incentive: f64,
    pub aggregated: bool,
    /// Tokens whose gradients it computed. This and the next two are not known for a real network; folders of earlier
    /// versions lack them.
    pub tokens: Option<u64>,
    /// Bytes that it sent and received. The bytes of an operator's link are shared evenly among its slots.
    pub bytes_up: Option<u64>,
    pub bytes_down: Option<u64>,
}

/// A line of `leaderboard.csv`: one holder of a slot over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeaderboardRow {
    pub uid: Uid,
    pub behaviour: String,
    /// Mean share of a round's pay over the last tenth of the rounds.
    pub incentive_final: f64,
    /// Share of all that was paid in the run.
    pub incentive_total: f64,
    /// The mechanism's last known numbers, one per column that is [`lasting`](Column::lasting).
    pub numbers: Vec<Option<f64>>,
    pub rounds_aggregated: u64,
    /// Rounds in which it held a slot and did not pass the fast evaluation, including absences.
    pub rounds_failed: u64,
    /// Rounds in which it held the slot. Folders of earlier versions lack this and the following columns.
    pub rounds_registered: Option<u64>,
    /// Sums of the columns of `peers.csv`.
    pub tokens: Option<u64>,
    pub bytes_up: Option<u64>,
    pub bytes_down: Option<u64>,
    /// Tokens and pay, as multiples of a mean honest peer's over the rounds in which this one held its slot; `None` if
    /// there was no honest peer.
    pub work: Option<f64>,
    pub pay: Option<f64>,
    /// `pay` divided by `work`; `None` without work.
    pub profit: Option<f64>,
}

/// A line of `baseline.csv`: central AdamW after the tokens of this many rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BaselineRow {
    pub round: u64,
    pub lr: f64,
    /// Held-out cross-entropy in nats a token, if it was measured.
    pub loss: Option<f64>,
    /// As in [`RoundRow`], of the central trainer's models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_loss: Option<Option<f64>>,
}

/// The column that only runs with `training.average` have.
const AVERAGE: &str = "average_loss";

/// A line of `backdoor.csv`, which exists only for runs with a backdoor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackdoorRow {
    pub round: u64,
    /// The share of held-out prompts with a trigger that the model after the round continues as the backdoor wants.
    pub success: f64,
}

/// A line of `slots.csv`: a peer that takes over a slot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlotRow {
    /// The first round in which the peer holds the slot.
    pub round: u64,
    pub uid: Uid,
    /// Index among the scenario's peers.
    pub peer: u32,
    /// Its public key.
    pub hotkey: String,
    pub behaviour: String,
}

/// A type that is a line of a CSV file.
pub(super) trait Row: Serialize + Sized {
    /// The file's name.
    const FILE: &'static str;
    /// Names of the columns before and after the mechanism's.
    const BEFORE: &'static str;
    const AFTER: &'static str = "";
    /// Columns that files of earlier versions lack; such files lack all of them.
    const NEWER: &'static str = "";
    /// A last column that only some runs have; none if empty.
    const SOMETIMES: &'static str = "";

    /// Whether this row has that column.
    fn has_sometimes(&self) -> bool {
        false
    }

    /// Indices of the mechanism's columns in between.
    fn own(_columns: &[Column]) -> Vec<usize> {
        Vec::new()
    }

    /// Reads a line's cells, in the order of the file's columns.
    fn read(cells: &mut Cells<'_>) -> Result<Self, String>;

    /// The names of all columns.
    fn header(columns: &[Column]) -> Vec<String> {
        let own = Self::own(columns).into_iter().map(|at| columns[at].name.clone());
        names(Self::BEFORE).map(str::to_string).chain(own).chain(names(Self::AFTER).map(str::to_string)).collect()
    }

    /// The names of the columns of these rows.
    fn header_of(rows: &[Self], columns: &[Column]) -> Vec<String> {
        let sometimes = rows.first().filter(|row| row.has_sometimes()).map(|_| Self::SOMETIMES.to_string());
        Self::header(columns).into_iter().chain(sometimes).collect()
    }
}

/// The names in a comma-separated list of columns.
pub(super) fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(',').filter(|name| !name.is_empty())
}

/// The unread cells of a line, with the names of their columns.
pub(super) struct Cells<'a> {
    header: &'a [String],
    line: &'a csv::StringRecord,
    /// Index of the next cell.
    at: usize,
}

impl<'a> Cells<'a> {
    pub fn new(header: &'a [String], line: &'a csv::StringRecord) -> Self {
        Self { header, line, at: 0 }
    }

    fn peek(&self) -> Option<(&'a str, &'a str)> {
        Some((self.header.get(self.at)?, self.line.get(self.at)?))
    }

    fn next(&mut self) -> Result<(&'a str, &'a str), String> {
        let cell = self.peek().ok_or("the line is too short")?;
        self.at += 1;
        Ok(cell)
    }

    fn take<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Result<T, String> {
        let (column, text) = self.next()?;
        text.parse().map_err(|error| format!("column {column}: {error}, in {text:?}"))
    }

    /// An empty cell means `None`.
    fn option<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self) -> Result<Option<T>, String> {
        match self.peek() {
            Some((_, "")) => self.next().map(|_| None),
            _ => self.take().map(Some),
        }
    }

    /// An optional cell in a column that the file may lack.
    fn optional<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, column: &str) -> Result<Option<T>, String> {
        match self.peek() {
            Some((name, _)) if name == column => self.option(),
            _ => Ok(None),
        }
    }

    /// An optional cell of a column that only some runs have; the outer `None` where the file lacks it.
    fn sometimes(&mut self, column: &str) -> Result<Option<Option<f64>>, String> {
        let is_there = self.peek().is_some_and(|(name, _)| name == column);
        is_there.then(|| self.option()).transpose()
    }

    /// Any type that serde reads from a text.
    fn named<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, String> {
        use serde::de::IntoDeserializer;
        let (column, text) = self.next()?;
        let value: Result<T, serde::de::value::Error> = T::deserialize(text.into_deserializer());
        value.map_err(|error| format!("column {column}: {error}"))
    }

    /// The numbers before the column with this name.
    fn numbers(&mut self, end: &str) -> Result<Vec<Option<f64>>, String> {
        let own = self.header[self.at..].iter().take_while(|name| *name != end).count();
        (0..own).map(|_| self.option()).collect()
    }
}

impl Row for RoundRow {
    const FILE: &'static str = "rounds.csv";
    const BEFORE: &'static str = "round,virtual_seconds,lr,loss,train_loss,aggregated,uploads,forward_passes,bytes_up,\
                                  bytes_down,replica_digest";
    const NEWER: &'static str = "forward_passes";
    const SOMETIMES: &'static str = AVERAGE;

    fn has_sometimes(&self) -> bool {
        self.average_loss.is_some()
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        Ok(Self {
            round: cells.take()?,
            virtual_seconds: cells.take()?,
            lr: cells.take()?,
            loss: cells.option()?,
            train_loss: cells.option()?,
            aggregated: cells.take()?,
            uploads: cells.take()?,
            forward_passes: cells.optional("forward_passes")?,
            bytes_up: cells.option()?,
            bytes_down: cells.option()?,
            replica_digest: cells.named()?,
            average_loss: cells.sometimes(AVERAGE)?,
        })
    }
}

impl Row for PeerRow {
    const FILE: &'static str = "peers.csv";
    const BEFORE: &'static str = "round,uid,behaviour,status,steps_behind";
    const AFTER: &'static str = "incentive,aggregated,tokens,bytes_up,bytes_down";
    const NEWER: &'static str = "tokens,bytes_up,bytes_down";

    fn own(columns: &[Column]) -> Vec<usize> {
        (0..columns.len()).collect()
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        Ok(Self {
            round: cells.take()?,
            uid: cells.take()?,
            owner: 0,
            behaviour: cells.take()?,
            status: cells.named()?,
            steps_behind: cells.option()?,
            numbers: cells.numbers("incentive")?,
            incentive: cells.take()?,
            aggregated: cells.take()?,
            tokens: cells.optional("tokens")?,
            bytes_up: cells.optional("bytes_up")?,
            bytes_down: cells.optional("bytes_down")?,
        })
    }
}

impl Row for LeaderboardRow {
    const FILE: &'static str = "leaderboard.csv";
    const BEFORE: &'static str = "uid,behaviour,incentive_final,incentive_total";
    const AFTER: &'static str = "rounds_aggregated,rounds_failed,rounds_registered,tokens,bytes_up,bytes_down,work,pay,\
                                 profit";
    const NEWER: &'static str = "rounds_registered,tokens,bytes_up,bytes_down,work,pay,profit";

    fn own(columns: &[Column]) -> Vec<usize> {
        Column::lasting(columns)
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        Ok(Self {
            uid: cells.take()?,
            behaviour: cells.take()?,
            incentive_final: cells.take()?,
            incentive_total: cells.take()?,
            numbers: cells.numbers("rounds_aggregated")?,
            rounds_aggregated: cells.take()?,
            rounds_failed: cells.take()?,
            rounds_registered: cells.optional("rounds_registered")?,
            tokens: cells.optional("tokens")?,
            bytes_up: cells.optional("bytes_up")?,
            bytes_down: cells.optional("bytes_down")?,
            work: cells.optional("work")?,
            pay: cells.optional("pay")?,
            profit: cells.optional("profit")?,
        })
    }
}

impl Row for SlotRow {
    const FILE: &'static str = "slots.csv";
    const BEFORE: &'static str = "round,uid,peer,hotkey,behaviour";

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        Ok(Self {
            round: cells.take()?,
            uid: cells.take()?,
            peer: cells.take()?,
            hotkey: cells.take()?,
            behaviour: cells.take()?,
        })
    }
}

impl Row for BackdoorRow {
    const FILE: &'static str = "backdoor.csv";
    const BEFORE: &'static str = "round,success";

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        Ok(Self { round: cells.take()?, success: cells.take()? })
    }
}

impl Row for BaselineRow {
    const FILE: &'static str = "baseline.csv";
    const BEFORE: &'static str = "round,lr,loss";
    const SOMETIMES: &'static str = AVERAGE;

    fn has_sometimes(&self) -> bool {
        self.average_loss.is_some()
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, String> {
        let (round, lr, loss) = (cells.take()?, cells.take()?, cells.option()?);
        Ok(Self { round, lr, loss, average_loss: cells.sometimes(AVERAGE)? })
    }
}

/// Whether a run's files can have these columns of a mechanism; otherwise the reason.
pub(super) fn check_columns(columns: &[Column]) -> Result<(), String> {
    if !Column::are_safe_to_write(columns) {
        let most = Column::MOST;
        return Err(format!("expected at most {most} columns, each with a name of its own of a-z, 0-9 and _"));
    }
    let fixed = [PeerRow::BEFORE, PeerRow::AFTER, LeaderboardRow::BEFORE, LeaderboardRow::AFTER];
    let taken = |column: &&Column| fixed.iter().any(|names| names.split(',').any(|name| name == column.name));
    let taken = columns.iter().find(taken);
    taken.map_or(Ok(()), |column| {
        Err(format!("the mechanism's column {:?} has the name of another column", column.name))
    })
}
