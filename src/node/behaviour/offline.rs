//! Leaves and returns at random, as a two-state Markov chain. It catches up after each absence.

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Presence};
use crate::random::Seed;
use crate::settings::Findings;

/// The settings of `offline`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OfflineSettings {
    /// Probability per round of leaving.
    leave: f64,
    /// Probability per round of returning.
    #[serde(rename = "return")]
    come_back: f64,
}

impl Default for OfflineSettings {
    fn default() -> Self {
        Self { leave: 0.1, come_back: 0.3 }
    }
}

impl BehaviourSettings for OfflineSettings {
    fn check(&self, found: &mut Findings) {
        found.fraction("leave", self.leave);
        found.fraction("return", self.come_back);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Offline { settings: self.clone(), away: false })
    }
}

struct Offline {
    settings: OfflineSettings,
    away: bool,
}

impl Behaviour for Offline {
    fn presence(&mut self, seed: Seed, who: u64, round: u64) -> Presence {
        let draw: f64 = seed.rng("offline", who, round).random();
        let OfflineSettings { leave, come_back } = self.settings;
        self.away = if self.away { draw >= come_back } else { draw < leave };
        if self.away { Presence::Away } else { Presence::Active }
    }

    fn save(&self) -> Vec<u8> {
        vec![self.away.into()]
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.away = match saved {
            [0] => false,
            [1] => true,
            _ => return Err("not a state of the behaviour `offline`".into()),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn absences_follow_the_probabilities_and_survive_a_restart() {
        let settings = said("{ kind = \"offline\", leave = 0.2, return = 0.2 }");
        let mut offline = settings.build();
        let seen: Vec<Presence> = (0..2000).map(|round| offline.presence(Seed::new(1), 1, round)).collect();
        let away = seen.iter().filter(|presence| **presence == Presence::Away).count();
        assert!((800..1200).contains(&away), "half of the rounds: {away}");

        let mut again = settings.build();
        (0..1000).for_each(|round| assert_eq!(again.presence(Seed::new(1), 1, round), seen[round as usize]));
        let mut resumed = settings.build();
        resumed.restore(&again.save()).unwrap();
        (1000..2000).for_each(|round| assert_eq!(resumed.presence(Seed::new(1), 1, round), seen[round as usize]));
    }

    #[test]
    fn probabilities_are_checked_under_their_names_in_a_file() {
        assert_eq!(refused("{ kind = \"offline\", leave = 1.5, return = -0.5 }"), ["leave", "return"]);
    }
}
