//! Trains on its assigned pages, or on `data` times as many. Validators expect this of every peer, and all other
//! behaviours are compared with it.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::corpus::PageId;
use crate::settings::Findings;

/// Largest multiple of its assigned pages on which a peer can train.
const MOST_DATA: f64 = 100.0;

/// The settings of `honest`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HonestSettings {
    /// 2.0: the assigned pages and as many others. 1.0: the assigned ones. 0.5: half of them.
    data: f64,
}

impl Default for HonestSettings {
    fn default() -> Self {
        Self { data: 1.0 }
    }
}

impl BehaviourSettings for HonestSettings {
    fn check(&self, found: &mut Findings) {
        found.positive("data", self.data);
        found.at_most("data", self.data, MOST_DATA);
    }

    fn label(&self) -> Option<String> {
        (self.data != 1.0).then(|| format!("honest x{}", self.data))
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Honest { data: self.data })
    }
}

struct Honest {
    data: f64,
}

impl Behaviour for Honest {
    fn pages(&mut self, around: &Surroundings) -> Vec<PageId> {
        around.pages(self.pages_said(around.expected))
    }

    fn pages_said(&self, expected: usize) -> usize {
        (expected as f64 * self.data).round().max(1.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn the_label_names_an_unusual_amount_of_data() {
        assert_eq!(said("{ data = 2.0 }").label().as_deref(), Some("honest x2"));
        assert_eq!(said("{ data = 0.5 }").label().as_deref(), Some("honest x0.5"));
        assert_eq!(said("{ data = 1 }").label(), None);
    }

    #[test]
    fn the_amount_of_data_has_bounds() {
        assert!(refused("{ data = 100 }").is_empty());
        assert_eq!(refused("{ data = 0 }"), ["data"]);
        assert_eq!(refused("{ data = 101 }"), ["data"]);
    }
}
