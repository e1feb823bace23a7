//! Makes a small copy of a run's folder: the results, without models and states.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use super::draw::redraw;
use super::error::Named;
use super::folder::{load_manifest, write_manifest};
use super::record::Row;
use super::{BaselineRow, LeaderboardRow, PeerRow, ReportError, RoundRow, SlotRow};

/// Copies a run's manifest, tables and pictures to a new folder, keeps one round in `peers_every` of `peers.csv`, and
/// redraws the pictures from the copy.
///
/// # Errors
/// `from` is no run, `to` exists, or the disk cannot be written.
pub fn publish(from: &Path, to: &Path, peers_every: u64) -> Result<(), ReportError> {
    let mut manifest = load_manifest(from)?;
    if to.exists() {
        return Err(ReportError::Exists(to.into()));
    }
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).named(parent, "make the folder")?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".publishing-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    let folder = builder.tempdir_in(parent).named(parent, "write")?;
    for name in ["manifest.json", RoundRow::FILE, BaselineRow::FILE, LeaderboardRow::FILE, SlotRow::FILE] {
        let file = from.join(name);
        if file.exists() {
            std::fs::copy(&file, folder.path().join(name)).named(&file, "copy")?;
        }
    }
    thin(&from.join(PeerRow::FILE), &folder.path().join(PeerRow::FILE), peers_every)?;
    if peers_every > 1 {
        manifest.peers_every = Some(common_multiple(peers_every, manifest.peers_every.unwrap_or(1)));
        write_manifest(folder.path(), &manifest)?;
    }
    redraw(folder.path())?;
    std::fs::rename(folder.path(), to).named(to, "write")?;
    // The folder is at its final place, so the temporary one must not be removed.
    let _ = folder.keep();
    Ok(())
}

fn common_multiple(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}

/// Keeps the header and the lines of rounds `every - 1`, `2 * every - 1`, and so on. Rounds are counted from 0, so each
/// is the last of `every` rounds.
fn thin(from: &Path, to: &Path, every: u64) -> Result<(), ReportError> {
    let lines = BufReader::new(File::open(from).named(from, "open")?).lines();
    let mut out = BufWriter::new(File::create(to).named(to, "write")?);
    for (index, line) in lines.enumerate() {
        let line = line.named(from, "read")?;
        let round = line.split(',').next().and_then(|round| round.parse::<u64>().ok());
        if index == 0 || round.is_some_and(|round| (round + 1).is_multiple_of(every)) {
            writeln!(out, "{line}").named(to, "write")?;
        }
    }
    out.flush().named(to, "write")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{RunFolder, load, sample};

    #[test]
    fn a_copy_keeps_one_round_of_peers_in_n_and_all_else() {
        let run = sample::copycat();
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("run"), folder.path().join("published"));
        let mut written = RunFolder::create(&from, &run.manifest.columns).unwrap();
        for round in &run.rounds {
            let peers: Vec<_> = run.peers.iter().filter(|peer| peer.round == round.round).cloned().collect();
            written.append_round(round, &peers).unwrap();
        }
        written.write_manifest(&run.manifest).unwrap();
        written.write_leaderboard(&run.leaderboard).unwrap();
        written.write("checkpoint.bin", b"large").unwrap();
        publish(&from, &to, 10).unwrap();
        let (all, published) = (load(&from).unwrap(), load(&to).unwrap());
        assert_eq!((published.rounds, published.leaderboard), (all.rounds, all.leaderboard));
        let kept: Vec<_> = all.peers.iter().filter(|peer| peer.round % 10 == 9).cloned().collect();
        assert!(!kept.is_empty());
        assert_eq!(published.peers, kept);
        assert!(!to.join("checkpoint.bin").exists() && to.join("plots/loss.svg").exists());
        assert!(matches!(publish(&from, &to, 1), Err(ReportError::Exists(_))));
        assert!(matches!(publish(folder.path(), &to.join("other"), 1), Err(ReportError::NotARun(_))));
    }
}
