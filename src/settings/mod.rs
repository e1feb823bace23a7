//! What sections of a scenario have in common: how they are checked, and how a kind is chosen by its name.
//!
//! Settings live beside what they set. This module knows none of them.

mod findings;
mod kinds;

pub use findings::{Finding, Findings, MOST_SECONDS};
pub use kinds::{KindError, Kinded, Kinds, Resolved};
