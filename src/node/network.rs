//! What everybody in a network knows: its settings, and what follows from them.

use std::sync::Arc;

use thiserror::Error;

use crate::corpus::{Assignment, Corpus, CorpusError, PageId};
use crate::digest::Digest;
use crate::model::huggingface::{self, HfError};
use crate::model::{Device, LlamaConfig, ModelError, init_theta};
use crate::scenario::Scenario;
use crate::training::{ChunkError, CoreError, CoreSettings, PayloadShape, Replica, TrainingCore};

/// The common knowledge of a run.
pub struct Network {
    pub scenario: Scenario,
    /// Names the run in every signed message.
    pub run: Digest,
    pub core: TrainingCore,
    pub assignment: Assignment,
    /// What every valid pseudo-gradient looks like.
    pub shape: PayloadShape,
    /// The replica that everybody starts from.
    pub genesis: Arc<Replica>,
}

/// Why there is no network of a scenario: its settings do not go together, or its corpus cannot be read.
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
    #[error("model.init: {folder} holds a model of other sizes: {found:?}, the settings ask for {expected:?}")]
    InitSizes { folder: String, found: Box<LlamaConfig>, expected: Box<LlamaConfig> },
}

impl From<HfError> for OpenError {
    fn from(error: HfError) -> Self {
        Self::Init(error)
    }
}

impl Network {
    /// Opens the corpus of a scenario, and builds the model and everything else that the nodes share.
    pub fn open(scenario: Scenario, device: Device) -> Result<Self, OpenError> {
        let config = LlamaConfig::from_settings(&scenario.model)?;
        let corpus = Corpus::open(&scenario.corpus, scenario.seed, config.vocab_size, config.sequence_length)?;
        let theta = first_theta(&scenario, &config)?;
        let settings = CoreSettings {
            training: &scenario.training,
            scheme: &scenario.scheme,
            aggregation: &scenario.aggregation,
            rounds: scenario.rounds,
        };
        let core = TrainingCore::new(settings, config, corpus, device)?;
        Ok(Self::new(scenario, core, theta))
    }

    fn new(scenario: Scenario, core: TrainingCore, theta: Vec<f32>) -> Self {
        let genesis = core.replica(theta);
        let (settings, fingerprint) = (scenario.canonical(), core.corpus.fingerprint());
        let parts = [b"gauntlet run".as_slice(), settings.as_bytes(), &fingerprint.0];
        // What the seed does not make belongs to the run's name.
        let loaded = scenario.model.init.as_ref().map(|_| &genesis.digest.0[..]);
        let run = Digest::of_parts(parts.into_iter().chain(loaded));
        let assignment = Assignment::new(
            scenario.seed,
            scenario.chain.slots,
            scenario.training.pages_per_round,
            core.corpus.train_pages(),
        );
        let shape = core.shape().clone();
        Self { scenario, run, core, assignment, shape, genesis }
    }

    /// Tokens that some pages predict.
    pub fn tokens(&self, pages: &[PageId]) -> f64 {
        (pages.len() * self.core.config.sequence_length) as f64
    }
}

/// The parameters that a run starts from: drawn from the seed, or those of a folder.
fn first_theta(scenario: &Scenario, config: &LlamaConfig) -> Result<Vec<f32>, OpenError> {
    let Some(folder) = &scenario.model.init else { return Ok(init_theta(config, scenario.seed)) };
    let (found, theta) = huggingface::load(folder.as_ref())?;
    // No parameter depends on the length.
    if (LlamaConfig { sequence_length: config.sequence_length, ..found.clone() }) != *config {
        let (found, expected) = (Box::new(found), Box::new(config.clone()));
        return Err(OpenError::InitSizes { folder: folder.clone(), found, expected });
    }
    Ok(theta)
}
