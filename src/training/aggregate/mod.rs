//! Aggregation: one update of many payloads, the same bytes on every node.
//!
//! A rule is one file here and a line in [`RULES`]. The file tells what the rule is and where it is from, says which
//! kind of payload it works on, and holds its tests. A rule of your own need not be here: see
//! [`TrainingCore::aggregate_by`](super::TrainingCore::aggregate_by) and `examples/aggregation.rs`.
//!
//! | file | what it holds |
//! |---|---|
//! | `sign_of_mean` | DeMo's rule, on coefficients of the DCT |
//! | `clipped_mean` | SparseLoCo's and dense's rule, on values of the parameters |
//! | `seam`, `rules` | what a rule is, and which ones a scenario can name |
//! | `exact` | what rules compute with |
//! | `settings` | what a scenario's `[aggregation]` says |

pub mod clipped_mean;
pub mod exact;
mod rules;
mod seam;
mod settings;
pub mod sign_of_mean;
#[cfg(test)]
mod testing;

pub use rules::{RULES, rule};
pub use seam::{Aggregation, MOST_WEIGHT, Rule, Weighted, total_weight};
pub use settings::{AggregationSettings, RuleError};
