//! A run's folder: `manifest.json`, the CSV files, `plots/`, and what the engine keeps to resume.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::Named;
use super::files::{Appender, csv_file, read_rows, replace};
use super::record::{Row, check_columns};
use super::{
    BackdoorRow, BaselineRow, FORMAT, Leaderboard, LeaderboardRow, Manifest, PeerRow, ReportError, RoundRow, RunData,
    SlotRow,
};
use crate::mechanism::Column;

const MANIFEST: &str = "manifest.json";

/// A run's folder, open for writing.
#[derive(Debug)]
pub struct RunFolder {
    root: PathBuf,
    /// Those of the mechanism.
    columns: Vec<Column>,
    rounds: Appender<RoundRow>,
    peers: Appender<PeerRow>,
    slots: Appender<SlotRow>,
    /// Begun with its first row: a run without a baseline has no such file.
    baseline: Option<Appender<BaselineRow>>,
    /// The same of a run without a backdoor.
    backdoor: Option<Appender<BackdoorRow>>,
}

impl RunFolder {
    /// Begins a run in a new or empty folder; its mechanism has these numbers of each peer.
    ///
    /// # Errors
    /// [`ReportError::Exists`] where there is anything already: a run is never overwritten. [`ReportError::Content`] for
    /// columns that a file cannot have.
    pub fn create(root: impl Into<PathBuf>, columns: &[Column]) -> Result<Self, ReportError> {
        let root = root.into();
        let taken = match std::fs::read_dir(&root) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) => error.kind() == io::ErrorKind::NotADirectory,
        };
        if taken {
            return Err(ReportError::Exists(root));
        }
        check_columns(columns).map_err(|message| ReportError::Content { path: root.clone(), message })?;
        std::fs::create_dir_all(&root).named(&root, "make the folder")?;
        Self::with_files(root, columns.to_vec())
    }

    /// Opens a run's folder to go on with it, and reads its manifest.
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Appends a round to `rounds.csv` and its peers to `peers.csv`; both are with the operating system on return.
    pub fn append_round(&mut self, round: &RoundRow, peers: &[PeerRow]) -> Result<(), ReportError> {
        self.peers.append(peers)?;
        self.rounds.append(std::slice::from_ref(round))
    }

    /// Appends to `slots.csv`: a slot has a new owner.
    pub fn append_slot(&mut self, row: &SlotRow) -> Result<(), ReportError> {
        self.slots.append(std::slice::from_ref(row))
    }

    /// The standings after the rounds that are in the folder, and who came to which slot.
    pub fn standings(&self) -> Result<(Leaderboard, Vec<SlotRow>), ReportError> {
        let slots: Vec<SlotRow> = read_rows(&self.root, &self.columns)?.unwrap_or_default();
        let peers: Vec<PeerRow> = read_rows(&self.root, &self.columns)?.unwrap_or_default();
        let mut owners = BTreeMap::new();
        let mut to_come = slots.iter().peekable();
        let mut leaderboard = Leaderboard::new(&self.columns);
        for mut peer in peers {
            while let Some(slot) = to_come.next_if(|slot| slot.round <= peer.round) {
                owners.insert(slot.uid, slot.peer);
            }
            peer.owner = owners.get(&peer.uid).copied().unwrap_or_default();
            leaderboard.add(&peer);
        }
        Ok((leaderboard, slots))
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

    /// Drops what was written of round `round` and later ones, to do them again.
    pub fn truncate_to(&mut self, round: u64) -> Result<(), ReportError> {
        self.rounds.truncate_to(round)?;
        self.slots.truncate_to(round)?;
        self.backdoor.as_mut().map_or(Ok(()), |lines| lines.truncate_to(round))?;
        self.peers.truncate_to(round)
    }

    /// The same of the baseline, which keeps its own pace.
    pub fn truncate_baseline_to(&mut self, round: u64) -> Result<(), ReportError> {
        self.baseline.as_mut().map_or(Ok(()), |lines| lines.truncate_to(round))
    }

    /// Replaces `manifest.json`.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), ReportError> {
        let path = self.root.join(MANIFEST);
        let mut json = serde_json::to_string_pretty(manifest)
            .map_err(|source| ReportError::Json { path: path.clone(), source })?;
        json.push('\n');
        replace(&path, json.as_bytes())
    }

    /// Replaces `leaderboard.csv`.
    pub fn write_leaderboard(&self, rows: &[LeaderboardRow]) -> Result<(), ReportError> {
        let path = self.root.join(LeaderboardRow::FILE);
        let bytes = csv_file(rows, &self.columns).map_err(|error| ReportError::Csv {
            path: path.clone(),
            line: 0,
            message: error.to_string(),
        })?;
        replace(&path, &bytes)
    }

    /// Replaces any other file, as `checkpoint.bin`; a reader finds the old one or the new one, whole.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        replace(&self.root.join(name), bytes)
    }

    /// Removes a file; one that is not there is no error.
    pub fn remove(&self, name: &str) -> Result<(), ReportError> {
        let path = self.root.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.named(&path, "remove"),
        }
    }

    /// The bytes of a file, `None` where there is none.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ReportError> {
        let path = self.root.join(name);
        match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => bytes.named(&path, "read").map(Some),
        }
    }
}

