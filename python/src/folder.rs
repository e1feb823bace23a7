//! A run folder, read and checked.

use std::path::PathBuf;
use std::sync::Arc;

use gauntlet::Uid;
use gauntlet::report::tables::{self as text, Look};
use gauntlet::report::{self, RunData, SlotRow, explain};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::errors::{Failure, Raised, raised};
use super::run::told;
use super::tables;

/// Everything in a run's folder.
#[pyclass(frozen, module = "gauntlet._native")]
pub struct Folder {
    path: PathBuf,
    data: RunData,
    slots: Vec<SlotRow>,
}

/// Reads a run's folder.
#[pyfunction]
pub fn load(py: Python<'_>, path: PathBuf) -> PyResult<Folder> {
    py.detach(|| {
        Arc::new(Failure::default()).caught(|| {
            let data = report::load(&path).map_err(told)?;
            let slots = report::load_slots(&path).map_err(told)?;
            Ok(Folder { path, data, slots })
        })
    })
}

#[pymethods]
impl Folder {
    #[getter]
    fn name(&self) -> &str {
        &self.data.name
    }

    /// `manifest.json`.
    fn manifest(&self) -> PyResult<String> {
        serde_json::to_string(&self.data.manifest).map_err(|error| raised(Raised::Failed, error))
    }

    /// All settings as a scenario file.
    fn toml(&self) -> String {
        self.data.manifest.scenario.to_toml()
    }

    /// The columns of a table.
    fn table<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyList>> {
        let (py, this) = (slf.py(), slf.get());
        let columns = &this.data.manifest.columns;
        match name {
            "rounds" => tables::rounds(py, &this.data.rounds),
            "peers" => tables::peers(py, &this.data.peers, columns),
            "leaderboard" => tables::leaderboard(py, &this.data.leaderboard, columns),
            "baseline" => tables::baseline(py, &this.data.baseline),
            "slots" => tables::slots(py, &this.slots),
            other => Err(PyValueError::new_err(format!("there is no table {other}"))),
        }
    }

    /// The story of a peer, or one round of it.
    fn explain(&self, uid: Uid, round: Option<u64>) -> PyResult<String> {
        let told = match round {
            None => explain::story(&self.data, &self.slots, uid),
            Some(round) => explain::round(&self.data, &self.slots, (uid, round), Look::Plain),
        };
        told.map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The tables that `sim run` prints.
    fn summary(&self) -> String {
        text::summary(&self.data, &self.path, Look::Plain)
    }

    /// What has diverged, in words.
    fn diverged(&self) -> Vec<String> {
        report::diverged(&self.data).iter().map(ToString::to_string).collect()
    }
}
