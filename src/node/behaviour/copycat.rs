//! Does no work: fetches another peer's upload as soon as it is there, and re-posts its pseudo-gradient under its own
//! name while the put window is still open.

use std::time::Duration;

use async_trait::async_trait;
use rand::seq::IndexedRandom;

use super::settings::Copied;
use super::{Behaviour, Surroundings, map_values};
use crate::Uid;
use crate::node::upload;
use crate::random::normal;
use crate::training::PseudoGradient;
use crate::transport::Hotkey;

pub struct Copycat {
    pub of: Copied,
    /// Relative noise on the values, against a comparison of payloads.
    pub noise: f64,
}

/// How often the victim's key is looked at.
const POLL: Duration = Duration::from_millis(500);

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
            if let Some(copied) = upload::fetch(around.network, around.ports, around.round, uid, hotkey).await.valid() {
                let mut rng = around.rng("copycat noise");
                let noise = self.noise as f32;
                return Some(map_values(copied.gradient, |value| value * (1.0 + noise * normal(&mut rng))));
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
    /// Whom to copy in this round.
    async fn victim(&self, around: &Surroundings<'_>) -> Option<(Uid, Hotkey)> {
        let chain = around.ports.chain.view().await;
        let others = chain.peers().into_iter().filter(|&(uid, _)| uid != around.uid);
        let others: Vec<(Uid, Hotkey)> = others.map(|(uid, hotkey)| (uid, Hotkey(hotkey))).collect();
        let mut rng = around.rng("copycat victim");
        let best =
            others.iter().max_by(|a, b| chain.incentive(a.0).total_cmp(&chain.incentive(b.0)).then(b.0.cmp(&a.0)));
        match self.of {
            Copied::Best if best.is_some_and(|best| chain.incentive(best.0) > 0.0) => best.copied(),
            _ => others.choose(&mut rng).copied(),
        }
    }
}
