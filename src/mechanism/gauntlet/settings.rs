//! The settings of Gauntlet.

use serde::{Deserialize, Serialize};

use crate::mechanism::openskill::OpenSkillSettings;
use crate::settings::Findings;

/// Gauntlet: filters, evaluation, ratings, pay (arXiv 2505.21684).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GauntletSettings {
    /// A peer that is more steps behind fails the fast evaluation.
    pub max_steps_behind: f64,
    /// Exponent of the sync score.
    pub sync_exponent: f64,
    /// Factor on score and proof of computation after a failed fast evaluation.
    pub failure_penalty: f64,
    /// Factor on the score for each round of inactivity.
    pub inactivity_penalty: f64,
    /// Rounds of inactivity after which a peer is a newcomer again.
    pub inactivity_reset_rounds: u64,
    /// Peers in a primary evaluation.
    pub evaluated_per_round: usize,
    /// Bins of peers by score, which take turns.
    pub bins: usize,
    /// Fraction of a peer's pages to measure the loss on.
    pub evaluated_fraction: f64,
    /// Step of the loss score, as a fraction of the step that the payload would make alone.
    pub beta_fraction: f64,
    /// Decay of the proof-of-computation average.
    pub proof_decay: f64,
    /// Power to which scores are raised before they are paid.
    pub incentive_power: f64,
    /// Fraction of shared top-k indices at which the later of two uploads loses half its score. At `copy_overlap_zero`
    /// it loses all of it. Not in the published system; `1.1` turns it off.
    pub copy_overlap_half: f64,
    pub copy_overlap_zero: f64,
    pub openskill: OpenSkillSettings,
}

impl Default for GauntletSettings {
    fn default() -> Self {
        Self {
            max_steps_behind: 3.0,
            sync_exponent: 2.5,
            failure_penalty: 0.75,
            inactivity_penalty: 0.75,
            inactivity_reset_rounds: 25,
            evaluated_per_round: 5,
            bins: 5,
            evaluated_fraction: 0.1,
            beta_fraction: 0.2,
            proof_decay: 0.95,
            incentive_power: 2.0,
            copy_overlap_half: 1.1,
            copy_overlap_zero: 1.1,
            openskill: OpenSkillSettings::default(),
        }
    }
}

impl GauntletSettings {
    /// Checks ranges that types cannot express; paths are relative to the section.
    pub fn check(&self, found: &mut Findings) {
        found.not_negative("max_steps_behind", self.max_steps_behind);
        found.not_negative("sync_exponent", self.sync_exponent);
        found.fraction("failure_penalty", self.failure_penalty);
        found.fraction("inactivity_penalty", self.inactivity_penalty);
        found.at_least_one("inactivity_reset_rounds", self.inactivity_reset_rounds);
        found.at_least_one("evaluated_per_round", self.evaluated_per_round as u64);
        found.at_least_one("bins", self.bins as u64);
        found.positive_fraction("evaluated_fraction", self.evaluated_fraction);
        found.positive("beta_fraction", self.beta_fraction);
        found.below_one("proof_decay", self.proof_decay);
        found.positive("incentive_power", self.incentive_power);
        found.positive("copy_overlap_half", self.copy_overlap_half);
        let (half, zero) = (self.copy_overlap_half, self.copy_overlap_zero);
        let expected = format!("{half} or more, as mechanism.copy_overlap_half");
        found.require_with(zero >= half, "copy_overlap_zero", zero, expected, Some("mechanism.copy_overlap_half"));
        found.within("openskill", |found| self.openskill.check(found));
    }
}
