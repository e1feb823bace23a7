//! The settings of `audit`.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// Pay for work that audits have proven.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Peers whose work of a round is computed again, on average.
    pub audited_per_round: f64,
    /// Work that is not paid after a failed audit, as a multiple of what a peer does from one audit to the next, on average.
    pub penalty: f64,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { audited_per_round: 1.0, penalty: 2.0 }
    }
}

impl AuditSettings {
    /// Checks ranges that types cannot express; paths are relative to the section.
    pub fn check(&self, found: &mut Findings) {
        found.positive("audited_per_round", self.audited_per_round);
        found.not_negative("penalty", self.penalty);
    }
}
