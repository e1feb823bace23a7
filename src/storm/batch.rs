//! Many storms side by side, each with its own seed, and the file with a row for each.
//!
//! Rows are written as storms end, so that a stopped batch goes on where it was. At the end they lie in the order of
//! seeds, and do not depend on the number of threads.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use thiserror::Error;

use super::fault::{Fault, KINDS};
use super::field::Field;
use super::outcome::{Outcome, run};
use super::schedule;

/// The file with a row for each storm.
pub const FILE: &str = "storms.csv";

/// Storms to run.
pub struct Batch<'a> {
    pub field: &'a Field,
    pub seeds: Range<u64>,
    /// The faults to keep of each storm; all if `None`.
    pub faults: Option<Vec<usize>>,
    pub threads: usize,
    /// Where the file lies.
    pub folder: PathBuf,
    /// Set from outside to stop after the storms under way.
    pub interrupt: &'a AtomicBool,
    /// Told of each storm that ends: its row, and how many are done.
    pub progress: &'a (dyn Fn(&Row, u64) + Sync),
}

/// What is kept of a storm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub seed: u64,
    /// How many faults it had.
    pub faults: usize,
    /// How often each kind of [`KINDS`] struck.
    pub struck: [u64; KINDS.len()],
    /// The invariants that it broke, each once.
    pub broken: Vec<String>,
    pub digest: String,
}

/// Why storms cannot be kept.
#[derive(Debug, Error)]
pub enum BatchError {
    #[error("{path}: cannot be read or written: {source}; the same command resumes")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: line {line} is no storm of these settings; take another --out, or move the file away")]
    Other { path: PathBuf, line: u64 },
}

impl Row {
    fn of(outcome: &Outcome, faults: usize) -> Self {
        let mut broken: Vec<String> = outcome.broken.iter().map(|broken| broken.what.to_string()).collect();
        broken.sort();
        broken.dedup();
        let Outcome { seed, struck, ref digest, .. } = *outcome;
        Self { seed, faults, struck, broken, digest: digest.clone() }
    }

    fn titles() -> Vec<String> {
        let first = ["run", "seed", "faults"].into_iter().chain(KINDS);
        first.chain(["broken", "digest"]).map(str::to_string).collect()
    }

    fn cells(&self, run: &str) -> Vec<String> {
        let numbers = [self.seed, self.faults as u64].into_iter().chain(self.struck);
        let cells = [run.to_string()].into_iter().chain(numbers.map(|number| number.to_string()));
        cells.chain([self.broken.join("; "), self.digest.clone()]).collect()
    }

    fn read(cells: &csv::StringRecord, run: &str) -> Option<Self> {
        let number = |at: usize| cells.get(at)?.parse::<u64>().ok();
        let mut struck = [0; KINDS.len()];
        for (kind, count) in struck.iter_mut().enumerate() {
            *count = number(3 + kind)?;
        }
        let broken = cells.get(3 + KINDS.len())?.split("; ").filter(|what| !what.is_empty()).map(str::to_string);
        let row = Self {
            seed: number(1)?,
            faults: number(2)? as usize,
            struck,
            broken: broken.collect(),
            digest: cells.get(4 + KINDS.len())?.to_string(),
        };
        (cells.get(0)? == run).then_some(row)
    }
}

impl Batch<'_> {
    /// The faults of a seed that this batch keeps.
    pub fn faults_of(&self, seed: u64) -> Vec<Fault> {
        let mut faults = schedule::draw(&self.field.scenario, seed);
        if let Some(kept) = &self.faults {
            faults.retain(|fault| kept.contains(&fault.index));
        }
        faults
    }

    /// Runs all storms that the file does not have, and returns the rows of all seeds that are done.
    ///
    /// # Errors
    /// The file cannot be read or written, or is of other storms.
    pub fn run(&self) -> Result<Vec<Row>, BatchError> {
        let path = self.folder.join(FILE);
        let io = |source| BatchError::Io { path: path.clone(), source };
        std::fs::create_dir_all(&self.folder).map_err(io)?;
        let known = self.read(&path)?;
        let rows: Mutex<BTreeMap<u64, Row>> = Mutex::new(known);
        self.write_all(&path, &rows.lock().expect("no panic while held"))?;
        let file = Mutex::new(OpenOptions::new().append(true).open(&path).map_err(io)?);
        let (next, failure) = (AtomicU64::new(self.seeds.start), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    while let Some(seed) = self.next(&next, &rows) {
                        let faults = self.faults_of(seed);
                        let row = Row::of(&run(self.field, seed, faults.clone()), faults.len());
                        let line = self.line(&row);
                        let written = file.lock().expect("no panic while held").write_all(&line);
                        if let Err(error) = written {
                            failure.lock().expect("no panic while held").get_or_insert(error);
                            self.interrupt.store(true, Ordering::Relaxed);
                        }
                        let mut rows = rows.lock().expect("no panic while held");
                        rows.insert(seed, row.clone());
                        let done = rows.range(self.seeds.clone()).count() as u64;
                        drop(rows);
                        (self.progress)(&row, done);
                    }
                });
            }
        });
        if let Some(source) = failure.into_inner().expect("no panic while held") {
            return Err(io(source));
        }
        let rows = rows.into_inner().expect("no panic while held");
        self.write_all(&path, &rows)?;
        Ok(rows.into_iter().filter(|(seed, _)| self.seeds.contains(seed)).map(|(_, row)| row).collect())
    }

    fn next(&self, next: &AtomicU64, rows: &Mutex<BTreeMap<u64, Row>>) -> Option<u64> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds.end || self.interrupt.load(Ordering::Relaxed) {
                return None;
            }
            if !rows.lock().expect("no panic while held").contains_key(&seed) {
                return Some(seed);
            }
        }
    }

    /// Names the network, and which faults are drawn and kept.
    fn name(&self) -> String {
        let kept = self.faults.as_ref().map_or(String::new(), |kept| {
            let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
            format!("-{}", kept.join("+"))
        });
        format!("{}{kept}", self.field.run.id.short())
    }

    fn line(&self, row: &Row) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(row.cells(&self.name())).expect("memory takes any text");
        writer.into_inner().expect("memory takes any text")
    }

    /// The rows of a file; none if there is no file. A last line that was cut off does not count.
    fn read(&self, path: &Path) -> Result<BTreeMap<u64, Row>, BatchError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            file => file.map_err(|source| BatchError::Io { path: path.into(), source })?,
        };
        let mut rows = BTreeMap::new();
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
        let mut broken_line = None;
        for (line, record) in reader.records().enumerate() {
            if let Some(line) = broken_line {
                return Err(BatchError::Other { path: path.into(), line });
            }
            let line = line as u64 + 2;
            let record = record.map_err(|_| BatchError::Other { path: path.into(), line })?;
            match Row::read(&record, &self.name()) {
                Some(row) => drop(rows.insert(row.seed, row)),
                None if record.get(0) == Some(&self.name()) => broken_line = Some(line),
                None => return Err(BatchError::Other { path: path.into(), line }),
            }
        }
        Ok(rows)
    }

    fn write_all(&self, path: &Path, rows: &BTreeMap<u64, Row>) -> Result<(), BatchError> {
        let io = |source| BatchError::Io { path: path.into(), source };
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        let mut titles = csv::Writer::from_writer(Vec::new());
        titles.write_record(Row::titles()).expect("memory takes any text");
        file.write_all(&titles.into_inner().expect("memory takes any text")).map_err(io)?;
        for row in rows.values() {
            file.write_all(&self.line(row)).map_err(io)?;
        }
        file.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }
}
