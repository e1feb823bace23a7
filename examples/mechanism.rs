//! A mechanism of your own: an upload is paid by one minus its largest cosine with another one of the round. Honest work
//! earns, and so does noise. `cargo run --example mechanism` prints what four honest peers and two copycats are paid.

use std::collections::BTreeMap;

use gauntlet::mechanism::{Facts, Mechanism, MechanismSettings, Ranking, Status, shares::shares};
use gauntlet::scenario::{Registry, Scenario};
use gauntlet::{Uid, engine, settings::Findings};
use serde::{Deserialize, Serialize};

const NETWORK: &str = r#"
name = "novelty"
rounds = 20
model = { preset = "nano" }
training = { lr = 3e-3, warmup_rounds = 5, pages_per_round = 4, micro_batch = 4 }
protocol = { top_peers = 4, min_peers = 2 }
mechanism = { kind = "novelty", limit = 0.5 }
chain = { weights_every = 2 }
peers = [{ count = 4 }, { count = 2, behaviour = "copycat" }]
"#;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NoveltySettings {
    /// From this cosine on an upload earns nothing.
    limit: f64,
}

impl MechanismSettings for NoveltySettings {
    fn check(&self, found: &mut Findings) {
        found.positive_fraction("limit", self.limit);
    }
    fn build(&self, _secret: u64) -> Box<dyn Mechanism> {
        Box::new(Novelty(self.clone(), BTreeMap::new()))
    }
}

/// The settings, and of each peer: round, status, score.
struct Novelty(NoveltySettings, BTreeMap<Uid, (u64, Status, f64)>);

impl Mechanism for Novelty {
    fn leave(&mut self, uid: Uid) {
        self.1.remove(&uid);
    }
    fn observe(&mut self, facts: &Facts) {
        for a in &facts.peers {
            let others = facts.peers.iter().filter(|b| b.uid != a.uid);
            let closest = others.filter_map(|b| facts.uploads.cosine(a.uid, b.uid)).fold(0.0, f64::max);
            let passed = a.arrival == Status::Passed && closest < self.0.limit;
            self.1.insert(a.uid, (facts.round, a.arrival, if passed { 1.0 - closest } else { 0.0 }));
        }
    }
    fn include(&self, round: u64, except: &[Uid]) -> Ranking {
        let earned = self.1.iter().filter(|(uid, seen)| seen.0 == round && seen.2 > 0.0 && !except.contains(uid));
        Ranking { earned: earned.map(|(uid, _)| *uid).collect(), others: Vec::new() }
    }
    fn pay(&self) -> Vec<(Uid, f64)> {
        shares(self.1.iter().map(|(uid, seen)| (*uid, seen.2)), 1.0)
    }
    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        self.1.get(&uid).filter(|seen| seen.0 == round).map(|seen| seen.1)
    }
    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.1).expect("a plain structure")
    }
    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        postcard::from_bytes(saved).map(|seen| self.1 = seen).map_err(|error| error.to_string())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    registry.mechanisms = registry.mechanisms.with::<NoveltySettings>("novelty", |settings| Box::new(settings));
    for report in engine::run(Scenario::from_toml_with(registry, NETWORK, "novelty.toml", &[])?)?.reports {
        let paid: Vec<String> = report.peers.iter().map(|peer| format!("{:4.1} %", 100.0 * peer.incentive)).collect();
        println!("round {:2}: {}", report.round, paid.join("  "));
    }
    Ok(())
}
