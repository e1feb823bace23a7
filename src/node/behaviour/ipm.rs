//! Inner product manipulation: sends the mean of honest work times a negative number, so that the inner product of the
//! aggregate and the true gradient becomes negative (C. Xie, O. Koyejo and I. Gupta, "Fall of Empires: Breaking
//! Byzantine-tolerant SGD by Inner Product Manipulation", UAI 2020, arXiv 1903.03936).
//!
//! A small factor hides the payload from rules that judge by distance. DeMo normalises every payload by its own size,
//! so under it only the sign of the factor counts.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::knowledge::{Knowledge, Knows, WAIT};
use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::settings::Findings;
use crate::training::PseudoGradient;
use crate::training::coefficients::from_spread;

/// Largest factor.
const MOST_EPSILON: f64 = 1e9;

/// The settings of `ipm`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IpmSettings {
    /// The payload is the mean times minus this factor.
    epsilon: f64,
    /// The payloads that it computes from.
    knows: Knows,
    /// The part of the put window that it waits before it looks.
    wait: f64,
}

impl Default for IpmSettings {
    fn default() -> Self {
        Self { epsilon: 0.5, knows: Knows::Window, wait: WAIT }
    }
}

impl BehaviourSettings for IpmSettings {
    fn check(&self, found: &mut Findings) {
        found.positive("epsilon", self.epsilon);
        found.at_most("epsilon", self.epsilon, MOST_EPSILON);
        found.below_one("wait", self.wait);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Ipm { epsilon: self.epsilon, knowledge: Knowledge { knows: self.knows, wait: self.wait } })
    }
}

struct Ipm {
    epsilon: f64,
    knowledge: Knowledge,
}

#[async_trait]
impl Behaviour for Ipm {
    fn trains(&self) -> bool {
        self.knowledge.trains()
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let honest = self.knowledge.payloads(around).await;
        let (network, turned) = (around.network, |mean: f64, _: f64| -self.epsilon * mean);
        from_spread(&network.shape, network.core.basis(), &honest, turned)
    }

    fn put_at(&self, around: &Surroundings) -> Duration {
        self.knowledge.put_at(around)
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn the_factor_has_a_sign_and_a_bound() {
        assert!(refused("{ kind = \"ipm\", epsilon = 0.1, knows = \"operator\" }").is_empty());
        assert_eq!(refused("{ kind = \"ipm\", epsilon = 0.0, wait = 1.5 }"), ["epsilon", "wait"]);
        assert_eq!(refused("{ kind = \"ipm\", epsilon = 1e10 }"), ["epsilon"]);
        assert!(!said("\"ipm\"").build().trains() && said("{ kind = \"ipm\", knows = \"operator\" }").build().trains());
    }
}
