//! Trains on a part of its assigned pages. The loss on the pages that it skipped gives it away.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings};
use super::strategy::StrategySettings;
use crate::settings::Findings;

/// The settings of `lazy`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LazySettings {
    /// The part of its assigned pages on which it trains; at least one page.
    fraction: f64,
}

impl Default for LazySettings {
    fn default() -> Self {
        Self { fraction: 0.5 }
    }
}

impl BehaviourSettings for LazySettings {
    fn check(&self, found: &mut Findings) {
        found.positive_fraction("fraction", self.fraction);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        StrategySettings { pages: self.fraction, ..StrategySettings::default() }.build()
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::refused;

    #[test]
    fn the_fraction_has_bounds() {
        assert!(refused("{ kind = \"lazy\", fraction = 1 }").is_empty());
        assert_eq!(refused("{ kind = \"lazy\", fraction = 0 }"), ["fraction"]);
        assert_eq!(refused("{ kind = \"lazy\", fraction = 1.1 }"), ["fraction"]);
    }
}
