//! Writes a run into its folder while it runs: a network's, or that of its baseline alone.

use std::path::Path;

use super::rows::{RoundRows, Rows};
use super::saved::{file_of, remove_ended, write_average, write_baseline, write_model};
use super::{BackdoorRow, BaselineRow, Equality, Leaderboard, Manifest, ReportError, RunFolder};
use crate::digest::Digest;
use crate::engine::{BaselineState, BaselineStep, Checkpoint, Observer, ObserverError, Traffic};
use crate::model::LlamaConfig;
use crate::node::RoundReport;
use crate::scenario::World;
use crate::training::{Average, Replica};

/// An observer that writes a run's reports into its folder.
pub struct RunWriter {
    /// Written with each checkpoint and at the end.
    pub manifest: Manifest,
    folder: RunFolder,
    leaderboard: Leaderboard,
    rows: Rows,
    config: LlamaConfig,
}

impl RunWriter {
    /// Starts a run in a new or empty folder, with its network's facts in the manifest.
    ///
    /// # Errors
    /// [`ReportError::Exists`] if the folder is not empty, or the disk cannot be written.
    pub fn create(root: &Path, world: &World, mut manifest: Manifest) -> Result<Self, ReportError> {
        let folder = RunFolder::create(root, &manifest.columns)?;
        manifest.describe(&world.network);
        folder.write_manifest(&manifest)?;
        Self::go_on(folder, manifest, world.network.core.config.clone(), (0, 0))
    }

    /// Continues after these numbers of rounds of a run and of its baseline. Later rows in the folder are dropped.
    ///
    /// # Errors
    /// A file is damaged or has lost lines, or the disk cannot be written.
    pub fn go_on(
        mut folder: RunFolder,
        mut manifest: Manifest,
        config: LlamaConfig,
        (rounds, baseline_rounds): (u64, u64),
    ) -> Result<Self, ReportError> {
        folder.check_whole(&manifest, rounds, baseline_rounds)?;
        (manifest.finished, manifest.digest) = (false, None);
        folder.write_manifest(&manifest)?;
        folder.truncate_to(rounds)?;
        folder.truncate_baseline_to(baseline_rounds)?;
        let (leaderboard, slots) = folder.standings()?;
        let rows = Rows::new(&manifest.scenario, &manifest.columns, &slots);
        Ok(Self { manifest, folder, leaderboard, rows, config })
    }

    /// Writes a round. Traffic and costs are known only for a simulated network.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn write_round(&mut self, report: &RoundReport, traffic: Option<&Traffic>) -> Result<(), ReportError> {
        let RoundRows { round, peers, slots } = self.rows.of(report, traffic);
        slots.iter().try_for_each(|slot| self.folder.append_slot(slot))?;
        if let Some(success) = report.backdoor {
            self.folder.append_backdoor(&BackdoorRow { round: report.round, success })?;
        }
        self.folder.append_round(&round, &peers)?;
        peers.iter().for_each(|peer| self.leaderboard.add(peer));
        self.manifest.rounds_done = report.round + 1;
        Ok(())
    }

    /// Writes the leaderboard and the manifest of a run that has ended or was stopped.
    ///
    /// # Errors
    /// The disk cannot be written.
    pub fn close(&mut self, finished: bool, digest: Option<Digest>) -> Result<(), ReportError> {
        if !self.manifest.central {
            let rows = self.leaderboard.rows();
            self.folder.write_leaderboard(&rows)?;
            self.manifest.honest_pay = Equality::of_honest(&rows);
        }
        (self.manifest.finished, self.manifest.digest) = (finished, digest);
        self.folder.write_manifest(&self.manifest)?;
        if finished {
            // The states stay, so that the run can be continued for more rounds later.
            remove_ended(&self.folder, self.manifest.scenario.rounds)?;
        }
        Ok(())
    }

    fn write_model(&self, rounds: u64, theta: &[f32]) -> Result<(), ReportError> {
        write_model(self.folder.path(), rounds, (&self.config, theta), self.manifest.scenario.keep_rounds())
    }
}

impl RunWriter {
    fn write_average(&self, rounds: u64, theta: &[f32]) -> Result<(), ReportError> {
        write_average(self.folder.path(), rounds, (&self.config, theta), self.manifest.scenario.keep_rounds())
    }
}

impl Observer for RunWriter {
    fn round(&mut self, report: &RoundReport, traffic: Traffic) -> Result<(), ObserverError> {
        Ok(self.write_round(report, Some(&traffic))?)
    }

    fn baseline(&mut self, step: BaselineStep) -> Result<(), ObserverError> {
        let BaselineStep { round, lr, loss, average_loss } = step;
        let average_loss = self.manifest.scenario.training.average.map(|_| average_loss);
        self.folder.append_baseline(&BaselineRow { round, lr, loss, average_loss })?;
        if self.manifest.central {
            self.manifest.rounds_done = step.round + 1;
        }
        Ok(())
    }

    fn model(&mut self, rounds: u64, replica: &Replica) -> Result<(), ObserverError> {
        Ok(self.write_model(rounds, &replica.theta)?)
    }

    fn average(&mut self, rounds: u64, theta: &[f32]) -> Result<(), ObserverError> {
        Ok(self.write_average(rounds, theta)?)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        self.folder.write(&file_of(checkpoint, &self.manifest), &checkpoint.to_bytes())?;
        Ok(self.folder.write_manifest(&self.manifest)?)
    }

    fn baseline_checkpoint(&mut self, state: &BaselineState) -> Result<(), ObserverError> {
        write_baseline(&self.folder, state)?;
        if self.manifest.central {
            self.folder.write_manifest(&self.manifest)?;
            let scenario = &self.manifest.scenario;
            let rounds = state.moments.steps / scenario.baseline.steps_per_round as u64;
            if rounds.is_multiple_of(scenario.training.checkpoint_every) || rounds == scenario.rounds {
                self.write_model(rounds, &state.theta)?;
                let average = state.average.as_ref().and_then(Average::theta);
                average.map_or(Ok(()), |theta| self.write_average(rounds, theta))?;
            }
        }
        Ok(())
    }
}
