//! The settings of `templar-v2`.

use serde::{Deserialize, Serialize};

use crate::mechanism::openskill::OpenSkillSettings;
use crate::settings::Findings;

/// Defaults are those of tplr-ai/templar v2.1.3, except for the fraction of pages (there: 8 samples of a peer's
/// 30,720).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplarV2Settings {
    /// Peers in an evaluation.
    pub evaluated_per_round: usize,
    /// Bins by rating, one of which is drawn each round. With fewer peers than five evaluations take there is only one
    /// bin.
    pub bins: usize,
    /// Fraction of a peer's pages to measure the loss on.
    pub evaluated_fraction: f64,
    /// Step of the loss score, as a fraction of the step that the payload would make alone.
    pub beta_fraction: f64,
    /// Decay of the proof-of-computation average.
    pub proof_decay: f64,
    /// A peer that is more steps behind fails.
    pub max_steps_behind: f64,
    /// Exponent of the sync score.
    pub sync_exponent: f64,
    /// Factor on score and proof of computation after a failure or a round of absence.
    pub failure_penalty: f64,
    /// Rounds of absence after which a peer is a newcomer again.
    pub inactivity_reset_rounds: u64,
    /// Ranks that share `gather_share` of the pay. It falls linearly; the first gets `gather_top_ratio` times the last.
    pub gather_peers: usize,
    pub gather_share: f64,
    pub gather_top_ratio: f64,
    /// Further ranks that share the rest, each `reserve_decay` of the one before.
    pub reserve_peers: usize,
    pub reserve_decay: f64,
    /// Whether the first in reserve gets at most `reserve_decay` of the last rank before it, as in the deployed code.
    /// With 20 and 10 peers this leaves the reserve 3.2 % instead of 25 %.
    pub reserve_capped: bool,
    /// Fraction of shared top-k indices from which the later of two uploads loses half its score.
    pub overlap_high: f64,
    /// Fraction from which it becomes a newcomer again.
    pub overlap_max: f64,
    /// Fraction from which it is also excluded for `exclusion_rounds`.
    pub overlap_mega: f64,
    pub exclusion_rounds: u64,
    /// Number of last evaluations among which negative ones are counted.
    pub history: usize,
    pub openskill: OpenSkillSettings,
}

impl Default for TemplarV2Settings {
    fn default() -> Self {
        Self {
            evaluated_per_round: 15,
            bins: 5,
            evaluated_fraction: 0.1,
            beta_fraction: 0.2,
            proof_decay: 0.95,
            max_steps_behind: 3.0,
            sync_exponent: 2.5,
            failure_penalty: 0.75,
            inactivity_reset_rounds: 4,
            gather_peers: 20,
            gather_share: 0.75,
            gather_top_ratio: 2.0,
            reserve_peers: 10,
            reserve_decay: 0.5,
            reserve_capped: false,
            overlap_high: 0.4,
            overlap_max: 0.5,
            overlap_mega: 0.6,
            exclusion_rounds: 200,
            history: 20,
            openskill: OpenSkillSettings::default(),
        }
    }
}

impl TemplarV2Settings {
    /// Checks ranges that types cannot express; paths are relative to the section.
    pub fn check(&self, found: &mut Findings) {
        found.at_least_one("evaluated_per_round", self.evaluated_per_round as u64);
        found.at_least_one("bins", self.bins as u64);
        found.positive_fraction("evaluated_fraction", self.evaluated_fraction);
        found.positive("beta_fraction", self.beta_fraction);
        found.below_one("proof_decay", self.proof_decay);
        found.not_negative("max_steps_behind", self.max_steps_behind);
        found.not_negative("sync_exponent", self.sync_exponent);
        found.fraction("failure_penalty", self.failure_penalty);
        found.at_least_one("inactivity_reset_rounds", self.inactivity_reset_rounds);
        found.at_least_one("gather_peers", self.gather_peers as u64);
        found.positive_fraction("gather_share", self.gather_share);
        found.require(self.gather_top_ratio >= 1.0, "gather_top_ratio", self.gather_top_ratio, "1 or more");
        found.positive_fraction("reserve_decay", self.reserve_decay);
        found.positive("overlap_high", self.overlap_high);
        let ascending = |found: &mut Findings, key: &str, got: f64, before: f64| {
            found.require(got >= before, key, got, format!("{before} or more, the limit before it"));
        };
        ascending(found, "overlap_max", self.overlap_max, self.overlap_high);
        ascending(found, "overlap_mega", self.overlap_mega, self.overlap_max);
        found.require((1..=64).contains(&self.history), "history", self.history, "1 to 64");
        found.within("openskill", |found| self.openskill.check(found));
    }
}
