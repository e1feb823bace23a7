//! Trains, but on pages of its own choice: what a peer would do that trains once and sells the result under many names.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::corpus::PageId;

/// The settings of `free-rider`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreeRiderSettings {}

impl BehaviourSettings for FreeRiderSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(FreeRider)
    }
}

struct FreeRider;

impl Behaviour for FreeRider {
    fn pages(&mut self, around: &Surroundings) -> Vec<PageId> {
        around.network.assignment.extra(around.uid, around.round, around.assigned().len())
    }
}
