//! Why an experiment fails.

use thiserror::Error;

use crate::report::{ReportError, SimulationError};
use crate::scenario::ScenarioError;

/// An error of this module.
#[derive(Debug, Error)]
pub enum LabError {
    /// A network of the experiment fails; `which` names the settings in which it differs from the others.
    #[error("the network with {which}: {source}")]
    Network { which: String, source: Box<SimulationError> },
    /// The place of the results cannot be read or written.
    #[error("{url}: cannot {action} {object}: {reason}; what is there stays, and the same command resumes")]
    Store { url: String, action: &'static str, object: String, reason: String },
    /// The place holds the results of something else.
    #[error("{url} holds another search: {differs}; take another place with --out, or give the same command as before")]
    Other { url: String, differs: String },
    /// The scenario does not allow the peers that play a strategy.
    #[error("the network with the strategy `{which}`: {source}")]
    Strategy { which: String, source: ScenarioError },
    /// The report cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl LabError {
    /// Whether the same command would fail again.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Other { .. } | Self::Strategy { .. })
    }
}
