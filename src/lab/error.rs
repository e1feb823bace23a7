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
    /// The place holds another experiment of the same kind.
    #[error("{url} holds another {what}: {differs}; take another place with --out, or give the same command as before")]
    Other { url: String, what: &'static str, differs: String },
    /// The place holds something of another kind.
    #[error("{url} is the folder of {by}; take another place with --out")]
    Taken { url: String, by: &'static str },
    /// The file that describes the experiment cannot be used.
    #[error(
        "{}/{file}: {reason}; restore it, or begin the {what} in another place with --out",
        .url.trim_end_matches('/')
    )]
    Damaged { url: String, file: &'static str, what: &'static str, reason: String },
    /// Another version has written that file.
    #[error(
        "{}/{file} has format {found}, expected {expected}; use the version of gauntlet that wrote it, or begin the {what} \
         in another place with --out",
        .url.trim_end_matches('/')
    )]
    Format { url: String, file: &'static str, what: &'static str, found: u64, expected: u64 },
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
        match self {
            Self::Other { .. } | Self::Taken { .. } | Self::Format { .. } | Self::Strategy { .. } => true,
            Self::Network { source, .. } => matches!(**source, SimulationError::Open(_)),
            Self::Store { .. } | Self::Damaged { .. } | Self::Report(_) => false,
        }
    }
}
