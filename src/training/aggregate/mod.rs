//! Aggregation: one update of many payloads, the same bytes on every node.
//!
//! A rule is one file here and a line in [`shipped`]. The file tells what the rule is and where it is from, says which
//! kind of payload it works on, and holds its settings and tests. A rule of your own is a line in
//! [`Registry::aggregations`](crate::scenario::Registry::aggregations) (`examples/aggregation.rs`).
//!
//! | file | what it holds |
//! |---|---|
//! | `sign_of_mean` | DeMo's rule, on coefficients of the DCT |
//! | `clipped_mean` | SparseLoCo's and dense's rule, on values of the parameters |
//! | `robust` | rules that tolerate dishonest payloads |
//! | `seam` | what a rule is |
//! | `exact` | what rules compute with |
//! | `settings` | what a scenario's `[aggregation]` says |

pub mod clipped_mean;
pub mod exact;
pub mod robust;
mod seam;
mod settings;
pub mod sign_of_mean;
#[cfg(test)]
pub(super) mod testing;

pub use seam::{Aggregation, MOST_WEIGHT, RuleSettings, Weighted, total_weight};
pub use settings::AggregationSettings;

use crate::settings::Kinds;
use clipped_mean::ClippedMeanSettings;
use robust::{CenteredClipSettings, Named, RobustRule, RobustSettings};
use sign_of_mean::SignOfMeanSettings;

/// The rules of this crate: name in a scenario, and settings. A scenario that names none means its scheme's.
pub fn shipped() -> Kinds<dyn RuleSettings> {
    Kinds::<dyn RuleSettings>::new(sign_of_mean::NAME)
        .with::<SignOfMeanSettings>(sign_of_mean::NAME, |settings| Box::new(settings))
        .with::<ClippedMeanSettings>(clipped_mean::NAME, |settings| Box::new(settings))
        .with::<RobustSettings>("mean", |settings| Box::new(Named(RobustRule::Mean, settings)))
        .with::<RobustSettings>("trimmed-mean", |settings| Box::new(Named(RobustRule::TrimmedMean, settings)))
        .with::<RobustSettings>("median", |settings| Box::new(Named(RobustRule::Median, settings)))
        .with::<RobustSettings>("krum", |settings| Box::new(Named(RobustRule::Krum, settings)))
        .with::<RobustSettings>("multi-krum", |settings| Box::new(Named(RobustRule::MultiKrum, settings)))
        .with::<CenteredClipSettings>("centered-clip", |settings| Box::new(Named::from(settings)))
}
