//! Why a peer cannot be explained.

use thiserror::Error;

use crate::Uid;

/// Why a peer cannot be explained.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExplainError {
    #[error("{0}: central training has no peers")]
    Central(String),
    #[error("{run}: no peer has held uid {uid}; there are uids {known}")]
    NoPeer { run: String, uid: Uid, known: String },
    #[error("{run}: round {round} is not one of its {done}; expected 0 to {}", .done.saturating_sub(1))]
    Beyond { run: String, round: u64, done: u64 },
    #[error("{run}: nobody held uid {uid} in round {round}; expected one of rounds {there}")]
    NotThere { run: String, uid: Uid, round: u64, there: String },
    #[error("{run}: the folder has no peers' lines of round {round}; expected one of rounds {kept}")]
    NotKept { run: String, round: u64, kept: String },
}
