//! Opens a scenario as the network of its nodes.

use std::sync::Arc;

use super::sections::Scenario;
use crate::corpus::Corpus;
use crate::digest::Digest;
use crate::model::{Device, LlamaConfig, huggingface, init_theta};
use crate::node::{Network, OpenError, Rules};
use crate::random::Seed;
use crate::training::{CoreSettings, TrainingCore, Trigger};

/// A scenario, and the network that its nodes share.
pub struct World {
    pub scenario: Scenario,
    pub network: Arc<Network>,
}

impl World {
    /// Opens the corpus of a scenario, and builds the model and all else that the nodes share.
    ///
    /// # Errors
    /// The settings contradict each other, or a file that they name cannot be read.
    pub fn open(scenario: Scenario, device: Device) -> Result<Self, OpenError> {
        let network = Arc::new(scenario.network(device)?);
        Ok(Self { scenario, network })
    }

    /// As [`World::open`], of a run that began with another length, or with other names of the same files: what names it
    /// is the scenario that it began with.
    ///
    /// # Errors
    /// As [`World::open`].
    pub fn open_as(scenario: Scenario, begun: &Scenario, device: Device) -> Result<Self, OpenError> {
        let network = Arc::new(scenario.network_as(begun, device)?);
        Ok(Self { scenario, network })
    }
}

impl Scenario {
    /// What the nodes share.
    ///
    /// # Errors
    /// The settings contradict each other, or a file that they name cannot be read.
    pub fn network(&self, device: Device) -> Result<Network, OpenError> {
        self.network_as(self, device)
    }

    fn network_as(&self, begun: &Scenario, device: Device) -> Result<Network, OpenError> {
        let config = LlamaConfig::from_settings(&self.model)?;
        let corpus = Corpus::open(&self.corpus, self.seed, config.vocab_size, config.sequence_length)?;
        let theta = self.first_theta(&config)?;
        let settings = CoreSettings {
            training: &self.training,
            scheme: &*self.scheme_settings(),
            rule: &*self.rule_settings(),
            rounds: self.rounds,
        };
        let core = TrainingCore::new(settings, config, corpus, device)?;
        let genesis = core.replica(theta);
        let (settings, fingerprint) = (begun.canonical(), core.corpus.fingerprint());
        let parts = [b"gauntlet run".as_slice(), settings.as_bytes(), &fingerprint.0];
        // The run's name covers what does not follow from the seed.
        let loaded = self.model.init.as_ref().map(|_| &genesis.digest.0[..]);
        let run = Digest::of_parts(parts.into_iter().chain(loaded));
        Ok(Network::new(self.rules(), run, core, genesis))
    }

    fn rules(&self) -> Rules {
        Rules {
            seed: Seed::new(self.seed),
            rounds: self.rounds,
            training: self.training.clone(),
            protocol: self.protocol.clone(),
            weights: self.aggregation.weights,
            chain: self.chain.clone(),
            judge: self.judge(),
            backdoors: self.backdoors(),
        }
    }

    /// The backdoors that peers put into the model, each once.
    fn backdoors(&self) -> Vec<Trigger> {
        let mut found: Vec<Trigger> = Vec::new();
        for trigger in self.each_operator().filter_map(|operator| operator.behaviour().trigger()) {
            if !found.contains(&trigger) {
                found.push(trigger);
            }
        }
        found
    }

    /// The initial parameters of a run: drawn from the seed, or read from a folder.
    fn first_theta(&self, config: &LlamaConfig) -> Result<Vec<f32>, OpenError> {
        let Some(folder) = &self.model.init else { return Ok(init_theta(config, self.seed)) };
        let (found, theta) = huggingface::load(folder.as_ref())?;
        // No parameter depends on the sequence length.
        if (LlamaConfig { sequence_length: config.sequence_length, ..found.clone() }) != *config {
            let (found, expected) = (Box::new(found), Box::new(config.clone()));
            return Err(OpenError::InitSizes { folder: folder.clone(), found, expected });
        }
        Ok(theta)
    }
}
