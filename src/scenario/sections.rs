//! The sections of a scenario.

use crate::chain::ChainSettings;
use crate::corpus::CorpusSettings;
use crate::mechanism::MechanismSettings;
use crate::model::ModelSettings;
use crate::node::behaviour::BehaviourSettings;
use crate::node::validator::behaviour::ValidatorBehaviourSettings;
use crate::protocol::ProtocolSettings;
use crate::settings::Kinded;
use crate::training::aggregate::{AggregationSettings, RuleSettings};
use crate::training::scheme::SchemeSettings;
use crate::training::{BaselineSettings, PayloadShape, TrainingSettings};
use crate::transport::wire::Form;
use serde::{Deserialize, Serialize};

use super::peers::{OperatorGroup, PeerGroup, ValidatorSettings};
use super::registry::Registry;

/// A network to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name; the run folder is called `<name>-<seed>`.
    pub name: String,
    /// One line for `sim scenarios`.
    #[serde(default)]
    pub summary: String,
    /// Seed of every random draw.
    #[serde(default)]
    pub seed: u64,
    /// Communication rounds.
    #[serde(default = "default_rounds")]
    pub rounds: u64,
    #[serde(default)]
    pub model: ModelSettings,
    #[serde(default)]
    pub corpus: CorpusSettings,
    #[serde(default)]
    pub training: TrainingSettings,
    /// How peers train together: a kind of [`Registry::schemes`] and its settings.
    #[serde(default)]
    pub scheme: Kinded,
    #[serde(default, skip_serializing_if = "AggregationSettings::is_default")]
    pub aggregation: AggregationSettings,
    /// Rules of the network, under any mechanism.
    #[serde(default)]
    pub protocol: ProtocolSettings,
    /// How peers are judged and paid: a kind of [`Registry::mechanisms`] and its settings.
    #[serde(default)]
    pub mechanism: Kinded,
    #[serde(default)]
    pub chain: ChainSettings,
    #[serde(default)]
    pub baseline: BaselineSettings,
    /// The validators, in any order of stake; at least one.
    #[serde(default = "default_validators")]
    pub validators: Vec<ValidatorSettings>,
    /// Groups of peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<PeerGroup>,
    /// Groups of operators with several slots each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<OperatorGroup>,
    /// The kinds that this scenario's names stand for.
    #[serde(skip)]
    pub registry: Registry,
}

fn default_rounds() -> u64 {
    20_000
}

fn default_validators() -> Vec<ValidatorSettings> {
    vec![ValidatorSettings::default()]
}

impl Scenario {
    /// The settings of the mechanism.
    ///
    /// # Panics
    /// If its kind is not in the registry. A scenario that was read by [`load`](super::load()) has been checked.
    pub fn judge(&self) -> Box<dyn MechanismSettings> {
        let resolved = self.registry.mechanisms.resolve(&self.mechanism);
        resolved.unwrap_or_else(|error| panic!("mechanism.{}: {}", error.key, error.message)).settings
    }

    /// What all uploads of this shape have in common.
    pub fn form<'a>(&self, shape: &'a PayloadShape) -> Form<'a> {
        Form { shape, says_pages: self.protocol.says_pages(), commits: self.judge().audits() }
    }

    /// The settings of the scheme.
    ///
    /// # Panics
    /// Like [`judge`](Scenario::judge).
    pub fn scheme_settings(&self) -> Box<dyn SchemeSettings> {
        let resolved = self.registry.schemes.resolve(&self.scheme);
        resolved.unwrap_or_else(|error| panic!("scheme.{}: {}", error.key, error.message)).settings
    }

    /// The settings of the rule of aggregation.
    ///
    /// # Panics
    /// Like [`judge`](Scenario::judge).
    pub fn rule_settings(&self) -> Box<dyn RuleSettings> {
        let resolved =
            self.registry.aggregations.resolve(&self.aggregation.rule(self.scheme_settings().default_rule()));
        resolved.unwrap_or_else(|error| panic!("aggregation.{}: {}", error.key, error.message)).settings
    }

    /// Name of the scheme.
    pub fn scheme_kind(&self) -> &str {
        self.registry.schemes.kind_of(&self.scheme)
    }

    /// The settings of a behaviour that this scenario names.
    ///
    /// # Panics
    /// Like [`judge`](Scenario::judge).
    pub fn behaviour(&self, named: &Kinded) -> Box<dyn BehaviourSettings> {
        let resolved = self.registry.behaviours.resolve(named);
        resolved.unwrap_or_else(|error| panic!("behaviour.{}: {}", error.key, error.message)).settings
    }

    /// The settings of a validator's behaviour that this scenario names.
    ///
    /// # Panics
    /// Like [`judge`](Scenario::judge).
    pub fn validator_behaviour(&self, named: &Kinded) -> Box<dyn ValidatorBehaviourSettings> {
        let resolved = self.registry.validator_behaviours.resolve(named);
        resolved.unwrap_or_else(|error| panic!("behaviour.{}: {}", error.key, error.message)).settings
    }

    /// The label of a behaviour in tables, plots and CSV files: its kind, unless the kind has another name for these
    /// settings.
    pub fn label(&self, named: &Kinded) -> String {
        let label = self.behaviour(named).label();
        label.unwrap_or_else(|| self.registry.behaviours.kind_of(named).to_string())
    }

    /// Virtual length of a round in seconds.
    pub fn round_seconds(&self) -> f64 {
        self.chain.block_seconds * self.chain.blocks_per_round as f64
    }

    /// Pages in a step of the AdamW baseline: as many as all aggregated peers train on, on average, unless it is set.
    pub fn baseline_pages(&self) -> usize {
        let aggregated = || (self.protocol.top_peers as f64 * self.mean_pages()).round() as usize;
        self.baseline.pages_per_round.unwrap_or_else(aggregated)
    }

    /// Rounds whose records stay in the bucket.
    pub fn keep_rounds(&self) -> u64 {
        self.training.kept_rounds()
    }

    /// Rounds after which the learning rate's cosine has ended.
    pub fn schedule_rounds(&self) -> u64 {
        self.training.schedule_rounds.unwrap_or(self.rounds)
    }
}
