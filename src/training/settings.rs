//! The settings of a scenario's `[training]` and `[baseline]`.

use serde::{Deserialize, Serialize};

use super::optimiser::{OptimiserKind, OptimiserSettings};
use crate::settings::Findings;

/// What an honest peer does with its data each round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// Peak learning rate: the size of DeMo's sign step, or the rate of a peer's own steps of AdamW.
    pub lr: f64,
    /// Rounds of linear warm-up.
    pub warmup_rounds: u64,
    /// The warm-up starts at this fraction of `lr`.
    pub warmup_from: f64,
    /// The cosine ends at this fraction of `lr`.
    pub final_fraction: f64,
    /// Rounds after which the cosine has ended; default: the scenario's rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_rounds: Option<u64>,
    /// Pages (sequences) assigned to a peer each round.
    pub pages_per_round: usize,
    /// Pages in one forward and backward pass.
    pub micro_batch: usize,
    /// Factor of an exponential average of the models after each round, for evaluation and export; the central trainer's
    /// models are averaged alike. Without it there is no average. Training is the same either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// The held-out loss is measured every this many rounds, and after the last.
    pub eval_every: u64,
    /// A checkpoint of the model is made every this many rounds. A run also saves itself that often.
    pub checkpoint_every: u64,
    /// Rounds for which records, payloads and checkpoints stay in the bucket. Default and minimum: twice
    /// `checkpoint_every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_rounds: Option<u64>,
}

impl TrainingSettings {
    /// Rounds whose records stay in the bucket.
    pub fn kept_rounds(&self) -> u64 {
        self.keep_rounds.unwrap_or_else(|| self.checkpoint_every.saturating_mul(2))
    }
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            lr: 4e-4,
            warmup_rounds: 250,
            warmup_from: 0.1,
            final_fraction: 0.1,
            schedule_rounds: None,
            pages_per_round: 192,
            micro_batch: 6,
            average: None,
            eval_every: 5,
            checkpoint_every: 100,
            keep_rounds: None,
        }
    }
}

impl TrainingSettings {
    /// Checks what the types cannot.
    pub fn check(&self, found: &mut Findings) {
        found.positive("lr", self.lr);
        found.fraction("warmup_from", self.warmup_from);
        found.fraction("final_fraction", self.final_fraction);
        found.at_least_one("schedule_rounds", self.schedule_rounds.unwrap_or(1));
        found.at_least_one("pages_per_round", self.pages_per_round as u64);
        found.at_least_one("micro_batch", self.micro_batch as u64);
        let factor = self.average.unwrap_or(0.5);
        found.require(factor > 0.0 && factor < 1.0, "average", factor, "more than 0 and less than 1, such as 0.95");
        found.at_least_one("eval_every", self.eval_every);
        found.at_least_one("checkpoint_every", self.checkpoint_every);
        let least = self.checkpoint_every.saturating_mul(2);
        let expected = format!("{least} or more, twice training.checkpoint_every: nodes that join need them");
        let kept = self.keep_rounds.unwrap_or(least);
        found.require_with(kept >= least, "keep_rounds", kept, expected, Some("training.checkpoint_every"));
    }
}

/// A central trainer on as many tokens as the aggregated peers use together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaselineSettings {
    /// `adamw`, or `muon` for the matrices of the blocks.
    #[serde(skip_serializing_if = "OptimiserKind::is_adamw")]
    pub optimizer: OptimiserKind,
    /// Steps on the pages of a round, each on an equal part.
    #[serde(skip_serializing_if = "is_one")]
    pub steps_per_round: usize,
    pub lr: f64,
    pub warmup_rounds: u64,
    pub final_fraction: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub clip_norm: f64,
    /// Weight of Muon's momentum. Default: 0.95.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Factor of `lr` for the matrices that Muon steps. Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_lr: Option<f64>,
    /// Pages per round; default: those of all aggregated peers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages_per_round: Option<usize>,
}

/// Whether it is the default number of steps, which a file need not say.
fn is_one(steps: &usize) -> bool {
    *steps == 1
}

impl Default for BaselineSettings {
    fn default() -> Self {
        Self {
            optimizer: OptimiserKind::Adamw,
            steps_per_round: 1,
            lr: 3e-3,
            warmup_rounds: 20,
            final_fraction: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 0.1,
            clip_norm: 1.0,
            momentum: None,
            matrix_lr: None,
            pages_per_round: None,
        }
    }
}

impl BaselineSettings {
    /// Checks what the types cannot, for this many pages a round.
    pub fn check(&self, found: &mut Findings, pages: usize) {
        found.positive("lr", self.lr);
        found.fraction("final_fraction", self.final_fraction);
        self.optimiser().check(found, "baseline.optimizer");
        found.at_least_one("pages_per_round", self.pages_per_round.unwrap_or(1) as u64);
        let steps = self.steps_per_round;
        let expected = format!("1 to {pages}, the pages of a round of the baseline");
        found.require((1..=pages.max(1)).contains(&steps), "steps_per_round", steps, expected);
    }

    /// The optimiser.
    pub fn optimiser(&self) -> OptimiserSettings {
        let Self { optimizer: kind, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr, .. } = *self;
        OptimiserSettings { kind, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr }
    }
}
