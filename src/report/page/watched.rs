//! A run's folder that may still be written: its tables, read as they grow.
//!
//! `peers.csv` of a long run holds gigabytes. So of a long run one round in 2, 4, 8, ... is read, found by its place in
//! the file, and a run that grows drops every second round when they become too many. The short tables are read whole.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::kept::{Kept, ROUNDS, ROWS, of_round, sparse};
use super::table::Table;
use crate::report::files::read_rows;
use crate::report::record::Row;
use crate::report::standings::{lists_the_same, name_owners};
use crate::report::{BackdoorRow, Leaderboard, Manifest, PeerRow, ReportError, SlotRow, load_manifest};

/// A run's folder, read from time to time.
pub struct Watched {
    root: PathBuf,
    /// The manifest's last change.
    changed: Option<SystemTime>,
    kept: Kept,
    board: Leaderboard,
    places: Places,
    /// Rounds from one with lines of peers to the next; `None` before the first.
    base: Option<u64>,
    generation: u64,
}

/// The byte behind the last row that was read of each table.
#[derive(Default)]
struct Places {
    rounds: u64,
    peers: u64,
    slots: u64,
    baseline: u64,
    backdoor: u64,
}

impl Watched {
    /// Opens a run's folder, and reads it.
    ///
    /// # Errors
    /// It is no run's folder, was written by another version, or is damaged.
    pub fn open(root: &Path) -> Result<Self, ReportError> {
        let manifest = load_manifest(root)?;
        let whole = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        let name = whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned();
        let mut this = Self {
            root: root.to_path_buf(),
            changed: None,
            board: Leaderboard::new(&manifest.columns),
            kept: Kept::new(name, manifest),
            places: Places::default(),
            base: None,
            generation: 0,
        };
        this.refresh()?;
        Ok(this)
    }

    /// What is kept of the run.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Changes when what was kept before is not the beginning of what is kept now.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Reads what has been written since.
    ///
    /// # Errors
    /// The folder is gone or damaged.
    pub fn refresh(&mut self) -> Result<(), ReportError> {
        let read = self.read_on();
        if read.is_err() {
            // What was half read is read again from the start once the folder is whole.
            self.start_over(self.kept.run.manifest.clone());
        }
        read
    }

    fn read_on(&mut self) -> Result<(), ReportError> {
        let changed = std::fs::metadata(self.root.join("manifest.json")).and_then(|file| file.modified()).ok();
        if changed.is_none() || changed != self.changed {
            let manifest = load_manifest(&self.root)?;
            if is_same(&manifest, &self.kept.run.manifest) {
                self.kept.run.manifest = manifest;
            } else {
                self.start_over(manifest);
            }
            self.read()?;
            self.rank();
            self.changed = changed;
            return Ok(());
        }
        self.read()
    }

    fn start_over(&mut self, manifest: Manifest) {
        self.board = Leaderboard::new(&manifest.columns);
        self.kept = Kept::new(std::mem::take(&mut self.kept.run.name), manifest);
        (self.places, self.base, self.changed) = (Places::default(), None, None);
        self.generation += 1;
    }

    fn read(&mut self) -> Result<(), ReportError> {
        let root = &self.root;
        let (rounds, slots) = (Table::open(root, &[])?, Table::open(root, &[])?);
        let (baseline, backdoor) = (Table::open(root, &[])?, Table::<BackdoorRow>::open(root, &[])?);
        let peers = Table::<PeerRow>::open(root, &self.kept.run.manifest.columns)?;
        let at = &self.places;
        let is_cut = is_cut(&rounds, at.rounds)
            || is_cut(&slots, at.slots)
            || is_cut(&baseline, at.baseline)
            || is_cut(&backdoor, at.backdoor)
            || is_cut(&peers, at.peers);
        if is_cut {
            // The run was resumed from an earlier round.
            self.start_over(self.kept.run.manifest.clone());
        }
        let (kept, at) = (&mut self.kept, &mut self.places);
        grow(&rounds, &mut kept.run.rounds, &mut at.rounds)?;
        grow::<SlotRow>(&slots, &mut kept.slots, &mut at.slots)?;
        grow(&baseline, &mut kept.run.baseline, &mut at.baseline)?;
        grow(&backdoor, &mut kept.backdoor, &mut at.backdoor)?;
        let last = kept.run.rounds.last().map(|row| row.round);
        let last_step = kept.run.baseline.last().map(|row| row.round);
        let newest = if kept.run.manifest.central { last_step } else { last };
        kept.run.manifest.rounds_done = newest.map_or(0, |round| round.saturating_add(1));
        // The peers of a round are written before it.
        match (peers, last) {
            (Some(peers), Some(last)) => self.read_peers(&peers, last),
            _ => Ok(()),
        }
    }