/// A file that a run begins with its first row, if it has one.
fn existing<R: Row>(root: &Path, columns: &[Column]) -> Result<Option<Appender<R>>, ReportError> {
    root.join(R::FILE).exists().then(|| Appender::open(root, columns)).transpose()
}

/// Reads a run's folder. The leaderboard of a run that was stopped before it wrote one is made from its rows.
pub fn load(root: &Path) -> Result<RunData, ReportError> {
    let manifest = read_manifest(root)?;
    let columns = &manifest.columns;
    let peers: Vec<PeerRow> = read_rows(root, columns)?.unwrap_or_default();
    let leaderboard = match read_rows(root, columns)? {
        Some(rows) => rows,
        None => Leaderboard::of(columns, &peers).rows(),
    };
    let whole = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    Ok(RunData {
        name: whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned(),
        rounds: read_rows(root, columns)?.unwrap_or_default(),
        baseline: read_rows(root, columns)?.unwrap_or_default(),
        manifest,
        peers,
        leaderboard,
    })
}

/// Reads a run's manifest.
pub fn load_manifest(root: &Path) -> Result<Manifest, ReportError> {
    read_manifest(root)
}

/// Reads `rounds.csv` of a run's folder.
pub fn load_rounds(root: &Path) -> Result<Vec<RoundRow>, ReportError> {
    Ok(read_rows(root, &[])?.unwrap_or_default())
}

/// What is read of a manifest before its format is known.
#[derive(Deserialize)]
struct Version {
    format: u64,
    version: String,
    columns: Option<IgnoredAny>,
}

