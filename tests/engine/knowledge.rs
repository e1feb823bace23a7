//! What a behaviour knows at a time: what lies in the bucket by then.

use std::sync::{Arc, Mutex};

use gauntlet::model::Device;
use gauntlet::node::behaviour::{Behaviour, BehaviourSettings, Surroundings};
use gauntlet::scenario::{Registry, Scenario, World};
use gauntlet::training::PseudoGradient;
use serde::{Deserialize, Serialize};

use super::SMALL;
use super::common::finished;

/// Of each round: uploads of others that a peer finds before the put window opens and near its end, those of the round
/// after, and the payloads that it finds aggregated in this round and in the one before.
static FOUND: Mutex<Vec<[usize; 5]>> = Mutex::new(Vec::new());

/// A peer that looks around and sends nothing.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spy {}

impl BehaviourSettings for Spy {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Spy {})
    }
}

#[async_trait::async_trait]
impl Behaviour for Spy {
    fn trains(&self) -> bool {
        false
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let clock = &around.ports.clock;
        let uploads = async |round| {
            let mut found = 0;
            for (uid, hotkey) in around.others(&*around.ports.chain.view().await) {
                found += usize::from(around.upload_of(round, uid, hotkey).await.is_some());
            }
            found
        };
        let early = uploads(around.round).await;
        assert!(clock.now() < around.window.opens, "it has looked before anybody may upload");
        clock.sleep_until(around.part_of_window(0.7)).await;
        let (later, next) = (uploads(around.round).await, uploads(around.round + 1).await);
        assert!(clock.now() < around.window.closes);
        let this = around.aggregated(around.round).await.len();
        let before = around.aggregated(around.round.max(1) - 1).await.len();
        FOUND.lock().unwrap().push([early, later, next, this, before]);
        None
    }
}

#[test]
fn nobody_reads_what_is_not_there_yet() {
    let mut registry = Registry::default();
    registry.behaviours = registry.behaviours.with::<Spy>("spy", |settings| Box::new(settings));
    let scenario = format!("{SMALL}[[peers]]\ncount = 4\n[[peers]]\nbehaviour = \"spy\"\n");
    let scenario = Scenario::from_toml_with(registry, &scenario, "spy.toml", &[]).unwrap();
    finished(&Arc::new(World::open(scenario, Device::Cpu).unwrap()));
    let found = FOUND.lock().unwrap();
    assert_eq!(found.len(), 14);
    for (round, found) in found.iter().enumerate() {
        assert_eq!(found[..4], [0, 4, 0, 0], "round {round}");
        assert_eq!(found[4] > 0, round > 0, "round {round}: the record of the round before is public");
    }
}
