//! The result of a measurement, and the pass sizes that all measurements share.

use serde::Serialize;

/// A measured figure.
#[derive(Serialize)]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
}

/// Sequences per pass if they are short.
pub const SHORT_BATCH: usize = 8;
/// Sequences per pass in the Templar-I run.
pub const LONG_BATCH: usize = 6;
