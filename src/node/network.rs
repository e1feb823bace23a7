//! What everybody in a network knows: its settings, and what follows from them.

use std::sync::Arc;

use thiserror::Error;

use crate::corpus::{Assignment, Corpus, CorpusError, PageId};
use crate::digest::Digest;
use crate::model::{Device, LlamaConfig, ModelError, init_theta};
use crate::scenario::Scenario;
use crate::training::scheme::ChunkError;
use crate::training::{PayloadShape, Replica, TrainingCore};

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
}

impl Network {
    /// Opens the corpus of a scenario, and builds the model and everything else that the nodes share.
    pub fn open(scenario: Scenario, device: Device) -> Result<Self, OpenError> {
        let config = LlamaConfig::from_settings(&scenario.model)?;
        let corpus = Corpus::open(&scenario.corpus, scenario.seed, config.vocab_size, config.sequence_length)?;
        let core = TrainingCore::new(&scenario, config, corpus, device)?;
        Ok(Self::new(scenario, core))
    }

    fn new(scenario: Scenario, core: TrainingCore) -> Self {
        let run =
            Digest::of_parts([b"gauntlet run".as_slice(), scenario.to_toml().as_bytes(), &core.corpus.fingerprint().0]);
        let assignment = Assignment::new(
            scenario.seed,
            scenario.chain.slots,
            scenario.training.pages_per_round,
            core.corpus.train_pages(),
        );
        let shape = core.shape().clone();
        let genesis = core.replica(init_theta(&core.config, scenario.seed));
        Self { scenario, run, core, assignment, shape, genesis }
    }

    /// Tokens that some pages predict.
    pub fn tokens(&self, pages: &[PageId]) -> f64 {
        (pages.len() * self.core.config.sequence_length) as f64
    }
}
