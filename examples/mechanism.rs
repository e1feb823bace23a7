//! A mechanism of your own: whoever sends what nobody else sends is paid, by one minus the largest cosine with another
//! upload of the round. Honest work passes, and so does noise, which is why this is an example and not shipped.
//!
//! `cargo run --example mechanism` prints who is paid what among four honest peers and two copycats.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, atomic::AtomicBool};

use gauntlet::engine::{Observer, ObserverError, RunOptions, Traffic, simulate};
use gauntlet::mechanism::{
    Column, ColumnKind, Facts, Losses, Measurement, Mechanism, MechanismSettings, Ranking, Status,
};
use gauntlet::node::RoundReport;
use gauntlet::scenario::{Registry, Scenario, World};
use gauntlet::{Uid, model::Device, settings::Findings};
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
    fn forward_passes(&self, _pages: usize, _aggregated: usize) -> f64 {
        0.0
    }
}

/// The settings, and of each peer: round, status, score.
struct Novelty(NoveltySettings, BTreeMap<Uid, (u64, Status, f64)>);

impl Mechanism for Novelty {
    fn arrive(&mut self, uid: Uid) {
        self.1.insert(uid, (0, Status::Absent, 0.0));
    }
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
    fn measure(&mut self, _round: u64, _aggregated: &[Uid]) -> Vec<Measurement> {
        Vec::new()
    }
    fn learn(&mut self, _round: u64, _aggregated: &[Uid], _losses: &Losses) {}
    fn pay(&self) -> Vec<(Uid, f64)> {
        let total: f64 = self.1.values().map(|(_, _, score)| score).sum();
        self.1.iter().map(|(uid, seen)| (*uid, if total > 0.0 { seen.2 / total } else { 0.0 })).collect()
    }
    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        self.1.get(&uid).filter(|seen| seen.0 == round).map(|seen| seen.1)
    }
    fn columns(&self) -> Vec<Column> {
        vec![Column { name: "novelty".into(), label: "novelty".into(), kind: ColumnKind::Standing }]
    }
    fn numbers(&self, uid: Uid, _round: u64) -> Vec<Option<f64>> {
        vec![self.1.get(&uid).map(|seen| seen.2)]
    }
    fn save(&self) -> Vec<u8> {
        postcard::to_stdvec(&self.1).expect("a plain structure")
    }
    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.1 = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        Ok(())
    }
}

struct Printer;

impl Observer for Printer {
    fn round(&mut self, report: &RoundReport, _: Traffic) -> Result<(), ObserverError> {
        let paid: Vec<String> = report.peers.iter().map(|peer| format!("{:4.1} %", 100.0 * peer.incentive)).collect();
        println!("round {:2}: {}", report.round, paid.join("  "));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    registry.mechanisms = registry.mechanisms.with::<NoveltySettings>("novelty", |settings| Box::new(settings));
    let scenario = Scenario::from_toml_with(registry, NETWORK, "novelty.toml", &[])?;
    let world = Arc::new(World::open(scenario, Device::Cpu)?);
    let interrupt = Arc::new(AtomicBool::new(false));
    let options = RunOptions { threads: 2, baseline: false, resume: None, resume_baseline: None, interrupt };
    simulate(world, options, Arc::new(Mutex::new(Printer)))?;
    Ok(())
}
