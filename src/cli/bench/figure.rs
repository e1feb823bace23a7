//! What a measurement gives, and the passes that all of them share.

use serde::Serialize;

/// A measured figure.
#[derive(Serialize)]
pub struct Figure {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
}

/// Sequences in a pass, where they are short.
pub const SHORT_BATCH: usize = 8;
/// Sequences in a pass of the Templar-I run.
pub const LONG_BATCH: usize = 6;
