//! What a scenario's `[aggregation]` says.

use serde::{Deserialize, Serialize};
use toml::Table;

use crate::settings::Kinded;

/// How payloads become one update: a kind of [`Registry::aggregations`](crate::scenario::Registry::aggregations), which
/// is called `rule` here, and its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AggregationSettings {
    /// Name of the rule; default: the scheme's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The rule's settings.
    #[serde(flatten)]
    pub settings: Table,
}

impl AggregationSettings {
    /// Whether nothing is set: a scenario's text leaves the section out then.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The rule that is meant, where the scheme has a rule of its own.
    pub fn rule(&self, own: &str) -> Kinded {
        Kinded { kind: Some(self.rule.clone().unwrap_or_else(|| own.to_string())), settings: self.settings.clone() }
    }
}
