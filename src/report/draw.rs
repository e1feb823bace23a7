//! Draws the pictures and the HTML page of a run from its folder.

use std::path::Path;

use super::files::{read_rows, replace};
use super::folder::restore_leaderboard;
use super::{ReportError, RunData, html, load, load_slots, plots};

/// Reads a run's folder and redraws its `plots/` and `report.html`.
pub fn redraw(root: &Path) -> Result<RunData, ReportError> {
    let run = load(root)?;
    restore_leaderboard(root, &run)?;
    let pictures = plots::all(&run)?;
    for (name, svg) in &pictures {
        replace(&root.join("plots").join(name), svg.as_bytes())?;
    }
    let path = root.join("report.html");
    let (slots, backdoor) = (load_slots(root)?, read_rows(root, &[])?.unwrap_or_default());
    let page = html::page(&run, &slots, &backdoor);
    replace(
        &path,
        page.map_err(|error| ReportError::Json { path: path.clone(), message: error.to_string() })?.as_bytes(),
    )?;
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{RunFolder, sample};

    #[test]
    fn pictures_are_drawn_from_the_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let run = sample::copycat();
        let mut folder = RunFolder::create(dir.path(), &run.manifest.columns).unwrap();
        folder.write_manifest(&run.manifest).unwrap();
        for round in &run.rounds {
            let peers: Vec<_> = run.peers.iter().filter(|row| row.round == round.round).cloned().collect();
            folder.append_round(round, &peers).unwrap();
        }
        redraw(dir.path()).unwrap();
        for name in ["loss", "incentive", "rating", "proof", "status", "bytes"] {
            let svg = std::fs::read_to_string(dir.path().join(format!("plots/{name}.svg"))).unwrap();
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        }
        assert!(dir.path().join("report.html").exists());
    }
}
