//! Pauses for some rounds, then continues with its old model: it never applies what it missed.

use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Presence};
use crate::random::Seed;
use crate::settings::Findings;

/// The settings of `desync`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DesyncSettings {
    /// The first round of the pause.
    at: u64,
    /// Rounds of the pause.
    pause: u64,
}

impl Default for DesyncSettings {
    fn default() -> Self {
        Self { at: 30, pause: 10 }
    }
}

impl BehaviourSettings for DesyncSettings {
    fn check(&self, found: &mut Findings) {
        found.at_least_one("pause", self.pause);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Desync { settings: self.clone() })
    }
}

struct Desync {
    settings: DesyncSettings,
}

impl Behaviour for Desync {
    fn presence(&mut self, _seed: Seed, _who: u64, round: u64) -> Presence {
        let DesyncSettings { at, pause } = self.settings;
        if (at..at.saturating_add(pause)).contains(&round) { Presence::Paused } else { Presence::Active }
    }

    fn mends(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn it_pauses_once_and_stays_with_its_model() {
        let mut desync = said("{ kind = \"desync\", at = 3, pause = 2 }").build();
        let seen: Vec<Presence> = (2..6).map(|round| desync.presence(Seed::new(1), 1, round)).collect();
        assert_eq!(seen, [Presence::Active, Presence::Paused, Presence::Paused, Presence::Active]);
        assert!(!desync.mends());
        assert_eq!(refused("{ kind = \"desync\", pause = 0 }"), ["pause"]);
    }
}
