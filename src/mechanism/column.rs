//! The numbers that a mechanism has of each peer, for reports, which do not know what they mean.

use serde::{Deserialize, Serialize};

/// A number of each peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name in files: lower case, words joined by `_`.
    pub name: String,
    /// Title of an axis, with the unit.
    pub label: String,
    pub kind: ColumnKind,
}

/// What a column's last value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// It counts until there is another, as a rating.
    Standing,
    /// It is of one round, as a loss score.
    Measured,
}
