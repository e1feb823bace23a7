//! Why a sweep is refused or fails.

use thiserror::Error;

use crate::lab::LabError;
use crate::report::ReportError;

/// An error of a sweep.
#[derive(Debug, Error)]
pub enum SweepError {
    /// An axis cannot be parsed, or conflicts with the others.
    #[error("--grid {grid}: {reason}")]
    Grid { grid: String, reason: String },
    /// More networks than a sweep may have.
    #[error("{found}; expected {most} at most: take fewer values or seeds")]
    TooMany { found: String, most: usize },
    /// The seeds exceed the largest that a scenario can hold.
    #[error("{count} seeds from {first} on; the last would be more than {}, the largest that TOML can write", i64::MAX)]
    Seeds { first: u64, count: usize },
    /// The scenario refuses a value.
    #[error("the combination {combination}: {problem}")]
    Refused { combination: String, problem: String },
    /// No peer is left without the adversaries, or that network cannot be run.
    #[error("--control: the combination {combination} without its adversaries: {problem}")]
    Control { combination: String, problem: String },
    #[error(
        "{url}: there is no sweep here: it has no sweep.json; `sim sweep SCENARIO --grid KEY=VALUES --out DIR` makes one"
    )]
    None { url: String },
    #[error("{url}: {there} of {of} networks are there; finish the sweep with the command that began it")]
    Part { url: String, there: usize, of: usize },
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl SweepError {
    /// Whether the same command would fail again.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Lab(error) => error.is_usage(),
            Self::Report(_) => false,
            _ => true,
        }
    }
}
