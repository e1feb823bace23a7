//! Byzantine-robust rules from the literature, which tolerate some dishonest payloads.
//!
//! | file | rule |
//! |---|---|
//! | `linear` | `mean`, `krum`, `multi-krum`, `centered-clip`: the update is a weighted sum of the payloads |
//! | `coordinate` | `trimmed-mean`, `median`: each coefficient is combined separately |
//! | `groups` | `nearest-neighbour-mixing` and `bucketing`: mean payloads of groups, computed before a rule is applied
//! |
//! | `settings` | their settings in a scenario |
//! | `rule`, `named` | the rules, and their names in a scenario |
//! | `vectors` | payloads as whole numbers, and their inner products |
//! | `step` | from combined coefficients to a step of the model |
//!
//! A rule sees the payloads of a round as vectors of parameter values or DCT coefficients, with 0 for each coefficient
//! that was not sent. It decides by their inner products, which are sums of whole numbers and therefore equal on every
//! machine. All other arithmetic is in f64 in a fixed order: payloads are sorted by digest first, and only operations
//! that IEEE 754 defines to the bit are used (+, -, *, /, square root).
//!
//! Rules and their parameters follow ByzFL (Gonzalez et al., arXiv 2505.24802), and are tested against it.

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
