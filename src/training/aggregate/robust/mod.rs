//! Rules from the literature on Byzantine robustness: they tolerate some dishonest payloads.
//!
//! | file | rule |
//! |---|---|
//! | `linear` | `mean`, `krum`, `multi-krum`, `centered-clip`: the update is a weighted sum of the payloads |
//! | `coordinate` | `trimmed-mean`, `median`: every coefficient is decided on its own |
//! | `groups` | `nearest-neighbour-mixing` and `bucketing`: mean payloads of groups, made before a rule is applied |
//! | `settings` | what a scenario says of them |
//! | `rule`, `named` | the rules, and how a scenario's name becomes one |
//! | `vectors` | payloads as whole numbers, and their inner products |
//! | `step` | from combined coefficients to a step of the model |
//!
//! A rule sees the payloads of a round as vectors: of values of the parameters, or of DCT coefficients, with 0 for each
//! coefficient that was not sent. It decides from their inner products, which are sums of whole numbers and so the same
//! on every machine. All other arithmetic is in f64 in one order: payloads are sorted by digest first, and only
//! operations are used that IEEE 754 defines to the bit (+, -, *, /, square root).
//!
//! Rules and their parameters follow ByzFL (Gonzalez et al., arXiv 2505.24802), against which they are tested.

mod coordinate;
mod groups;
mod linear;
mod named;
mod rule;
mod settings;
mod step;
#[cfg(test)]
mod tests;
mod vectors;

pub use groups::Before;
pub use named::Named;
pub use rule::{Robust, RobustRule};
pub use settings::{CenteredClipSettings, RobustSettings};
