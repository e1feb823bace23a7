//! A robust rule by its name in a scenario.

use super::rule::{Robust, RobustRule};
use super::settings::{CenteredClipSettings, RobustSettings};
use crate::model::Device;
use crate::settings::Findings;
use crate::training::aggregate::{Aggregation, RuleSettings};
use crate::training::{Basis, PayloadLayout};

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
