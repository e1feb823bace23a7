//! A run's folder: `manifest.json`, the CSV files, `plots/`, and the states from which the engine resumes.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::Named;
use super::files::{Appender, csv_file, read_rows, replace};
use super::record::{Row, check_columns};
use super::standings::{lists_the_same, name_owners};
use super::whole::{RUN_AGAIN, START_OVER, TRAIN_OVER, Tables, check_baseline, tables};
use super::{
    BackdoorRow, BaselineRow, FORMAT, Leaderboard, LeaderboardRow, Manifest, PeerRow, ReportError, RoundRow, RunData,
    SlotRow,
};
use crate::mechanism::Column;
use crate::words::{not_json, unmarked};

const MANIFEST: &str = "manifest.json";

/// A run's folder, open for writing.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    /// The mechanism's columns.
    columns: Vec<Column>,
    rounds: Appender<RoundRow>,
    peers: Appender<PeerRow>,
    slots: Appender<SlotRow>,
    /// Created with its first row, as a run without a baseline has no such file.
    baseline: Option<Appender<BaselineRow>>,
    /// Likewise, as a run without a backdoor has no such file.
    backdoor: Option<Appender<BackdoorRow>>,
}

impl RunFolder {
    /// Starts a run in a new or empty folder. `columns` are the mechanism's numbers of each peer.
    ///
    /// # Errors
    /// [`ReportError::NoFolder`], or [`ReportError::Exists`] if it is not empty, as a run is never overwritten. [`ReportError::Content`] for
    /// columns that a file cannot have.
    pub fn create(root: impl Into<PathBuf>, columns: &[Column]) -> Result<Self, ReportError> {
        let root = root.into();
        match std::fs::read_dir(&root) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(ReportError::Exists(root));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Err(ReportError::NoFolder(root)),
            Err(_) => {}
        }
        check_columns(columns).map_err(|message| ReportError::Content { path: root.clone(), message })?;
        std::fs::create_dir_all(&root).named(&root, "make the folder")?;
        Self::with_files(root, columns.to_vec())
    }

    /// Opens a run's folder to continue the run, and reads its manifest.
    ///
    /// # Errors
    /// [`ReportError::NotARun`], [`ReportError::Version`], or a damaged file.
    pub fn open(root: impl Into<PathBuf>) -> Result<(Self, Manifest), ReportError> {
        let root = root.into();
        let manifest = read_manifest(&root)?;
        Ok((Self::with_files(root, manifest.columns.clone())?, manifest))
    }

    fn with_files(root: PathBuf, columns: Vec<Column>) -> Result<Self, ReportError> {
        let baseline = existing(&root, &columns)?;
        let backdoor = existing(&root, &columns)?;
        Ok(Self {
            rounds: Appender::open(&root, &columns)?,
            peers: Appender::open(&root, &columns)?,
            slots: Appender::open(&root, &columns)?,
            baseline,
            backdoor,
            columns,
            root,
        })
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Appends a round to `rounds.csv` and its peers to `peers.csv`, and hands both to the operating system.
    pub fn append_round(&mut self, round: &RoundRow, peers: &[PeerRow]) -> Result<(), ReportError> {
        self.peers.append(peers)?;
        self.rounds.append(std::slice::from_ref(round))
    }

    /// Appends to `slots.csv` when a slot has a new owner.
    pub fn append_slot(&mut self, row: &SlotRow) -> Result<(), ReportError> {
        self.slots.append(std::slice::from_ref(row))
    }

    /// The standings after the rounds in the folder, and the changes of slot owners.
    pub fn standings(&self) -> Result<(Leaderboard, Vec<SlotRow>), ReportError> {
        let slots = load_slots(&self.root)?;
        let mut peers: Vec<PeerRow> = read_rows(&self.root, &self.columns)?.unwrap_or_default();
        name_owners(&mut peers, &slots);
        Ok((Leaderboard::of(&self.columns, &peers), slots))
    }

    /// Checks that no line is missing up to this round of a run and this step of its baseline.
    ///
    /// # Errors
    /// [`ReportError::Lost`].
    pub fn check_whole(&self, manifest: &Manifest, rounds: u64, steps: u64) -> Result<(), ReportError> {
        let root = &self.root;
        let (mut rows, mut peers, slots) = tables(root, &self.columns)?;
        // Later rounds are done again.
        rows.retain(|row| row.round < rounds);
        peers.retain(|row| row.round < rounds);
        let tables = Tables { root, rounds: &rows, peers: &peers, slots: &slots, way_on: START_OVER };
        tables.check(manifest, Some(rounds))?;
        let mut baseline: Vec<BaselineRow> = read_rows(root, &self.columns)?.unwrap_or_default();
        baseline.retain(|row| row.round < steps);
        check_baseline(root, &baseline, Some(steps), TRAIN_OVER)
    }

    /// Whether the folder holds anything of an AdamW baseline.
    pub fn has_baseline(&self) -> bool {
        self.baseline.is_some()
    }

    /// Appends to `baseline.csv`.
    pub fn append_baseline(&mut self, row: &BaselineRow) -> Result<(), ReportError> {
        let lines = match &mut self.baseline {
            Some(lines) => lines,
            none => none.insert(Appender::open(&self.root, &self.columns)?),
        };
        lines.append(std::slice::from_ref(row))
    }

    /// Appends to `backdoor.csv`.
    pub fn append_backdoor(&mut self, row: &BackdoorRow) -> Result<(), ReportError> {
        let lines = match &mut self.backdoor {
            Some(lines) => lines,
            none => none.insert(Appender::open(&self.root, &self.columns)?),
        };
        lines.append(std::slice::from_ref(row))
    }

    /// Drops the rows of round `round` and later ones, which will be done again.
    pub fn truncate_to(&mut self, round: u64) -> Result<(), ReportError> {
        self.rounds.truncate_to(round)?;
        self.slots.truncate_to(round)?;
        self.backdoor.as_mut().map_or(Ok(()), |lines| lines.truncate_to(round))?;
        self.peers.truncate_to(round)
    }

    /// The same for the baseline, which keeps its own pace.
    pub fn truncate_baseline_to(&mut self, round: u64) -> Result<(), ReportError> {
        self.baseline.as_mut().map_or(Ok(()), |lines| lines.truncate_to(round))
    }

    /// Replaces `manifest.json`.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), ReportError> {
        write_manifest(&self.root, manifest)
    }

    /// Replaces `leaderboard.csv`.
    pub fn write_leaderboard(&self, rows: &[LeaderboardRow]) -> Result<(), ReportError> {
        write_leaderboard(&self.root, &self.columns, rows)
    }

    /// Replaces any other file, such as `checkpoint.bin`. A reader finds the old one or the new one, whole.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        replace(&self.root.join(name), bytes)
    }

    /// Removes a file. A missing file is not an error.
    pub fn remove(&self, name: &str) -> Result<(), ReportError> {
        let path = self.root.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.named(&path, "remove"),
        }
    }

    /// The bytes of a file; `None` if there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ReportError> {
        let path = self.root.join(name);
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.named(&path, "read").map(Some),
        }
    }
}

