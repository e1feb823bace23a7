//! Rows of a run folder as columns, from which the package makes Arrow tables without a copy for each cell.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gauntlet::mechanism::Column;
use gauntlet::report::{BaselineRow, LeaderboardRow, PeerRow, RoundRow, SlotRow};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList, PyTuple};

use super::values::bytes_of;

/// Columns in order. Each is (name, unit, kind, bytes, mask, words): numbers of the kind `f64` or `i64`, `bool` as i64,
/// or `text`, whose numbers are places in `words`; a byte of the mask is 1 where a value is missing.
struct Columns<'a, 'py, R> {
    py: Python<'py>,
    rows: &'a [R],
    made: Vec<Bound<'py, PyTuple>>,
}

impl<'a, 'py, R> Columns<'a, 'py, R> {
    fn new(py: Python<'py>, rows: &'a [R]) -> Self {
        Self { py, rows, made: Vec::new() }
    }

    fn push(
        mut self,
        (name, unit, kind): (&str, &str, &str),
        bytes: Bound<'py, PyByteArray>,
        mask: Option<Vec<u8>>,
        words: Vec<String>,
    ) -> PyResult<Self> {
        let mask = mask.map(|mask| PyByteArray::new(self.py, &mask));
        self.made.push((name, unit, kind, bytes, mask, words).into_pyobject(self.py)?);
        Ok(self)
    }

    fn floats(self, name: &str, unit: &str, of: impl Fn(&R) -> Option<f64>) -> PyResult<Self> {
        let mask = self.rows.iter().map(|row| u8::from(of(row).is_none())).collect();
        let bytes = bytes_of(self.py, self.rows.iter().map(|row| of(row).unwrap_or(f64::NAN)))?;
        self.push((name, unit, "f64"), bytes, Some(mask), Vec::new())
    }

    fn counts(self, name: &str, unit: &str, of: impl Fn(&R) -> Option<u64>) -> PyResult<Self> {
        let mask = self.rows.iter().map(|row| u8::from(of(row).is_none())).collect();
        let bytes = bytes_of(self.py, self.rows.iter().map(|row| of(row).unwrap_or(0) as i64))?;
        self.push((name, unit, "i64"), bytes, Some(mask), Vec::new())
    }

    fn flags(self, name: &str, of: impl Fn(&R) -> bool) -> PyResult<Self> {
        let bytes = bytes_of(self.py, self.rows.iter().map(|row| i64::from(of(row))))?;
        self.push((name, "", "bool"), bytes, None, Vec::new())
    }

    fn texts(self, name: &str, of: impl for<'r> Fn(&'r R) -> Cow<'r, str>) -> PyResult<Self> {
        let (mut places, mut words) = (BTreeMap::new(), Vec::new());
        let of_row = |row: &R| {
            let text = of(row);
            *places.entry(text.to_string()).or_insert_with(|| {
                words.push(text.to_string());
                words.len() as i64 - 1
            })
        };
        let values: Vec<i64> = self.rows.iter().map(of_row).collect();
        let bytes = bytes_of(self.py, values.into_iter())?;
        self.push((name, "", "text"), bytes, None, words)
    }

    fn list(self) -> PyResult<Bound<'py, PyList>> {
        PyList::new(self.py, self.made)
    }
}

pub fn rounds<'py>(py: Python<'py>, rows: &[RoundRow]) -> PyResult<Bound<'py, PyList>> {
    Columns::new(py, rows)
        .counts("round", "", |row| Some(row.round))?
        .floats("virtual_seconds", "s", |row| Some(row.virtual_seconds))?
        .floats("lr", "", |row| Some(row.lr))?
        .floats("loss", "nats per token", |row| row.loss)?
        .floats("train_loss", "nats per token", |row| row.train_loss)?
        .counts("aggregated", "peers", |row| Some(row.aggregated as u64))?
        .counts("uploads", "peers", |row| Some(row.uploads as u64))?
        .counts("forward_passes", "pages", |row| row.forward_passes)?
        .counts("bytes_up", "bytes", |row| row.bytes_up)?
        .counts("bytes_down", "bytes", |row| row.bytes_down)?
        .texts("replica_digest", |row| row.replica_digest.to_string().into())?
        .list()
}

pub fn peers<'py>(py: Python<'py>, rows: &[PeerRow], columns: &[Column]) -> PyResult<Bound<'py, PyList>> {
    let mut table = Columns::new(py, rows)
        .counts("round", "", |row| Some(row.round))?
        .counts("uid", "", |row| Some(row.uid.into()))?
        .counts("owner", "", |row| Some(row.owner.into()))?
        .texts("behaviour", |row| row.behaviour.as_str().into())?
        .texts("status", |row| row.status.name().into())?
        .floats("steps_behind", "steps", |row| row.steps_behind)?;
    for (at, column) in columns.iter().enumerate() {
        table = table.floats(&column.name, &column.label, |row| row.numbers.get(at).copied().flatten())?;
    }
    table
        .floats("incentive", "share of the round's pay", |row| Some(row.incentive))?
        .flags("aggregated", |row| row.aggregated)?
        .counts("tokens", "tokens", |row| row.tokens)?
        .counts("bytes_up", "bytes", |row| row.bytes_up)?
        .counts("bytes_down", "bytes", |row| row.bytes_down)?
        .list()
}

pub fn leaderboard<'py>(py: Python<'py>, rows: &[LeaderboardRow], columns: &[Column]) -> PyResult<Bound<'py, PyList>> {
    let mut table = Columns::new(py, rows)
        .counts("uid", "", |row| Some(row.uid.into()))?
        .texts("behaviour", |row| row.behaviour.as_str().into())?
        .floats("incentive_final", "share of a round's pay", |row| Some(row.incentive_final))?
        .floats("incentive_total", "share of all pay", |row| Some(row.incentive_total))?;
    for (place, at) in Column::lasting(columns).into_iter().enumerate() {
        let column = &columns[at];
        table = table.floats(&column.name, &column.label, |row| row.numbers.get(place).copied().flatten())?;
    }
    table
        .counts("rounds_aggregated", "rounds", |row| Some(row.rounds_aggregated))?
        .counts("rounds_failed", "rounds", |row| Some(row.rounds_failed))?
        .counts("rounds_registered", "rounds", |row| row.rounds_registered)?
        .counts("tokens", "tokens", |row| row.tokens)?
        .counts("bytes_up", "bytes", |row| row.bytes_up)?
        .counts("bytes_down", "bytes", |row| row.bytes_down)?
        .floats("work", "of a mean honest peer's", |row| row.work)?
        .floats("pay", "of a mean honest peer's", |row| row.pay)?
        .floats("profit", "pay by work", |row| row.profit)?
        .list()
}

pub fn baseline<'py>(py: Python<'py>, rows: &[BaselineRow]) -> PyResult<Bound<'py, PyList>> {
    Columns::new(py, rows)
        .counts("round", "", |row| Some(row.round))?
        .floats("lr", "", |row| Some(row.lr))?
        .floats("loss", "nats per token", |row| row.loss)?
        .list()
}

pub fn slots<'py>(py: Python<'py>, rows: &[SlotRow]) -> PyResult<Bound<'py, PyList>> {
    Columns::new(py, rows)
        .counts("round", "", |row| Some(row.round))?
        .counts("uid", "", |row| Some(row.uid.into()))?
        .counts("owner", "", |row| Some(row.peer.into()))?
        .texts("hotkey", |row| row.hotkey.as_str().into())?
        .texts("behaviour", |row| row.behaviour.as_str().into())?
        .list()
}
