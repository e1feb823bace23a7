//! Does what the mechanism says, when it is its turn, and publishes what the network needs.

use serde::{Deserialize, Serialize};

use super::seam::{ValidatorBehaviour, ValidatorBehaviourSettings};

/// The settings of `honest`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HonestSettings {}

impl ValidatorBehaviourSettings for HonestSettings {
    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(Honest)
    }
}

struct Honest;

impl ValidatorBehaviour for Honest {}
