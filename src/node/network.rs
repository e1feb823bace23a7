//! What every node of a network knows: its rules, and what follows from them.

use std::sync::Arc;

use thiserror::Error;

use crate::chain::ChainSettings;
use crate::corpus::{Assignment, CorpusError, PageId};
use crate::digest::Digest;
use crate::mechanism::MechanismSettings;
use crate::model::huggingface::HfError;
use crate::model::{LlamaConfig, ModelError};
use crate::protocol::ProtocolSettings;
use crate::random::Seed;
use crate::training::aggregate::Weights;
use crate::training::{ChunkError, CoreError, PayloadShape, Replica, TrainingCore, TrainingSettings, Trigger};
use crate::transport::verified::Verified;
use crate::transport::wire::{Form, Upload};

/// The rules that all nodes follow.
pub struct Rules {
    /// Seed of the draws that all nodes share, and of those of simulated nodes.
    pub seed: Seed,
    /// Communication rounds.
    pub rounds: u64,
    pub training: TrainingSettings,
    pub protocol: ProtocolSettings,
    /// How much each upload counts in the aggregation.
    pub weights: Weights,
    pub chain: ChainSettings,
    /// How validators judge.
    pub judge: Box<dyn MechanismSettings>,
    /// Backdoors whose success is measured with the held-out loss: for the reader of the run, nobody acts on it.
    pub backdoors: Vec<Trigger>,
}

/// The common knowledge of a run.
pub struct Network {
    pub rules: Rules,
    /// Names the run in every signed message.
    pub run: Digest,
    pub core: TrainingCore,
    pub assignment: Assignment,
    /// What every valid pseudo-gradient looks like.
    pub shape: PayloadShape,
    /// The replica that everybody starts from.
    pub genesis: Arc<Replica>,
    /// Signatures of uploads and records that its nodes in this process have verified.
    pub verified: Verified,
}

/// Why settings make no network: they contradict each other, or the corpus cannot be read.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error(transparent)]
    Chunks(#[from] ChunkError),
    #[error(transparent)]
    Training(#[from] CoreError),
    #[error("model.init: {0}")]
    Init(HfError),
    #[error("model.{key} = {asked}, but the model of model.init, {folder}, has {found}; leave the setting out")]
    OtherSize { key: String, asked: String, folder: String, found: String },
    #[error("model.init: {folder} holds a model of other sizes than the settings ask for: {}", differing(.found, .expected))]
    InitSizes { folder: String, found: Box<LlamaConfig>, expected: Box<LlamaConfig> },
}

/// The sizes in which two models differ.
fn differing(found: &LlamaConfig, expected: &LlamaConfig) -> String {
    let sizes = [
        ("vocab_size", found.vocab_size, expected.vocab_size),
        ("hidden_size", found.hidden_size, expected.hidden_size),
        ("num_layers", found.num_layers, expected.num_layers),
        ("num_heads", found.num_heads, expected.num_heads),
        ("num_kv_heads", found.num_kv_heads, expected.num_kv_heads),
        ("head_size", found.head_size, expected.head_size),
        ("intermediate_size", found.intermediate_size, expected.intermediate_size),
    ];
    let sizes = sizes.iter().map(|(name, found, expected)| (*name, found.to_string(), expected.to_string()));
    let bases = [
        ("rope_theta", found.rope_theta.to_string(), expected.rope_theta.to_string()),
        ("rms_norm_eps", found.rms_norm_eps.to_string(), expected.rms_norm_eps.to_string()),
    ];
    let differ = sizes.chain(bases).filter(|(_, found, expected)| found != expected);
    differ.map(|(name, found, expected)| format!("{name} is {found}, not {expected}")).collect::<Vec<_>>().join("; ")
}

impl From<HfError> for OpenError {
    fn from(error: HfError) -> Self {
        Self::Init(error)
    }
}

impl Network {
    /// Makes the network `run`, whose nodes follow these rules and start from `genesis`.
    pub fn new(rules: Rules, run: Digest, core: TrainingCore, genesis: Arc<Replica>) -> Self {
        let (slots, pages) = (rules.chain.slots, rules.training.pages_per_round);
        let assignment = Assignment::new(rules.seed.known(), slots, pages, core.corpus.train_pages());
        let shape = core.shape().clone();
        Self { rules, run, core, assignment, shape, genesis, verified: Verified::default() }
    }

    /// What all uploads have in common.
    pub fn form(&self) -> Form<'_> {
        Form { shape: &self.shape, says_pages: self.rules.protocol.says_pages(), commits: self.rules.judge.audits() }
    }

    /// The pages that a peer says it trained on, as many of them as count.
    pub fn pages_said(&self, upload: &Upload) -> usize {
        let assigned = self.rules.training.pages_per_round;
        let said = upload.pages.map_or(assigned, usize::from);
        said.clamp(1, self.rules.protocol.pages_that_count(assigned))
    }

    /// Whether a peer's work on so many pages may have `steps` inner steps: as many as the scheme says, or, where uploads say their pages, no fewer
    /// for them than others make. Fewer steps are less work for the same pages.
    pub fn may_step(&self, steps: Option<usize>, pages: usize) -> bool {
        let Some(steps) = steps else { return true };
        let (assigned, says) = (self.rules.training.pages_per_round, self.rules.protocol.says_pages());
        let is_enough = |usual: usize| says && steps.saturating_mul(assigned) >= pages.saturating_mul(usual);
        self.core.steps_of_scheme().is_some_and(|usual| steps == usual || is_enough(usual))
    }

    /// Number of tokens to predict on these pages.
    pub fn tokens(&self, pages: &[PageId]) -> f64 {
        (pages.len() * self.core.config.sequence_length) as f64
    }
}
