//! Writing a run into its folder as it goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use gauntlet::Uid;
use gauntlet::digest::Digest;
use gauntlet::engine::{BaselineState, BaselineStep, Checkpoint, Observer, ObserverError, Traffic, peer_identity};
use gauntlet::model::LlamaConfig;
use gauntlet::model::huggingface::{self, Ends, Values};
use gauntlet::node::{PeerReport, RoundReport, behaviour};
use gauntlet::report::{BaselineRow, Leaderboard, Manifest, PeerRow, RoundRow, RunFolder, SlotRow};
use gauntlet::scenario::{PeerGroup, Scenario};
use gauntlet::training::Replica;
use gauntlet::transport::Hotkey;

use super::progress::Progress;

const CHECKPOINT: &str = "checkpoint.bin";
pub const BASELINE: &str = "baseline.bin";
/// Where the models after some rounds lie, each as a Hugging Face folder.
const MODELS: &str = "checkpoints";

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
pub fn write_model(
    root: &Path,
    rounds: u64,
    (config, theta): (&LlamaConfig, &[f32]),
    kept: u64,
) -> Result<(), ObserverError> {
    let to = root.join(MODELS).join(format!("round-{rounds:06}"));
    // A resumed run makes the same model again.
    if !to.exists() {
        huggingface::write_folder(&to, (config, theta), Values::F32, &Ends::default(), |_| Ok(()))?;
    }
    for (old, folder) in models(root) {
        if old + kept < rounds {
            fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
    }
    Ok(())
}

/// The checkpoint that a run left.
pub fn checkpoint(folder: &RunFolder) -> anyhow::Result<Option<Checkpoint>> {
    let Some(bytes) = folder.read(CHECKPOINT)? else { return Ok(None) };
    let path = folder.path().join(CHECKPOINT);
    Checkpoint::from_bytes(&bytes).map(Some).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// The checkpoint that its baseline left.
pub fn baseline_checkpoint(folder: &RunFolder) -> anyhow::Result<Option<BaselineState>> {
    let Some(bytes) = folder.read(BASELINE)? else { return Ok(None) };
    let path = folder.path().join(BASELINE);
    postcard::from_bytes(&bytes).map(Some).with_context(|| format!("{}: damaged", path.display()))
}

/// Writes what a run tells, and shows it.
pub struct FolderObserver {
    pub manifest: Manifest,
    pub progress: Progress,
    folder: RunFolder,
    leaderboard: Leaderboard,
    /// Number and label of each peer by its key.
    peers: BTreeMap<Hotkey, (u32, String)>,
    /// Who holds which slot.
    holders: BTreeMap<Uid, u32>,
    tokens_per_round: f64,
    config: LlamaConfig,
}

impl FolderObserver {
    /// An observer that goes on after so many rounds of the run, and of its baseline.
    pub fn new(
        mut folder: RunFolder,
        manifest: Manifest,
        scenario: &Scenario,
        config: LlamaConfig,
        (rounds, baseline_rounds): (u64, u64),
        quiet: bool,
    ) -> anyhow::Result<Self> {
        folder.truncate_to(rounds)?;
        folder.truncate_baseline_to(baseline_rounds)?;
        let (leaderboard, slots) = folder.standings()?;
        let peers = scenario.each_peer().map(|(index, _, group)| {
            (peer_identity(scenario.seed, index).hotkey(), (index as u32, group.behaviour.label()))
        });
        let peers = peers.collect();
        let mut progress = Progress::new(scenario.rounds, quiet);
        progress.start_at(rounds);
        let trained = |(_, _, group): &(usize, usize, &PeerGroup)| behaviour::from_settings(&group.behaviour).trains();
        let pages = scenario.each_peer().filter(trained).count() * scenario.training.pages_per_round;
        let holders = slots.iter().map(|slot| (slot.uid, slot.peer)).collect();
        Ok(Self {
            manifest,
            progress,
            folder,
            leaderboard,
            peers,
            holders,
            tokens_per_round: (pages * config.sequence_length) as f64,
            config,
        })
    }

    /// Writes the leaderboard and the manifest of a run that has ended, or was stopped.
    pub fn close(&mut self, finished: bool, digest: Option<Digest>) -> anyhow::Result<()> {
        self.folder.write_leaderboard(&self.leaderboard.rows())?;
        self.manifest.finished = finished;
        self.manifest.digest = digest;
        self.folder.write_manifest(&self.manifest)?;
        if finished {
            self.folder.remove(CHECKPOINT)?;
            self.folder.remove(BASELINE)?;
        }
        Ok(())
    }

    fn peer_row(&mut self, report: &RoundReport, peer: &PeerReport) -> Result<PeerRow, ObserverError> {
        let (round, next) = (report.round, self.peers.len() as u32);
        let number = |name| report.number(peer, name);
        // Anybody may join a real network; what they do there, nobody knows.
        let (owner, behaviour) = self.peers.entry(peer.hotkey).or_insert_with(|| (next, "peer".into())).clone();
        if self.holders.insert(peer.uid, owner) != Some(owner) {
            let (uid, hotkey, behaviour) = (peer.uid, peer.hotkey.to_string(), behaviour.clone());
            self.folder.append_slot(&SlotRow { round, uid, peer: owner, hotkey, behaviour })?;
        }
        Ok(PeerRow {
            round,
            uid: peer.uid,
            owner,
            behaviour,
            status: peer.status,
            steps_behind: peer.steps_behind,
            loss_score_assigned: number("loss_score_assigned"),
            loss_score_unassigned: number("loss_score_unassigned"),
            rating_mu: number("rating_mu"),
            rating_sigma: number("rating_sigma"),
            proof_of_computation: number("proof_of_computation"),
            peer_score: number("peer_score"),
            incentive: peer.incentive,
            aggregated: peer.aggregated,
        })
    }

    /// Writes a round; what all nodes sent and received in it is known of a simulated network only.
    pub fn write_round(&mut self, report: &RoundReport, traffic: Option<Traffic>) -> Result<(), ObserverError> {
        let peers: Vec<PeerRow> =
            report.peers.iter().map(|peer| self.peer_row(report, peer)).collect::<Result<_, _>>()?;
        let round = RoundRow {
            round: report.round,
            virtual_seconds: report.at.as_secs_f64(),
            lr: report.lr,
            loss: report.loss,
            train_loss: report.train_loss,
            aggregated: peers.iter().filter(|peer| peer.aggregated).count(),
            uploads: report.uploads,
            bytes_up: traffic.map(|traffic| traffic.up),
            bytes_down: traffic.map(|traffic| traffic.down),
            replica_digest: report.model,
        };
        self.folder.append_round(&round, &peers)?;
        peers.iter().for_each(|peer| self.leaderboard.add(peer));
        self.manifest.rounds_done = report.round + 1;
        self.progress.round(report.round, report.loss, self.tokens_per_round);
        Ok(())
    }
}

impl Observer for FolderObserver {
    fn round(&mut self, report: &RoundReport, traffic: Traffic) -> Result<(), ObserverError> {
        self.write_round(report, Some(traffic))
    }

    fn baseline(&mut self, step: BaselineStep) -> Result<(), ObserverError> {
        self.folder.append_baseline(&BaselineRow { round: step.round, lr: step.lr, loss: step.loss })?;
        if self.manifest.rounds_done == self.manifest.scenario.rounds {
            self.progress.waiting_for_baseline(step.round);
        }
        Ok(())
    }

    fn model(&mut self, rounds: u64, replica: &Replica) -> Result<(), ObserverError> {
        let kept = self.manifest.scenario.keep_rounds();
        write_model(self.folder.path(), rounds, (&self.config, &replica.theta), kept)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        self.folder.write(CHECKPOINT, &checkpoint.to_bytes())?;
        self.folder.write_manifest(&self.manifest)?;
        Ok(())
    }

    fn baseline_checkpoint(&mut self, state: &BaselineState) -> Result<(), ObserverError> {
        let bytes = postcard::to_stdvec(state)?;
        Ok(self.folder.write(BASELINE, &bytes)?)
    }
}
