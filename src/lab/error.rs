//! Why an experiment cannot go on.

use thiserror::Error;

use crate::report::SimulationError;

/// An error of this module.
#[derive(Debug, Error)]
pub enum LabError {
    /// A network of the experiment fails; `which` are the settings in which it differs from the others.
    #[error("the network with {which}: {source}")]
    Network { which: String, source: SimulationError },
    /// The place of the results does not take or give them.
    #[error("{url}: cannot {action} {object}: {reason}; what is there stays, and the same command goes on with it")]
    Store { url: String, action: &'static str, object: String, reason: String },
}