/// Opens a file that is created with its first row, if it exists.
fn existing<R: Row>(root: &Path, columns: &[Column]) -> Result<Option<Appender<R>>, ReportError> {
    root.join(R::FILE).exists().then(|| Appender::open(root, columns)).transpose()
}

/// Reads a run's folder. A leaderboard that is missing or incomplete is computed from the peers' rows.
///
/// # Errors
/// A file cannot be read or has lost lines.
pub fn load(root: &Path) -> Result<RunData, ReportError> {
    let manifest = read_manifest(root)?;
    let columns = &manifest.columns;
    let (rounds, mut peers, slots) = tables(root, columns)?;
    let done = manifest.finished.then_some(manifest.rounds_done);
    let tables = Tables { root, rounds: &rounds, peers: &peers, slots: &slots, way_on: RUN_AGAIN };
    tables.check(&manifest, done)?;
    let rounds_apart = tables.rounds_apart(&manifest);
    name_owners(&mut peers, &slots);
    let leaderboard = match (rounds_apart, read_rows(root, columns)) {
        (1, read) => {
            let made = Leaderboard::of(columns, &peers).rows();
            // A leaderboard written before the last rows belongs to an earlier round.
            let read = read.ok().flatten().filter(|read| manifest.finished && lists_the_same(read, &made));
            read.unwrap_or(made)
        }
        (_, read) => read?.ok_or_else(|| ReportError::Lost {
            path: root.join(LeaderboardRow::FILE),
            line: 1,
            message: format!("the file is missing, and {} is not of every round", PeerRow::FILE),
            way_on: "publish the run again",
        })?,
    };
    let baseline: Vec<BaselineRow> = read_rows(root, columns)?.unwrap_or_default();
    check_baseline(root, &baseline, done.filter(|_| manifest.central), RUN_AGAIN)?;
    let whole = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let name = whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned();
    Ok(RunData { name, rounds, baseline, manifest, peers, leaderboard })
}

