//! Aggregation: makes one update from many payloads, with the same bytes on every node.
//!
//! Each rule is one file and a line in [`shipped`]. The file explains the rule, cites its source, names the kind of
//! payload that it takes, and holds its settings and tests. A program adds its own rule to
//! [`Registry::aggregations`](crate::scenario::Registry::aggregations) (`examples/aggregation.rs`).
//!
//! | file | what it holds |
//! |---|---|
//! | `sign_of_mean` | the rule of DeMo, on coefficients of the DCT |
//! | `clipped_mean` | the rule of SparseLoCo and the dense scheme, on values of the parameters |
//! | `robust` | rules that tolerate dishonest payloads |
//! | `seam` | the interface of a rule |
//! | `exact` | the arithmetic of the rules |
//! | `weights` | how much each payload counts |
//! | `settings` | `[aggregation]` in a scenario |

pub mod clipped_mean;
pub mod exact;
pub mod robust;
mod seam;
mod settings;
pub mod sign_of_mean;
#[cfg(test)]
pub(super) mod testing;
mod weights;

pub use seam::{Aggregation, MOST_WEIGHT, RuleSettings, Weighted, total_weight};
pub use settings::AggregationSettings;
pub use weights::Weights;

use crate::settings::Kinds;
use clipped_mean::ClippedMeanSettings;
use robust::{CenteredClipSettings, Named, RobustRule, RobustSettings};
use sign_of_mean::SignOfMeanSettings;

/// The rules of this crate: names in scenarios, and settings. Without a name, a scenario uses its scheme's rule.
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
