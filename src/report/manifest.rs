//! `manifest.json`: the settings of a run, its machine, and its progress.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Equality;
use crate::corpus::Corpus;
use crate::digest::Digest;
use crate::mechanism::Column;
use crate::node::Network;
use crate::scenario::Scenario;
use crate::transport::wire;

/// Version of the run folder's layout. It goes up when older and newer programs could not read each other's folders.
pub const FORMAT: u64 = 2;

/// Everything needed to repeat the run, and to judge whether the result should be identical.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] of the program that wrote it.
    pub format: u64,
    /// Version of this crate.
    pub version: String,
    pub seed: u64,
    pub rounds_done: u64,
    pub finished: bool,
    /// Identifies the run by its settings and data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Digest>,
    /// Digest of models, scores and incentives of all rounds.
    pub digest: Option<Digest>,
    pub target: Target,
    /// Where a real run lives; `None` for a simulated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The run is central AdamW alone, without a network; `digest` is then that of the last model.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub central: bool,
    /// The value of `--device`.
    pub device: String,
    /// Threads that computed. Results do not depend on them.
    pub threads: usize,
    /// Real time spent, including all resumptions.
    pub wall_seconds: f64,
    /// Number of the model's parameters.
    pub parameters: u64,
    /// Tokens per round on which the aggregated peers train together.
    pub tokens_per_round: u64,
    /// Bytes of a peer's upload per round.
    pub upload_bytes: u64,
    /// Held-out loss of the model before the first round.
    pub initial_loss: Option<f64>,
    pub references: References,
    /// How evenly equal honest peers were paid. Written at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub honest_pay: Option<Equality>,
    /// The mechanism's numbers of each peer: columns of `peers.csv` and of `leaderboard.csv`.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// The run has no AdamW baseline.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_baseline: bool,
    /// Only for a published copy: `peers.csv` keeps one round in this many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers_every: Option<u64>,
    /// The planned length at the start, if the length was changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
    /// The scenario with all defaults and overrides filled in.
    pub scenario: Scenario,
}

impl Manifest {
    /// The manifest of a run that has not started, with this program and machine.
    pub fn new(scenario: Scenario, device: String, threads: usize) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            seed: scenario.seed,
            rounds_done: 0,
            finished: false,
            run: None,
            digest: None,
            target: Target::current(),
            bucket: None,
            central: false,
            device,
            threads,
            wall_seconds: 0.0,
            parameters: 0,
            tokens_per_round: 0,
            upload_bytes: 0,
            initial_loss: None,
            references: References::default(),
            honest_pay: None,
            columns: scenario.judge().build(0).columns(),
            no_baseline: false,
            peers_every: None,
            begun: None,
            scenario,
        }
    }

    /// The scenario as it was when the run started, which identifies the run.
    pub fn begun_as(&self) -> Scenario {
        let mut scenario = self.scenario.clone();
        if let Some(begun) = self.begun {
            scenario.rounds = begun.rounds;
            scenario.training.schedule_rounds = begun.schedule_rounds;
        }
        scenario
    }

    /// Changes the run's length. The learning rate keeps its schedule, so the finished rounds also belong to the longer
    /// run.
    pub fn set_rounds(&mut self, rounds: u64) {
        let training = &mut self.scenario.training;
        let begun = Begun { rounds: self.scenario.rounds, schedule_rounds: training.schedule_rounds };
        training.schedule_rounds.get_or_insert(begun.rounds);
        self.begun.get_or_insert(begun);
        self.scenario.rounds = rounds;
    }

    /// Adds a network's facts: sizes and initial loss.
    pub fn describe(&mut self, network: &Network) {
        let core = &network.core;
        self.run = Some(network.run);
        self.parameters = core.layout.total() as u64;
        self.tokens_per_round = (self.scenario.baseline_pages() * core.config.sequence_length) as u64;
        self.upload_bytes = wire::encoded_len(network.form()) as u64;
        self.initial_loss = Some(core.loss(&network.genesis.model, core.corpus.held_out()));
        self.references = References::of(&core.corpus);
    }
}

/// The planned length of a run when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub rounds: u64,
    /// The scenario's `training.schedule_rounds` at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_rounds: Option<u64>,
}

/// Losses of simple models on the corpus, nats a token. They are reference lines of the loss plot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct References {
    /// Entropy rate of the source, which no model can beat.
    pub entropy_floor: Option<f64>,
    /// The best loss of a bigram table.
    pub bigram: Option<f64>,
    /// The best loss of a unigram table.
    pub unigram: Option<f64>,
}

impl References {
    /// The reference losses of a corpus, as far as they can be computed.
    pub fn of(corpus: &Corpus) -> Self {
        Self {
            entropy_floor: corpus.entropy_floor(),
            bigram: corpus.bigram_entropy(),
            unigram: corpus.unigram_entropy(),
        }
    }
}

/// What results may depend on besides the scenario: the properties of the machine by which kernels are chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub arch: String,
    pub os: String,
    /// CPU features found at run time.
    pub features: Vec<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.arch, self.os)?;
        if self.features.is_empty() { Ok(()) } else { write!(f, " with {}", self.features.join(", ")) }
    }
}

macro_rules! detected {
    ($detect:ident: $($feature:tt),* $(,)?) => {
        [$(($feature, std::arch::$detect!($feature))),*]
            .into_iter()
            .filter_map(|(name, found)| found.then(|| name.to_string()))
            .collect()
    };
}

impl Target {
    /// This machine.
    pub fn current() -> Self {
        Self { arch: std::env::consts::ARCH.into(), os: std::env::consts::OS.into(), features: Self::features() }
    }

    #[cfg(target_arch = "x86_64")]
    fn features() -> Vec<String> {
        detected!(
            is_x86_feature_detected: "sse4.1", "sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl"
        )
    }

    #[cfg(target_arch = "aarch64")]
    fn features() -> Vec<String> {
        detected!(is_aarch64_feature_detected: "neon", "fp16", "dotprod", "sve", "sve2")
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn features() -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let plain = Target { arch: "x86_64".into(), os: "linux".into(), features: Vec::new() };
        assert_eq!(plain.to_string(), "x86_64 linux");
        let features = vec!["avx2".to_string(), "fma".to_string()];
        assert_eq!(Target { features, ..plain }.to_string(), "x86_64 linux with avx2, fma");
        let target = Target::current();
        assert_eq!(target.arch, std::env::consts::ARCH);
        if cfg!(target_feature = "sse4.1") {
            assert!(target.features.contains(&"sse4.1".to_string()));
        }
    }
}
