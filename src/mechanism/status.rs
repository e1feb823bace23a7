//! How a peer fared in a round.

use serde::{Deserialize, Serialize};

/// How a peer fared in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Passed,
    /// Nothing was uploaded, or it could not be fetched.
    Absent,
    /// Uploaded before the put window opened.
    TooEarly,
    /// Uploaded after the put window closed.
    TooLate,
    Malformed,
    /// Computed on a model too many steps behind, or another one.
    OutOfSync,
    /// A copy of another's upload.
    Copy,
    /// Shut out for an earlier offence.
    Excluded,
    /// Holds no slot.
    Unregistered,
}
