//! The parts of the mechanism, each of which can be left out, to see what it is for.

use serde::{Deserialize, Serialize};

/// A part that `mechanism.without` can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Checks of whole pages: all are of stretches.
    Pages,
    /// Checks of stretches: all are of whole pages.
    Stretches,
    /// Checks for what is kept of earlier rounds.
    Kept,
    /// Looking at each matrix of the model for itself: a check looks at the whole model at once.
    Matrices,
    /// Looking at each row and column of a matrix for itself: a check looks at the whole matrix at once.
    Lines,
    /// How large the margins are in the mean of many checks, relative to a typical peer's.
    Strength,
    /// What other uploads explain of an upload stays in it.
    Others,
    /// The median of all peers as the measure of coverage: it is 1.
    Typical,
}
