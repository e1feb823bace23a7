//! Computes on the model of some rounds ago, like a peer that is too slow to keep up.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings};
use super::strategy::StrategySettings;
use crate::settings::Findings;

/// The settings of `stale`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaleSettings {
    /// Age of the model in rounds.
    rounds: u64,
}

impl Default for StaleSettings {
    fn default() -> Self {
        Self { rounds: 5 }
    }
}

impl BehaviourSettings for StaleSettings {
    fn check(&self, found: &mut Findings) {
        found.at_least_one("rounds", self.rounds);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        StrategySettings { stale: self.rounds as usize, ..StrategySettings::default() }.build()
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn the_model_is_so_many_rounds_old() {
        assert_eq!(said("\"stale\"").build().model_age(), 5);
        assert_eq!(said("{ kind = \"stale\", rounds = 2 }").build().model_age(), 2);
        assert_eq!(refused("{ kind = \"stale\", rounds = 0 }"), ["rounds"]);
    }
}
