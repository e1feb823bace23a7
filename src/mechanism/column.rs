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
    /// Name of the column that says how uncertain this one is: a band around its line, `±` in tables.
    #[serde(default)]
    pub spread: Option<String>,
    /// How its picture differs from what name and label say.
    #[serde(default)]
    pub picture: Option<Picture>,
}

/// How long a value holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Until the next value; what peers are ranked by, and so first in a leaderboard.
    Score,
    /// Until the next value, like a rating.
    Standing,
    /// For its round only, like a loss score.
    Measured,
}

/// What stands in and around the picture of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Name of its file, without `.svg`.
    pub file: String,
    pub title: String,
    /// A line below the title.
    pub explanation: String,
    /// Lowest and highest value, where they are known beforehand.
    pub range: Option<(i32, i32)>,
}

impl Column {
    /// The most columns that a report may have.
    pub const MOST: usize = 64;
    const LONGEST_NAME: usize = 64;
    const LONGEST_LABEL: usize = 200;

    /// A column that is drawn by its name and label.
    pub fn new(name: &str, label: &str, kind: ColumnKind) -> Self {
        Self { name: name.into(), label: label.into(), kind, spread: None, picture: None }
    }

    /// The same with a column of its uncertainty.
    #[must_use]
    pub fn with_spread(self, name: &str) -> Self {
        Self { spread: Some(name.into()), ..self }
    }

    /// The same with a picture of its own.
    #[must_use]
    pub fn drawn(self, file: &str, title: &str, explanation: &str, range: Option<(i32, i32)>) -> Self {
        let picture = Picture { file: file.into(), title: title.into(), explanation: explanation.into(), range };
        Self { picture: Some(picture), ..self }
    }

    /// The name as words.
    pub fn words(&self) -> String {
        self.name.replace('_', " ")
    }

    /// Places of the columns whose last value counts, scores first.
    pub fn lasting(columns: &[Self]) -> Vec<usize> {
        let of = |kind| (0..columns.len()).filter(move |&at| columns[at].kind == kind);
        of(ColumnKind::Score).chain(of(ColumnKind::Standing)).collect()
    }

    /// Whether these columns are safe to write. Their names become headers and file names, and reports come from other
    /// nodes.
    pub fn are_safe_to_write(columns: &[Self]) -> bool {
        let once = |at: usize| columns[..at].iter().all(|other| other.name != columns[at].name);
        columns.len() <= Self::MOST && columns.iter().all(Self::is_safe_to_write) && (0..columns.len()).all(once)
    }

    fn is_safe_to_write(&self) -> bool {
        let is_name = |name: &str, joint: char| {
            (1..=Self::LONGEST_NAME).contains(&name.len())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint)
        };
        let is_text = |text: &str| text.len() <= Self::LONGEST_LABEL && !text.chars().any(char::is_control);
        let is_picture = |picture: &Picture| {
            is_name(&picture.file, '-')
                && is_text(&picture.title)
                && is_text(&picture.explanation)
                && picture.range.is_none_or(|(low, high)| low < high)
        };
        is_name(&self.name, '_')
            && is_text(&self.label)
            && self.spread.as_ref().is_none_or(|spread| is_name(spread, '_'))
            && self.picture.as_ref().is_none_or(is_picture)
    }
}

/// The columns of mechanisms that rate by OpenSkill and ask for proofs of computation.
pub(super) fn rated() -> Vec<Column> {
    use ColumnKind::{Measured, Score, Standing};
    vec![
        Column::new("loss_score_assigned", "loss score on assigned pages (nats per token)", Measured),
        Column::new("loss_score_unassigned", "loss score (nats per token)", Measured).drawn(
            "loss-score",
            "Loss score",
            "what a step along each peer's pseudo-gradient takes off the loss on random pages; the rating is made of its ranks",
            None,
        ),
        Column::new("rating_mu", "rating mu (OpenSkill)", Standing).with_spread("rating_sigma").drawn(
            "rating",
            "Rating",
            "each peer's mu (line) and mu ± sigma (band)",
            None,
        ),
        Column::new("rating_sigma", "rating sigma", Standing),
        Column::new("proof_of_computation", "proof of computation", Standing).drawn(
            "proof",
            "Proof of computation",
            "+1: gains more on its own pages than on others, −1: does not; at 0 and below nothing is paid",
            Some((-1, 1)),
        ),
        Column::new("peer_score", "peer score", Score),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_fit_files_are_sound() {
        let columns = |names: &[&str]| -> Vec<Column> {
            names.iter().map(|name| Column::new(name, "µ", ColumnKind::Standing)).collect()
        };
        assert!(Column::are_safe_to_write(&[]) && Column::are_safe_to_write(&columns(&["rating_mu", "score2"])));
        for names in [&["../up"][..], &["a,b"], &["a\nb"], &[""], &["score", "score"], &["Score"]] {
            assert!(!Column::are_safe_to_write(&columns(names)), "{names:?}");
        }
        let many: Vec<String> = (0..=Column::MOST).map(|nth| format!("c{nth}")).collect();
        assert!(!Column::are_safe_to_write(&columns(&many.iter().map(String::as_str).collect::<Vec<_>>())));
        let told = Column { label: "\u{1b}[2J".into(), ..columns(&["score"]).remove(0) };
        assert!(!Column::are_safe_to_write(&[told]));
        let score = || columns(&["score"]).remove(0);
        assert!(Column::are_safe_to_write(&rated()));
        assert!(!Column::are_safe_to_write(&[score().drawn("../report", "", "", None)]));
        assert!(!Column::are_safe_to_write(&[score().drawn("score", "", "", Some((1, 1)))]));
        assert!(!Column::are_safe_to_write(&[score().with_spread("a,b")]));
    }

    #[test]
    fn a_leaderboard_has_the_score_first_and_no_measurements() {
        let columns = rated();
        let names: Vec<&str> = Column::lasting(&columns).into_iter().map(|at| columns[at].name.as_str()).collect();
        assert_eq!(names, ["peer_score", "rating_mu", "rating_sigma", "proof_of_computation"]);
    }
}
