//! What sections of a scenario share: collecting invalid settings, and choosing a kind by name.
//!
//! Settings live beside the code that uses them. This module knows none of them.

mod findings;
mod kinds;

pub use findings::{Finding, Findings, MOST_SECONDS};
pub use kinds::{KindError, Kinded, Kinds, Resolved};
