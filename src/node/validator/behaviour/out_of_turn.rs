//! Writes the record as soon as the put window has closed, whoever's turn it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};

/// The settings of `out-of-turn`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutOfTurnSettings {}

impl ValidatorBehaviourSettings for OutOfTurnSettings {
    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(OutOfTurn)
    }
}

struct OutOfTurn;

impl ValidatorBehaviour for OutOfTurn {
    fn decides_at(&self, turn: Duration, around: &ValidatorSurroundings) -> Option<Duration> {
        Some(turn.min(around.ports.clock.reveal_window(around.round).closes))
    }
}
