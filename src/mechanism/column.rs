//! Named numbers of each peer. A mechanism fills them in; reports carry them without knowing what they mean.

use serde::{Deserialize, Serialize};

/// Describes a number that each peer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name in files: lower case, words joined by `_`.
    pub name: String,
    /// Label of an axis, with the unit.
    pub label: String,
    pub kind: ColumnKind,
}

/// How long a value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Until the next value, like a rating.
    Standing,
    /// For its round only, like a loss score.
    Measured,
}

impl Column {
    /// The most columns that a report may have.
    pub const MOST: usize = 64;
    const LONGEST_NAME: usize = 64;
    const LONGEST_LABEL: usize = 200;

    /// Whether these columns are safe to write. Their names become headers and file names, and reports come from other
    /// nodes.
    pub fn are_sound(columns: &[Self]) -> bool {
        let of_a_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let sound = |column: &Self| {
            (1..=Self::LONGEST_NAME).contains(&column.name.len())
                && column.name.chars().all(of_a_name)
                && column.label.len() <= Self::LONGEST_LABEL
                && !column.label.chars().any(char::is_control)
        };
        let once = |at: usize| columns[..at].iter().all(|other| other.name != columns[at].name);
        columns.len() <= Self::MOST && columns.iter().all(sound) && (0..columns.len()).all(once)
    }
}

/// The columns of mechanisms that rate by OpenSkill and ask for proofs of computation.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_fit_files_are_sound() {
        let columns = |names: &[&str]| -> Vec<Column> {
            let column = |name: &&str| Column { name: (*name).into(), label: "µ".into(), kind: ColumnKind::Standing };
            names.iter().map(column).collect()
        };
        assert!(Column::are_sound(&[]) && Column::are_sound(&columns(&["rating_mu", "score2"])));
        for names in [&["../up"][..], &["a,b"], &["a\nb"], &[""], &["score", "score"], &["Score"]] {
            assert!(!Column::are_sound(&columns(names)), "{names:?}");
        }
        let many: Vec<String> = (0..=Column::MOST).map(|nth| format!("c{nth}")).collect();
        assert!(!Column::are_sound(&columns(&many.iter().map(String::as_str).collect::<Vec<_>>())));
        let told = Column { label: "\u{1b}[2J".into(), ..columns(&["score"]).remove(0) };
        assert!(!Column::are_sound(&[told]));
    }
}
