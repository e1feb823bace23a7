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

/// The numbers of a mechanism that rates by OpenSkill and asks for proofs of computation.
pub(super) fn rated() -> Vec<Column> {
    use ColumnKind::{Measured, Standing};
    let columns = [
        ("loss_score_assigned", "fall of the loss on assigned pages, nats a token", Measured),
        ("loss_score_unassigned", "fall of the loss on unassigned pages, nats a token", Measured),
        ("rating_mu", "rating mu", Standing),
        ("rating_sigma", "rating sigma", Standing),
        ("proof_of_computation", "proof of computation", Standing),
        ("peer_score", "peer score", Standing),
    ];
    let column = |(name, label, kind): (&str, &str, _)| Column { name: name.into(), label: label.into(), kind };
    columns.map(column).into()
}