    fn read_peers(&mut self, table: &Table<PeerRow>, last: u64) -> Result<(), ReportError> {
        let Some(first) = table.first_round()? else { return Ok(()) };
        let base = match self.base {
            Some(base) => base,
            None => {
                let base = rounds_apart(&self.kept, first);
                let peers = rows_of(table, last / base * base, 0)?.len() as u64;
                self.kept.every = sparse(base, last.saturating_add(1), peers, (ROUNDS, ROWS));
                *self.base.insert(base)
            }
        };
        let mut rows = self.new_rows(table, last, base)?;
        let newest = self.kept.latest.first().map(|row| row.round);
        name_owners(&mut rows, &self.kept.slots);
        rows.iter().for_each(|row| self.board.add(row));
        self.kept.run.peers.append(&mut rows);
        // Of a round that is not kept, the peers are shown as long as it is the newest.
        if newest != Some(last) {
            let kept = of_round(&self.kept.run.peers, last).to_vec();
            let mut latest = if kept.is_empty() { rows_of(table, last, 0)? } else { kept };
            name_owners(&mut latest, &self.kept.slots);
            if latest.is_empty() {
                latest = self
                    .kept
                    .run
                    .peers
                    .last()
                    .map_or(Vec::new(), |row| of_round(&self.kept.run.peers, row.round).to_vec());
            }
            self.kept.latest = latest;
        }
        while self.kept.is_too_long() {
            self.kept.halve();
            self.board = Leaderboard::of(&self.kept.run.manifest.columns, &self.kept.run.peers);
            self.generation += 1;
        }
        if newest != Some(last) {
            self.rank();
        }
        Ok(())
    }

    /// The lines of the rounds to keep that have come since.
    fn new_rows(&mut self, table: &Table<PeerRow>, last: u64, base: u64) -> Result<Vec<PeerRow>, ReportError> {
        let (every, place) = (self.kept.every, &mut self.places.peers);
        if every == base {
            let (rows, behind) = table.rows(*place, last.saturating_add(1))?;
            *place = behind;
            return Ok(rows);
        }
        let next = self.kept.run.peers.last().map_or(0, |row| (row.round + 1) / every) + 1;
        let mut rows = Vec::new();
        for nth in next..=last.saturating_add(1) / every {
            let round = nth * every - 1;
            let (found, behind) = table.rows(table.place(round, *place)?, round + 1)?;
            rows.extend(found);
            *place = behind;
        }
        Ok(rows)
    }

    /// Sorts the peers: by the leaderboard in the folder once the run has ended, else by the kept rounds.
    fn rank(&mut self) {
        let run = &mut self.kept.run;
        let is_partial = self.base.is_some_and(|base| base > 1) || self.kept.every > 1;
        let whole = || read_rows(&self.root, &run.manifest.columns).ok().flatten();
        let (whole, counted) = (if run.manifest.finished { whole() } else { None }, self.board.rows());
        let whole = whole.filter(|whole| is_partial || lists_the_same(whole, &counted));
        self.kept.is_sampled = is_partial && whole.is_none();
        run.leaderboard = whole.unwrap_or(counted);
    }

    /// The peers of the rounds from `from` to `to`, as finely as [`ROUNDS`] and [`ROWS`] allow; and of one round in how
    /// many they are.
    ///
    /// # Errors
    /// The folder is gone or damaged.
    pub fn span(&self, from: u64, to: u64) -> Result<(u64, Vec<PeerRow>), ReportError> {
        let (kept, base) = (&self.kept, self.base.unwrap_or(1));
        let last = kept.run.rounds.last().map_or(0, |row| row.round);
        let (from, to) = (from.min(last), to.min(last));
        let length = to.saturating_sub(from).saturating_add(1);
        let every = sparse(base, length, kept.latest.len() as u64, (ROUNDS, ROWS));
        let mut rows = Vec::new();
        if every >= kept.every {
            rows.extend(kept.run.peers.iter().filter(|row| (from..=to).contains(&row.round)).cloned());
            return Ok((kept.every, rows));
        }
        let Some(table) = Table::<PeerRow>::open(&self.root, &kept.run.manifest.columns)? else {
            return Ok((every, rows));
        };
        let mut place = 0;
        for nth in from / every + 1..=to.saturating_add(1) / every {
            let round = nth * every - 1;
            let (found, behind) = table.rows(table.place(round, place)?, round + 1)?;
            rows.extend(found);
            place = behind;
        }
        name_owners(&mut rows, &kept.slots);
        Ok((every, rows))
    }
}

fn is_cut<R: Row>(table: &Option<Table<R>>, place: u64) -> bool {
    table.as_ref().map_or(0, Table::end) < place
}

fn grow<R: Row>(table: &Option<Table<R>>, rows: &mut Vec<R>, place: &mut u64) -> Result<(), ReportError> {
    if let Some(table) = table.as_ref().filter(|table| table.end() > *place) {
        let (new, behind) = table.rows(*place, u64::MAX)?;
        rows.extend(new);
        *place = behind;
    }
    Ok(())
}

