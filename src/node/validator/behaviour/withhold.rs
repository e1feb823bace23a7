//! Publishes no bundle, so that others depend on the peers' own uploads; or names a payload that nobody has, so that nobody
//! can follow its record.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};
use crate::digest::Digest;
use crate::transport::record::RoundRecord;

/// The settings of `withhold`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WithholdSettings {
    /// Whether its records name a payload that nobody has.
    pub invents: bool,
    /// The first round in which it does so.
    pub from: u64,
}

impl ValidatorBehaviourSettings for WithholdSettings {
    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(Withhold(self.clone()))
    }
}

struct Withhold(WithholdSettings);

impl ValidatorBehaviour for Withhold {
    fn bundle(&self, honest: Bytes, around: &ValidatorSurroundings) -> Bytes {
        if around.round < self.0.from { honest } else { Bytes::new() }
    }

    fn record(&self, mut honest: RoundRecord, around: &ValidatorSurroundings) -> RoundRecord {
        if self.0.invents
            && around.round >= self.0.from
            && let Some(first) = honest.included.first_mut()
        {
            first.payload = Digest::of_parts([&b"nobody has this"[..], &first.payload.0]);
        }
        honest
    }
}