/// Writes the leaderboard computed from the peers' rows if the folder has another one or none.
pub(super) fn restore_leaderboard(root: &Path, run: &RunData) -> Result<(), ReportError> {
    let read = read_rows(root, &run.manifest.columns).ok().flatten();
    if run.manifest.central || read.as_ref() == Some(&run.leaderboard) {
        return Ok(());
    }
    write_leaderboard(root, &run.manifest.columns, &run.leaderboard)
}

fn write_leaderboard(root: &Path, columns: &[Column], rows: &[LeaderboardRow]) -> Result<(), ReportError> {
    let path = root.join(LeaderboardRow::FILE);
    let bytes = csv_file(rows, columns);
    let broken = |error: csv::Error| ReportError::Csv { path: path.clone(), line: 0, message: error.to_string() };
    replace(&path, &bytes.map_err(broken)?)
}

/// Reads `slots.csv` of a run's folder: the changes of slot owners.
pub fn load_slots(root: &Path) -> Result<Vec<SlotRow>, ReportError> {
    Ok(read_rows(root, &[])?.unwrap_or_default())
}

/// Reads a run's manifest.
pub fn load_manifest(root: &Path) -> Result<Manifest, ReportError> {
    read_manifest(root)
}

/// Reads `rounds.csv` of a run's folder.
pub fn load_rounds(root: &Path) -> Result<Vec<RoundRow>, ReportError> {
    Ok(read_rows(root, &[])?.unwrap_or_default())
}

pub(super) fn write_manifest(root: &Path, manifest: &Manifest) -> Result<(), ReportError> {
    let path = root.join(MANIFEST);
    let mut json = serde_json::to_string_pretty(manifest)
        .map_err(|error| ReportError::Json { path: path.clone(), message: error.to_string() })?;
    json.push('\n');
    replace(&path, json.as_bytes())
}

/// The part of a manifest that is read before its format is known.
#[derive(Deserialize)]
struct Version {
    format: u64,
    version: String,
    columns: Option<IgnoredAny>,
}

fn read_manifest(root: &Path) -> Result<Manifest, ReportError> {
    let path = root.join(MANIFEST);
    let bytes = match std::fs::read(&path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(ReportError::NotARun(root.to_path_buf()));
        }
        bytes => bytes.named(&path, "read")?,
    };
    let text = unmarked(&bytes);
    let broken = |error| ReportError::Json { path: path.clone(), message: not_json(text, &error) };
    let Version { format, version, columns } = serde_json::from_slice(text).map_err(broken)?;
    if format != FORMAT {
        return Err(ReportError::Version { path: root.to_path_buf(), found: format, writer: version });
    }
    let mut manifest: Manifest = serde_json::from_slice(text).map_err(broken)?;
    let refused = |message| ReportError::Content { path: path.clone(), message };
    if columns.is_none() {
        // Earlier versions did not write these fields.
        let mechanism = manifest.scenario.registry.mechanisms.resolve(&manifest.scenario.mechanism);
        let mechanism = mechanism.map_err(|error| refused(format!("mechanism.{}: {}", error.key, error.message)))?;
        manifest.columns = mechanism.settings.build(0).columns();
    }
    check_columns(&manifest.columns).map_err(refused)?;
    Ok(manifest)
}

#[cfg(test)]
mod tests;
