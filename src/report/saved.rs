//! What a run leaves in its folder besides tables: states to go on from, and models.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Named;
use super::{ReportError, RunFolder};
use crate::engine::{BaselineState, Checkpoint};
use crate::model::LlamaConfig;
use crate::model::huggingface::{self, Ends, Values};

pub(super) const CHECKPOINT: &str = "checkpoint.bin";
pub(super) const BASELINE: &str = "baseline.bin";
/// Where the models after some rounds lie, each as a Hugging Face folder.
const MODELS: &str = "checkpoints";

/// The states that an interrupted run left.
#[derive(Default)]
pub struct Saved {
    /// None before the first checkpoint.
    pub checkpoint: Option<Checkpoint>,
    pub baseline: Option<BaselineState>,
}

impl Saved {
    /// Reads them from a run's folder.
    ///
    /// # Errors
    /// A damaged file.
    pub fn read(folder: &RunFolder) -> Result<Self, ReportError> {
        let damaged = |name, message| ReportError::Content { path: folder.path().join(name), message };
        let checkpoint = folder.read(CHECKPOINT)?.map(|bytes| Checkpoint::from_bytes(&bytes));
        let checkpoint = checkpoint.transpose().map_err(|message| damaged(CHECKPOINT, message))?;
        let baseline = folder.read(BASELINE)?.map(|bytes| postcard::from_bytes(&bytes));
        let baseline = baseline.transpose().map_err(|error| damaged(BASELINE, format!("damaged: {error}")))?;
        Ok(Self { checkpoint, baseline })
    }

    /// Rounds of the run that are done, and steps of its baseline.
    pub fn done(&self) -> (u64, u64) {
        let rounds = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.rounds);
        (rounds, self.baseline.as_ref().map_or(0, |baseline| baseline.moments.steps))
    }
}

/// The models in a run's folder: rounds that were done, and where.
pub fn models(root: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(root.join(MODELS)).into_iter().flatten().flatten();
    let mut models: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let rounds = entry.file_name().to_str()?.strip_prefix("round-")?.parse().ok()?;
            Some((rounds, entry.path()))
        })
        .collect();
    models.sort_unstable();
    models
}

/// Writes the model after so many rounds into a run's folder, and removes those from more than `kept` rounds before it.
pub(super) fn write_model(
    root: &Path,
    rounds: u64,
    (config, theta): (&LlamaConfig, &[f32]),
    kept: u64,
) -> Result<(), ReportError> {
    let to = root.join(MODELS).join(format!("round-{rounds:06}"));
    // A resumed run makes the same model again.
    if !to.exists() {
        let written = huggingface::write_folder(&to, (config, theta), Values::F32, &Ends::default(), |_| Ok(()));
        written.map_err(|error| ReportError::Model(Box::new(error)))?;
    }
    for (old, folder) in models(root) {
        if old + kept < rounds {
            fs::remove_dir_all(&folder).named(&folder, "remove")?;
        }
    }
    Ok(())
}