/// The peers of a round.
fn rows_of(table: &Table<PeerRow>, round: u64, from: u64) -> Result<Vec<PeerRow>, ReportError> {
    Ok(table.rows(table.place(round, from)?, round.saturating_add(1))?.0)
}

/// Rounds from one with lines of peers to the next: a published folder may hold one in N.
fn rounds_apart(kept: &Kept, first: u64) -> u64 {
    let expected = kept.slots.first().map_or(0, |slot| slot.round);
    let guessed = if first == expected { 1 } else { first.saturating_add(1) };
    kept.run.manifest.peers_every.unwrap_or(guessed).max(1)
}

/// Whether two manifests are of one run.
fn is_same(one: &Manifest, other: &Manifest) -> bool {
    one.run == other.run && one.begun_as() == other.begun_as() && one.columns == other.columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{RunData, RunFolder, load, sample};

    fn append(folder: &mut RunFolder, run: &RunData, rounds: std::ops::Range<usize>) {
        for round in &run.rounds[rounds] {
            folder.append_round(round, of_round(&run.peers, round.round)).unwrap();
        }
    }

    fn begun(dir: &Path, run: &RunData) -> RunFolder {
        let folder = RunFolder::create(dir, &run.manifest.columns).unwrap();
        let manifest = Manifest { finished: false, ..run.manifest.clone() };
        folder.write_manifest(&manifest).unwrap();
        folder
    }

    #[test]
    fn a_run_is_followed_as_it_grows_and_when_it_is_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample::copycat();
        let mut folder = begun(dir.path(), &run);
        let mut watched = Watched::open(dir.path()).unwrap();
        assert!(watched.kept().run.rounds.is_empty() && watched.kept().latest.is_empty());
        for (from, to) in [(0, 1), (1, 2), (2, 90), (90, 100)] {
            append(&mut folder, &run, from..to);
            watched.refresh().unwrap();
            let (kept, loaded) = (watched.kept(), load(dir.path()).unwrap());
            assert_eq!((&kept.run.rounds, &kept.run.peers), (&loaded.rounds, &loaded.peers));
            assert_eq!((&kept.run.leaderboard, kept.is_sampled), (&loaded.leaderboard, false));
            assert_eq!(kept.latest, of_round(&kept.run.peers, to as u64 - 1));
        }
        assert_eq!(watched.generation(), 0);
        folder.truncate_to(60).unwrap();
        append(&mut folder, &run, 60..61);
        watched.refresh().unwrap();
        assert_eq!((watched.generation(), watched.kept().run.rounds.len()), (1, 61));
        append(&mut folder, &run, 61..150);
        folder.write_manifest(&run.manifest).unwrap();
        watched.refresh().unwrap();
        assert!(watched.kept().run.manifest.finished);
        assert_eq!(watched.kept().run.peers, load(dir.path()).unwrap().peers);
    }

    #[test]
    fn a_long_run_is_kept_in_few_rounds_and_read_finely_where_it_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let mut run = sample::network(3, 3000, 4);
        run.manifest.finished = false;
        let mut folder = begun(dir.path(), &run);
        append(&mut folder, &run, 0..1000);
        let mut growing = Watched::open(dir.path()).unwrap();
        assert_eq!(growing.kept().every, 1);
        for from in (1000..3000).step_by(250) {
            append(&mut folder, &run, from..from + 250);
            growing.refresh().unwrap();
            assert!(growing.kept().run.peers.len() <= 3 * (ROUNDS as usize + 1));
        }
        let opened = Watched::open(dir.path()).unwrap();
        for watched in [&growing, &opened] {
            let kept = watched.kept();
            assert_eq!((kept.every, kept.run.peers.len(), kept.is_sampled), (4, 2250, true));
            assert_eq!((kept.run.peers[0].round, kept.latest[0].round), (3, 2999));
            let (every, rows) = watched.span(100, 199).unwrap();
            assert_eq!((every, rows.len(), rows[0].round, rows[299].round), (1, 300, 100, 199));
            assert_eq!(rows[7].incentive, run.peers[307].incentive);
            assert_eq!(watched.span(0, u64::MAX).unwrap().0, 4);
        }
        assert!(growing.generation() > 0);
    }

    #[test]
    fn published_folders_are_watched_too() {
        let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("runs/published");
        for name in ["copycat-1", "mixed-250-1", "templar-scaled-1", "three-peers-1"] {
            let (watched, run) = (Watched::open(&runs.join(name)).unwrap(), load(&runs.join(name)).unwrap());
            let kept = watched.kept();
            assert_eq!(
                (&kept.run.rounds, &kept.run.baseline, &kept.run.leaderboard),
                (&run.rounds, &run.baseline, &run.leaderboard),
                "{name}"
            );
            assert!(run.peers.len() as u64 > ROWS || kept.run.peers == run.peers, "{name}");
        }
    }
}
