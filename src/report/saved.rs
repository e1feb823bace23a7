//! States to resume from, and models, in a run's folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Named;
use super::folder::load_rounds;
use super::whole::{START_OVER, TRAIN_OVER};
use super::{Manifest, ReportError, RunFolder};
use crate::chain::RoundClock;
use crate::digest::Digest;
use crate::engine::{BaselineState, Checkpoint};
use crate::model::LlamaConfig;
use crate::model::huggingface::{self, Ends, Values};
use crate::words::counted;

/// The state from which a run resumes, also for more rounds than planned.
const CHECKPOINT: &str = "checkpoint.bin";
const BASELINE: &str = "baseline.bin";
/// Folder of the models after some rounds, each a Hugging Face folder.
const MODELS: &str = "checkpoints";
/// The same of their averages.
const AVERAGES: &str = "averages";

/// The file of a checkpoint whose nodes have ended because the run has this many rounds. It exists while the baseline
/// has rounds left. A longer run cannot resume from it.
pub(super) fn ended(rounds: u64) -> String {
    format!("ended-{rounds}.bin")
}

/// The file to which a run's checkpoint is written.
pub(super) fn file_of(checkpoint: &Checkpoint, manifest: &Manifest) -> String {
    let rounds = manifest.scenario.rounds;
    let end = RoundClock::new(&manifest.scenario.chain).start(rounds);
    let mut nodes = checkpoint.nodes.iter().flatten();
    let is_over = nodes.any(|node| node.state.is_none() && node.at >= end);
    if is_over { ended(rounds) } else { CHECKPOINT.into() }
}

/// Writes the state of a run's baseline, followed by its digest.
pub(super) fn write_baseline(folder: &RunFolder, state: &BaselineState) -> Result<(), ReportError> {
    let mut bytes = state.to_bytes();
    bytes.extend(Digest::of(&bytes).0);
    folder.write(BASELINE, &bytes)
}

/// The saved states of a run.
#[derive(Default)]
pub struct Saved {
    /// `None` before the first checkpoint.
    pub checkpoint: Option<Checkpoint>,
    pub baseline: Option<BaselineState>,
    /// Steps of the baseline in a round; 0 where nothing was read.
    steps_per_round: u64,
}

impl Saved {
    /// Reads the states from a run's folder.
    ///
    /// # Errors
    /// A file is damaged. The message names the newest whole model and what to do.
    pub fn read(folder: &RunFolder, manifest: &Manifest) -> Result<Self, ReportError> {
        let (root, last) = (folder.path(), ended(manifest.scenario.rounds));
        let found = [last.as_str(), CHECKPOINT].into_iter().find(|name| root.join(name).exists());
        let checkpoint = match found {
            Some(name) => {
                let damaged = |message| damaged(root, name, message, START_OVER);
                folder.read(name)?.map(|bytes| Checkpoint::from_bytes(&bytes)).transpose().map_err(damaged)?
            }
            None => None,
        };
        let damaged = |message| damaged(root, BASELINE, message, TRAIN_OVER);
        let average = manifest.scenario.training.average;
        let baseline = folder.read(BASELINE)?.map(|bytes| baseline_of(&bytes, average)).transpose().map_err(damaged)?;
        let steps_per_round = manifest.scenario.baseline.steps_per_round as u64;
        Ok(Self { checkpoint, baseline, steps_per_round })
    }

    /// Finished rounds of the run, and of its baseline.
    pub fn done(&self) -> (u64, u64) {
        let rounds = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.rounds);
        let steps = self.baseline.as_ref().map_or(0, |baseline| baseline.moments.steps);
        (rounds, steps / self.steps_per_round.max(1))
    }
}

fn baseline_of(bytes: &[u8], average: Option<f64>) -> Result<BaselineState, String> {
    let (body, digest) = bytes.split_last_chunk::<32>().ok_or("it is cut short")?;
    if Digest::of(body).0 != *digest {
        return Err("its digest does not match: it is damaged".into());
    }
    BaselineState::from_bytes(body, average)
}

fn damaged(root: &Path, name: &str, message: String, way_on: &str) -> ReportError {
    let newest = newest_whole(root).map(|(rounds, path)| {
        let (path, after) = (path.display(), counted(rounds, "round"));
        format!("; the newest model that is whole, after {after}, is {path}: `--set model.init={path}` starts a new run from it")
    });
    let way_on = format!("{}{}", way_on.replace(CHECKPOINT, name), newest.unwrap_or_default());
    ReportError::Damaged { path: root.join(name), message, way_on }
}

/// The newest model of a run whose digest matches `rounds.csv`: rounds done, and path.
fn newest_whole(root: &Path) -> Option<(u64, PathBuf)> {
    let rows = load_rounds(root).unwrap_or_default();
    models(root).into_iter().rev().find(|(rounds, path)| {
        let Ok((_, theta)) = huggingface::load(path) else { return false };
        let row = rows.iter().find(|row| row.round + 1 == *rounds);
        row.is_none_or(|row| row.replica_digest == Digest::of_f32(&theta))
    })
}

/// Removes what only a resumption to the same length needs.
pub(super) fn remove_ended(folder: &RunFolder, rounds: u64) -> Result<(), ReportError> {
    folder.remove(&ended(rounds))
}

/// The models in a run's folder: rounds done, and path.
pub fn models(root: &Path) -> Vec<(u64, PathBuf)> {
    models_in(&root.join(MODELS))
}

/// The averages of the last models in a run's folder, of a run with `training.average`.
pub fn averages(root: &Path) -> Vec<(u64, PathBuf)> {
    models_in(&root.join(AVERAGES))
}

fn models_in(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut models: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let rounds = entry.file_name().to_str()?.strip_prefix("round-")?.parse().ok()?;
            Some((rounds, entry.path()))
        })
        .collect();
    models.sort_unstable();
    models
}

/// Writes the model after `rounds` rounds into a run's folder, and removes models more than `kept` rounds older.
pub(super) fn write_model(
    root: &Path,
    rounds: u64,
    model: (&LlamaConfig, &[f32]),
    kept: u64,
) -> Result<(), ReportError> {
    write_in(&root.join(MODELS), rounds, model, kept)
}

/// The same of the average of the last models.
pub(super) fn write_average(
    root: &Path,
    rounds: u64,
    model: (&LlamaConfig, &[f32]),
    kept: u64,
) -> Result<(), ReportError> {
    write_in(&root.join(AVERAGES), rounds, model, kept)
}

fn write_in(models: &Path, rounds: u64, (config, theta): (&LlamaConfig, &[f32]), kept: u64) -> Result<(), ReportError> {
    let to = models.join(format!("round-{rounds:06}"));
    // A resumed run produces the same model again.
    if !to.exists() {
        let written = huggingface::write_folder(&to, (config, theta), Values::F32, &Ends::default(), |_| Ok(()));
        written.map_err(|error| ReportError::Model(Box::new(error)))?;
    }
    for (old, folder) in models_in(models) {
        if old + kept < rounds {
            fs::remove_dir_all(&folder).named(&folder, "remove")?;
        }
    }
    Ok(())
}
