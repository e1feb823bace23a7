//! Does no work: fetches another peer's upload as soon as it appears, and re-posts its pseudo-gradient under its own
//! name while the put window is still open.

use std::time::Duration;

use async_trait::async_trait;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use super::values::map_values;
use crate::Uid;
use crate::random::normal;
use crate::settings::Findings;
use crate::training::PseudoGradient;
use crate::transport::Hotkey;

/// Time between two looks at the victim's key.
const POLL: Duration = Duration::from_millis(500);

/// The settings of `copycat`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopycatSettings {
    /// The peer to copy.
    of: Copied,
    /// Values are multiplied by 1 + `noise` * N(0, 1), so that payloads are not equal.
    noise: f64,
}

/// Which peer a copycat copies.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Copied {
    /// The peer with the highest incentive.
    Best,
    /// A random peer, drawn anew each round.
    Random,
}

impl Default for CopycatSettings {
    fn default() -> Self {
        Self { of: Copied::Best, noise: 0.0 }
    }
}

impl BehaviourSettings for CopycatSettings {
    fn check(&self, found: &mut Findings) {
        found.not_negative("noise", self.noise);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Copycat { settings: self.clone() })
    }
}

struct Copycat {
    settings: CopycatSettings,
}

#[async_trait]
impl Behaviour for Copycat {
    fn trains(&self) -> bool {
        false
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let (uid, hotkey) = self.victim(around).await?;
        let clock = &around.ports.clock;
        clock.sleep_until(around.window.opens).await;
        while clock.now() < around.window.closes {
            if let Some(copied) = around.upload_of(around.round, uid, hotkey).await {
                let mut rng = around.rng("copycat noise");
                let noise = self.settings.noise as f32;
                return Some(map_values(copied, |value| value * (1.0 + noise * normal(&mut rng))));
            }
            clock.sleep(POLL).await;
        }
        None
    }

    fn put_at(&self, around: &Surroundings) -> Duration {
        around.window.opens
    }
}

impl Copycat {
    /// The peer to copy in this round.
    async fn victim(&self, around: &Surroundings<'_>) -> Option<(Uid, Hotkey)> {
        let chain = around.ports.chain.view().await;
        let others = around.others(&*chain);
        let mut rng = around.rng("copycat victim");
        let best =
            others.iter().max_by(|a, b| chain.incentive(a.0).total_cmp(&chain.incentive(b.0)).then(b.0.cmp(&a.0)));
        match self.settings.of {
            Copied::Best if best.is_some_and(|best| chain.incentive(best.0) > 0.0) => best.copied(),
            _ => others.choose(&mut rng).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::node::behaviour::testing::{refused, said};

    #[test]
    fn it_does_no_work_and_noise_has_no_sign() {
        assert!(!said("{ kind = \"copycat\", of = \"random\" }").build().trains());
        assert_eq!(refused("{ kind = \"copycat\", noise = -0.1 }"), ["noise"]);
    }
}
