//! The settings of a scenario's `[training]` and `[baseline]`.

use serde::{Deserialize, Serialize};

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
        found.at_least_one("eval_every", self.eval_every);
        found.at_least_one("checkpoint_every", self.checkpoint_every);
        let least = self.checkpoint_every.saturating_mul(2);
        let expected = format!("{least} or more, twice training.checkpoint_every: nodes that join need them");
        let kept = self.keep_rounds.unwrap_or(least);
        found.require_with(kept >= least, "keep_rounds", kept, expected, Some("training.checkpoint_every"));
    }
}

/// Central AdamW on as many tokens as the aggregated peers use together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaselineSettings {
    pub lr: f64,
    pub warmup_rounds: u64,
    pub final_fraction: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    pub clip_norm: f64,
    /// Pages per step; default: those of all aggregated peers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages_per_round: Option<usize>,
}

impl Default for BaselineSettings {
    fn default() -> Self {
        Self {
            lr: 3e-3,
            warmup_rounds: 20,
            final_fraction: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 0.1,
            clip_norm: 1.0,
            pages_per_round: None,
        }
    }
}

impl BaselineSettings {
    /// Checks what the types cannot.
    pub fn check(&self, found: &mut Findings) {
        found.positive("lr", self.lr);
        found.fraction("final_fraction", self.final_fraction);
        found.below_one("beta1", self.beta1);
        found.below_one("beta2", self.beta2);
        found.not_negative("weight_decay", self.weight_decay);
        found.positive("clip_norm", self.clip_norm);
        found.at_least_one("pages_per_round", self.pages_per_round.unwrap_or(1) as u64);
    }
}
