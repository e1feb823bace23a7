//! Does honest work, but uploads it after the put window has closed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::settings::Findings;

/// Some days, which is longer than any round.
const MOST_SECONDS: f64 = 1e6;

/// The settings of `late`.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LateSettings {
    /// Seconds after the put window closes.
    seconds: f64,
}

impl Default for LateSettings {
    fn default() -> Self {
        Self { seconds: 5.0 }
    }
}

impl BehaviourSettings for LateSettings {
    fn check(&self, found: &mut Findings) {
        found.positive("seconds", self.seconds);
        found.at_most("seconds", self.seconds, MOST_SECONDS);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Late { after: Duration::from_secs_f64(self.seconds) })
    }
}

struct Late {
    after: Duration,
}

impl Behaviour for Late {
    fn put_at(&self, around: &Surroundings) -> Duration {
        around.window.closes + self.after
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::refused;

    #[test]
    fn delays_are_positive_and_bounded() {
        assert!(refused("{ kind = \"late\", seconds = 1e6 }").is_empty());
        assert_eq!(refused("{ kind = \"late\", seconds = 0 }"), ["seconds"]);
        assert_eq!(refused("{ kind = \"late\", seconds = 1e7 }"), ["seconds"]);
    }
}
