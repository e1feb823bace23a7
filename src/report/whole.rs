//! Checks that a run's tables have all their lines. A gap in the rounds and peers that lines name shows a loss.

use std::collections::BTreeSet;
use std::path::Path;

use super::files::read_rows;
use super::record::Row;
use super::{BaselineRow, Manifest, PeerRow, ReportError, RoundRow, SlotRow};
use crate::Uid;
use crate::mechanism::Column;
use crate::words::counted;

/// Advice for lost lines if a run is only read.
pub(super) const RUN_AGAIN: &str = "run the scenario again";
/// Advice if the run is to be resumed.
pub(super) const START_OVER: &str = "remove checkpoint.bin: then `sim resume` starts from the first round";
/// Advice for the baseline's lines.
pub(super) const TRAIN_OVER: &str = "remove baseline.bin: then `sim resume` trains AdamW from its first step";

/// The tables of a run's folder.
pub(super) struct Tables<'a> {
    pub root: &'a Path,
    pub rounds: &'a [RoundRow],
    pub peers: &'a [PeerRow],
    pub slots: &'a [SlotRow],
    /// Advice for lost lines, besides restoring the file.
    pub way_on: &'static str,
}

impl Tables<'_> {
    /// Checks the tables. Those of a real network may lack rounds that no validator reported, and uids that one of them
    /// did not see. `done` is the number of finished rounds, if known.
    ///
    /// # Errors
    /// [`ReportError::Lost`], with the first missing line.
    pub fn check(&self, manifest: &Manifest, done: Option<u64>) -> Result<(), ReportError> {
        if manifest.central {
            return Ok(());
        }
        if manifest.bucket.is_none() {
            let rounds = self.rounds.iter().map(|row| row.round);
            check_rounds(&self.root.join(RoundRow::FILE), rounds, done, self.way_on)?;
        }
        self.check_peers(manifest)
    }

    /// Checks that each round has a line for each slot that was ever taken. A slot passes from peer to peer and is
    /// never empty again.
    fn check_peers(&self, manifest: &Manifest) -> Result<(), ReportError> {
        let lost = |at: usize, message| {
            Err(ReportError::Lost {
                path: self.root.join(PeerRow::FILE),
                line: at as u64 + 2,
                message,
                way_on: self.way_on,
            })
        };
        let every = self.rounds_apart(manifest);
        let mut newcomers = self.slots.iter().peekable();
        let (mut taken, mut at) = (BTreeSet::<Uid>::new(), 0);
        for round in self.rounds {
            let number = round.round;
            while let Some(slot) = newcomers.next_if(|slot| slot.round <= number) {
                taken.insert(slot.uid);
            }
            if !number.saturating_add(1).is_multiple_of(every) {
                continue;
            }
            let rows = self.peers[at..].iter().take_while(|row| row.round == number);
            let (mut found, mut aggregated, mut count) = (BTreeSet::new(), 0, 0);
            for row in rows {
                if !found.insert(row.uid) {
                    return lost(at + count, format!("expected another uid than {} for round {number}", row.uid));
                }
                aggregated += usize::from(row.aggregated);
                count += 1;
            }
            at += count;
            if let Some(uid) = taken.difference(&found).next().filter(|_| manifest.bucket.is_none()) {
                return lost(at, format!("the line of uid {uid} for round {number} is missing"));
            }
            if aggregated != round.aggregated {
                let message = format!(
                    "expected {} aggregated in round {number}, as {} says, found {aggregated}",
                    counted(round.aggregated, "peer"),
                    RoundRow::FILE
                );
                return lost(at, message);
            }
            taken = found;
        }
        match self.peers.get(at) {
            // Peers' lines of a round that is being written.
            Some(row) if row.round > self.rounds.last().map_or(0, |last| last.round) && !manifest.finished => Ok(()),
            Some(row) => lost(at, format!("a line of round {}, which is not the next", row.round)),
            None => Ok(()),
        }
    }

    /// Rounds from one round with lines of peers to the next.
    pub fn rounds_apart(&self, manifest: &Manifest) -> u64 {
        if let Some(every) = manifest.peers_every {
            return every.max(1);
        }
        // Folders that earlier versions published do not say.
        let first = self.peers.first().map_or(0, |row| row.round);
        let expected = self.slots.first().map_or(0, |slot| slot.round);
        if first == expected { 1 } else { first.saturating_add(1) }
    }
}

/// Checks the steps of a baseline; `done` is their number, if known.
///
/// # Errors
/// [`ReportError::Lost`].
pub(super) fn check_baseline(
    root: &Path,
    rows: &[BaselineRow],
    done: Option<u64>,
    way_on: &'static str,
) -> Result<(), ReportError> {
    check_rounds(&root.join(BaselineRow::FILE), rows.iter().map(|row| row.round), done, way_on)
}

/// The lines of a network's tables.
type NetworkRows = (Vec<RoundRow>, Vec<PeerRow>, Vec<SlotRow>);

/// The tables of a network, in the order of writing: a resumed run writes a round's peers before the round.
pub(super) fn tables(root: &Path, columns: &[Column]) -> Result<NetworkRows, ReportError> {
    Ok((
        read_rows(root, columns)?.unwrap_or_default(),
        read_rows(root, columns)?.unwrap_or_default(),
        read_rows(root, columns)?.unwrap_or_default(),
    ))
}

