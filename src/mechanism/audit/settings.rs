//! The settings of `audit`.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// Pay for work that audits have proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// The most steps that a peer may be behind and still pass. Work on another model cannot be computed again.
    pub max_steps_behind: f64,
    /// Peers whose work of a round is computed again, on average.
    pub audited_per_round: f64,
    /// What a failed audit costs, as a multiple of the work that a peer does from one audit to the next, on average.
    pub penalty: f64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { max_steps_behind: 0.0, audited_per_round: 1.0, penalty: 3.0 }
    }
}

impl AuditSettings {
    /// Checks ranges that types cannot express; paths are relative to the section.
    pub fn check(&self, found: &mut Findings) {
        found.not_negative("max_steps_behind", self.max_steps_behind);
        found.positive("audited_per_round", self.audited_per_round);
        found.not_negative("penalty", self.penalty);
    }
}
