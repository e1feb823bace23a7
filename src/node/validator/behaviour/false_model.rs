//! Signs records that name another model than the payloads lead to.

use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};
use crate::digest::Digest;
use crate::transport::record::RoundRecord;

/// The settings of `false-model`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FalseModelSettings {
    /// Whether it lies about the model before the round too, so that all who follow start over to look for their mistake.
    pub before: bool,
}

impl ValidatorBehaviourSettings for FalseModelSettings {
    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(FalseModel(self.clone()))
    }
}

struct FalseModel(FalseModelSettings);

impl ValidatorBehaviour for FalseModel {
    fn record(&self, honest: RoundRecord, _around: &ValidatorSurroundings) -> RoundRecord {
        let another = |model: &Digest| Digest::of_parts([&b"another model"[..], &model.0]);
        let model_before = if self.0.before { another(&honest.model_before) } else { honest.model_before };
        RoundRecord { model_before, model_after: another(&honest.model_after), ..honest }
    }
}
