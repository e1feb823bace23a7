//! Why a scenario is refused.

use std::fmt;

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Neither a file nor a shipped scenario.
    #[error("{path}: no such file, and no shipped scenario has this name; {hint}")]
    NotFound { path: String, hint: String },
    /// The path exists, but cannot be read as text.
    #[error("{path}: cannot be read: {reason}; expected a scenario, a TOML text file")]
    Unreadable { path: String, reason: std::io::Error },
    /// The text was read but cannot be run. Each problem is one line.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// One thing to change, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// Path of the key, as `--set` takes it (`peers.0.count`); empty if the problem concerns the whole file.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
}

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line and column, from 1.
    Line { file: String, line: usize, column: usize },
    /// The file, if the key does not appear in it.
    File(String),
    /// An override, `key=value`.
    Override(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::File(file) => write!(f, "{file}"),
            Self::Override(text) => write!(f, "--set {text}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
