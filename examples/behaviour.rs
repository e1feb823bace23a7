//! A behaviour of your own: a peer that waits until others have uploaded, and sends the mean of their work and its own.
//! A mean is a better step than any of its parts, so Gauntlet as published pays it well.
//!
//! `cargo run --example behaviour` prints who is paid what among four honest peers and one that averages.

use gauntlet::node::behaviour::{Behaviour, BehaviourSettings, Surroundings};
use gauntlet::scenario::{Registry, Scenario};
use gauntlet::training::{PseudoGradient, mix};
use gauntlet::{engine, settings::Findings};
use serde::{Deserialize, Serialize};

const NETWORK: &str = r#"
name = "average"
rounds = 30
model = { preset = "nano" }
training = { lr = 3e-3, warmup_rounds = 5, pages_per_round = 4, micro_batch = 4 }
protocol = { top_peers = 4, min_peers = 2 }
chain = { weights_every = 2 }
peers = [{ count = 4 }, { behaviour = { kind = "average", wait = 0.5 } }]
"#;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Average {
    /// The part of the put window that it waits for others.
    wait: f64,
}

impl BehaviourSettings for Average {
    fn check(&self, found: &mut Findings) {
        found.below_one("wait", self.wait);
    }
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Behaviour for Average {
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, at: &Surroundings<'_>) -> Option<PseudoGradient> {
        let (mut payloads, window) = (vec![own?], at.window);
        at.ports.clock.sleep_until(window.opens + (window.closes - window.opens).mul_f64(self.wait)).await;
        for (uid, hotkey) in at.others(&*at.ports.chain.view().await) {
            payloads.extend(at.upload_of(at.round, uid, hotkey).await);
        }
        let parts: Vec<mix::Part> = payloads.iter().map(|payload| mix::Part { payload, weight: 1.0 }).collect();
        mix::mix(&at.network.shape, &parts)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    registry.behaviours = registry.behaviours.with::<Average>("average", |settings| Box::new(settings));
    for report in engine::run(Scenario::from_toml_with(registry, NETWORK, "average.toml", &[])?)?.reports {
        let paid: Vec<String> = report.peers.iter().map(|peer| format!("{:4.1} %", 100.0 * peer.incentive)).collect();
        println!("round {:2}: {}", report.round, paid.join("  "));
    }
    Ok(())
}
