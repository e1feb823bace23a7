//! Settings of the robust rules in a scenario.

use serde::{Deserialize, Serialize};

use super::groups::Before;

/// The share of dishonest payloads that is tolerated, and the preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RobustSettings {
    /// Share of the payloads that may be dishonest. `f` is this share of the `n` payloads of a round, rounded down.
    pub dishonest: f64,
    /// Preprocessing before the rule is applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

impl Default for RobustSettings {
    fn default() -> Self {
        Self { dishonest: 0.2, before: None }
    }
}

/// The settings of `centered-clip`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CenteredClipSettings {
    /// Like [`RobustSettings::dishonest`].
    pub dishonest: f64,
    /// Like [`RobustSettings::before`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// Distances from the centre are clipped to this multiple of the payloads' median norm.
    pub radius: f64,
}

impl Default for CenteredClipSettings {
    fn default() -> Self {
        let RobustSettings { dishonest, before } = RobustSettings::default();
        Self { dishonest, before, radius: 1.0 }
    }
}