/// Checks that rounds count from 0 to `done` without a gap.
fn check_rounds(
    path: &Path,
    rounds: impl Iterator<Item = u64>,
    done: Option<u64>,
    way_on: &'static str,
) -> Result<(), ReportError> {
    let lost = |line, message| Err(ReportError::Lost { path: path.into(), line, message, way_on });
    let mut next = 0;
    for round in rounds {
        if round != next {
            return lost(next + 2, format!("expected round {next}, found round {round}"));
        }
        next += 1;
    }
    match done {
        Some(done) if next + 1 == done => lost(next + 2, format!("round {next} is missing")),
        Some(done) if next < done => lost(next + 2, format!("rounds {next} to {} are missing", done - 1)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::report::{RunData, load, sample};

    fn check(run: &RunData, slots: &[SlotRow]) -> Result<(), String> {
        let tables =
            Tables { root: Path::new("run"), rounds: &run.rounds, peers: &run.peers, slots, way_on: RUN_AGAIN };
        tables.check(&run.manifest, Some(run.manifest.rounds_done)).map_err(|error| error.to_string())
    }

    fn lost(change: impl Fn(&mut RunData)) -> String {
        let mut run = sample::copycat();
        change(&mut run);
        check(&run, &[]).unwrap_err()
    }

    #[test]
    fn each_lost_line_is_named() {
        assert_eq!(check(&sample::copycat(), &[]), Ok(()));
        let way_on = "; restore the file, or run the scenario again";
        for (found, expected) in [
            (
                lost(|run| run.rounds.retain(|row| row.round != 12)),
                "run/rounds.csv, line 14: expected round 12, found round 13",
            ),
            (lost(|run| run.rounds.truncate(149)), "run/rounds.csv, line 151: round 149 is missing"),
            (lost(|run| run.rounds.truncate(100)), "run/rounds.csv, line 102: rounds 100 to 149 are missing"),
            (
                lost(|run| run.peers.retain(|row| (row.round, row.uid) != (3, 15))),
                "run/peers.csv, line 65: the line of uid 15 for round 3 is missing",
            ),
            (
                lost(|run| run.peers.truncate(1600)),
                "run/peers.csv, line 1602: the line of uid 0 for round 100 is missing",
            ),
            (
                lost(|run| run.peers.insert(5, run.peers[4].clone())),
                "run/peers.csv, line 7: expected another uid than 4 for round 0",
            ),
            (lost(|run| run.peers.swap(16, 40)), "run/peers.csv, line 18: the line of uid 0 for round 1 is missing"),
            (
                lost(|run| run.peers.push(run.peers[0].clone())),
                "run/peers.csv, line 2402: a line of round 0, which is not the next",
            ),
        ] {
            assert_eq!(found, format!("{expected}{way_on}"));
        }
        let aggregated = lost(|run| {
            let first = run.peers.iter().position(|row| row.aggregated).unwrap();
            run.peers[first].aggregated = false;
        });
        assert!(aggregated.contains("aggregated in round 0, as rounds.csv says, found "), "{aggregated}");
    }

    #[test]
    fn a_line_of_a_newcomer_is_known_by_its_slot() {
        let mut run = sample::copycat();
        run.peers.retain(|row| row.uid != 9 || row.round > 20);
        run.rounds.iter_mut().for_each(|round| {
            round.aggregated = run.peers.iter().filter(|row| row.round == round.round && row.aggregated).count();
        });
        assert_eq!(check(&run, &[]), Ok(()), "it may have come in round 21");
        let slot = SlotRow { round: 20, uid: 9, peer: 9, hotkey: String::new(), behaviour: "honest".into() };
        let first = SlotRow { round: 0, uid: 0, ..slot.clone() };
        let message = check(&run, &[first, slot]).unwrap_err();
        assert!(message.contains("the line of uid 9 for round 20 is missing"), "{message}");
    }

    #[test]
    fn published_folders_may_skip_rounds_of_peers_but_lose_none() {
        let mut run = sample::copycat();
        run.peers.retain(|row| row.round % 10 == 9);
        assert_eq!(check(&run, &[]), Ok(()), "as the first lines show");
        run.manifest.peers_every = Some(10);
        assert_eq!(check(&run, &[]), Ok(()));
        run.peers.drain(..16);
        assert!(check(&run, &[]).unwrap_err().contains("in round 9, as rounds.csv says, found 0; restore"));
        run.manifest.peers_every = None;
        run.peers[0].round = u64::MAX;
        assert!(check(&run, &[]).unwrap_err().contains("peers.csv, line 2: "), "no such round");
        run.peers.clear();
        run.manifest.finished = true;
        assert!(check(&run, &[]).unwrap_err().contains("peers.csv, line 2: "));
    }

    #[test]
    fn published_runs_are_whole() {
        let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("runs/published");
        let mut folders: Vec<PathBuf> = [runs.clone(), runs.join("schemes")]
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("manifest.json").exists())
            .collect();
        folders.sort();
        assert!(folders.len() > 10);
        for folder in folders {
            load(&folder).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