fn read_manifest(root: &Path) -> Result<Manifest, ReportError> {
    let path = root.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(ReportError::NotARun(root.to_path_buf()));
        }
        text => text.named(&path, "read")?,
    };
    let broken = |source| ReportError::Json { path: path.clone(), source };
    let Version { format, version, columns } = serde_json::from_str(&text).map_err(broken)?;
    if format != FORMAT {
        return Err(ReportError::Version { path: root.to_path_buf(), found: format, writer: version });
    }
    let mut manifest: Manifest = serde_json::from_str(&text).map_err(broken)?;
    let refused = |message| ReportError::Content { path: path.clone(), message };
    if columns.is_none() {
        // Earlier versions did not say them.
        let mechanism = manifest.scenario.registry.mechanisms.resolve(&manifest.scenario.mechanism);
        let mechanism = mechanism.map_err(|error| refused(format!("mechanism.{}: {}", error.key, error.message)))?;
        manifest.columns = mechanism.settings.build(0).columns();
    }
    check_columns(&manifest.columns).map_err(refused)?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn written(root: &Path, run: &RunData) -> RunFolder {
        let mut folder = RunFolder::create(root, &run.manifest.columns).unwrap();
        folder.write_manifest(&run.manifest).unwrap();
        for round in &run.rounds {
            let peers: Vec<_> = run.peers.iter().filter(|row| row.round == round.round).cloned().collect();
            folder.append_round(round, &peers).unwrap();
        }
        run.baseline.iter().for_each(|row| folder.append_baseline(row).unwrap());
        folder
    }

    #[test]
    fn a_run_reads_back_to_the_last_bit() {
        let dir = tempfile::tempdir().unwrap();
        let mut run = sample::copycat();
        let root = dir.path().join("copycat-1");
        let folder = written(&root, &run);
        folder.write_leaderboard(&run.leaderboard).unwrap();
        run.name = "copycat-1".into();
        let back = load(&root).unwrap();
        assert_eq!(back.manifest, run.manifest);
        assert_eq!(back.rounds, run.rounds);
        assert_eq!(back.leaderboard, run.leaderboard);
        run.peers.iter_mut().for_each(|row| row.owner = 0);
        assert_eq!(back, run);
    }

    #[test]
    fn an_existing_run_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        drop(RunFolder::create(dir.path(), &[]).unwrap());
        let message = RunFolder::create(dir.path(), &[]).unwrap_err().to_string();
        assert!(message.contains("--out DIR") && message.contains("--resume"), "{message}");
        let file = dir.path().join("rounds.csv");
        assert!(matches!(RunFolder::create(file, &[]), Err(ReportError::Exists(_))));
    }

    #[test]
    fn resuming_drops_unfinished_rounds_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample::copycat();
        drop(written(dir.path(), &run));
        let (mut folder, manifest) = RunFolder::open(dir.path()).unwrap();
        assert_eq!(manifest, run.manifest);
        folder.truncate_to(100).unwrap();
        folder.truncate_baseline_to(120).unwrap();
        let cut = load(dir.path()).unwrap();
        assert_eq!((cut.rounds.len(), cut.peers.len(), cut.baseline.len()), (100, 1600, 24));
        assert_eq!(cut.leaderboard, Leaderboard::of(&cut.manifest.columns, &cut.peers).rows());
        folder.append_round(&run.rounds[100], &run.peers[1600..1616]).unwrap();
        assert_eq!(load(dir.path()).unwrap().rounds[100], run.rounds[100]);
    }

    #[test]
    fn a_folder_of_another_version_is_refused_whatever_else_it_says() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(MANIFEST), r#"{"format": 9, "version": "3.1.0", "unknown": []}"#).unwrap();
        let message = RunFolder::open(dir.path()).unwrap_err().to_string();
        assert!(message.contains("written by gauntlet 3.1.0") && message.contains("format 9"), "{message}");
        std::fs::write(dir.path().join(MANIFEST), "{\"format\": 2,\n \"version\": }").unwrap();
        let message = load(dir.path()).unwrap_err().to_string();
        assert!(message.contains("manifest.json: ") && message.contains("line 2"), "{message}");
        let message = load(&dir.path().join("nothing")).unwrap_err().to_string();
        assert!(message.contains("is no run folder"), "{message}");
    }

    #[test]
    fn a_manifest_without_columns_has_those_of_its_mechanism() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample::copycat();
        drop(written(dir.path(), &run));
        let path = dir.path().join(MANIFEST);
        let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        json.as_object_mut().unwrap().remove("columns");
        std::fs::write(&path, json.to_string()).unwrap();
        assert_eq!(load(dir.path()).unwrap().manifest, run.manifest);
        json["scenario"]["mechanism"] = "mine".into();
        std::fs::write(&path, json.to_string()).unwrap();
        let message = load(dir.path()).unwrap_err().to_string();
        assert!(message.contains("manifest.json: ") && message.contains("`mine`"), "{message}");
        json["columns"] = serde_json::json!([{"name": "status", "label": "", "kind": "standing"}]);
        std::fs::write(&path, json.to_string()).unwrap();
        let message = load(dir.path()).unwrap_err().to_string();
        assert!(message.contains("\"status\" has the name of another column"), "{message}");
    }

    #[test]
    fn other_files_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(dir.path(), &[]).unwrap();
        assert_eq!(folder.read("checkpoint.bin").unwrap(), None);
        folder.write("checkpoint.bin", &[1, 2, 3]).unwrap();
        assert_eq!(folder.read("checkpoint.bin").unwrap(), Some(vec![1, 2, 3]));
    }
}
