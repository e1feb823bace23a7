//! `[aggregation]` in a scenario.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::weights::Weights;
use crate::settings::Kinded;

/// How payloads are combined into one update: a kind of
/// [`Registry::aggregations`](crate::scenario::Registry::aggregations), called `rule` here, and its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AggregationSettings {
    /// Name of the rule; default: the scheme's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How much each upload counts.
    #[serde(skip_serializing_if = "is_equal")]
    pub weights: Weights,
    /// The rule's settings.
    #[serde(flatten)]
    pub settings: Table,
}

fn is_equal(weights: &Weights) -> bool {
    *weights == Weights::Equal
}

impl AggregationSettings {
    /// Whether nothing is set. The section is then left out of a scenario's text.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The rule to use, where `own` is the scheme's own.
    pub fn rule(&self, own: &str) -> Kinded {
        Kinded { kind: Some(self.rule.clone().unwrap_or_else(|| own.to_string())), settings: self.settings.clone() }
    }
}
