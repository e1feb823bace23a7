//! What a scenario says of the robust rules.

use serde::{Deserialize, Serialize};

use super::{Before, Robust, RobustRule};
use crate::model::Device;
use crate::settings::Findings;
use crate::training::aggregate::{Aggregation, RuleSettings};
use crate::training::{Basis, PayloadLayout};

/// How many dishonest payloads are tolerated, and how.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RobustSettings {
    /// Share of the payloads that may be dishonest; `f` is this share of the `n` payloads of a round, rounded down.
    pub dishonest: f64,
    /// What is done before the rule is applied.
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
    /// As [`RobustSettings::dishonest`].
    pub dishonest: f64,
    /// As [`RobustSettings::before`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// Distances from the centre are clipped to this many times the median norm of the payloads.
    pub radius: f64,
}

impl Default for CenteredClipSettings {
    fn default() -> Self {
        let RobustSettings { dishonest, before } = RobustSettings::default();
        Self { dishonest, before, radius: 1.0 }
    }
}

/// A robust rule and its settings.
#[derive(Clone, Copy, Debug)]
pub struct Named(pub RobustRule, pub RobustSettings);

impl From<CenteredClipSettings> for Named {
    fn from(settings: CenteredClipSettings) -> Self {
        let CenteredClipSettings { dishonest, before, radius } = settings;
        Self(RobustRule::CenteredClip { radius }, RobustSettings { dishonest, before })
    }
}

impl RuleSettings for Named {
    fn check(&self, found: &mut Findings) {
        let dishonest = self.1.dishonest;
        let expected = "0 or more, and below 0.5: no rule tolerates a majority";
        found.require((0.0..0.5).contains(&dishonest), "dishonest", dishonest, expected);
        if let RobustRule::CenteredClip { radius } = self.0 {
            found.positive("radius", radius);
        }
    }

    fn works_on(&self, _sent: Basis) -> bool {
        true
    }

    fn build(&self, payloads: &PayloadLayout, _device: Device) -> Box<dyn Aggregation> {
        Box::new(Robust::new(payloads.clone(), self.0, self.1))
    }
}
