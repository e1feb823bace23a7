//! Says nothing: writes no record and backs no peer. It still holds its stake and its turn.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};
use crate::Uid;
use crate::mechanism::Measurement;

/// The settings of `silent`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SilentSettings {
    /// The first round in which it is silent.
    pub from: u64,
}

impl ValidatorBehaviourSettings for SilentSettings {
    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(Silent(self.clone()))
    }
}

struct Silent(SilentSettings);

impl Silent {
    fn speaks(&self, around: &ValidatorSurroundings) -> bool {
        around.round < self.0.from
    }
}

impl ValidatorBehaviour for Silent {
    fn decides_at(&self, turn: Duration, around: &ValidatorSurroundings) -> Option<Duration> {
        self.speaks(around).then_some(turn)
    }

    fn measured(&mut self, wanted: Vec<Measurement>, around: &ValidatorSurroundings) -> Vec<Measurement> {
        if self.speaks(around) { wanted } else { Vec::new() }
    }

    fn weights(&mut self, judged: Vec<(Uid, f64)>, around: &ValidatorSurroundings) -> Vec<(Uid, f64)> {
        if self.speaks(around) { judged } else { Vec::new() }
    }
}
