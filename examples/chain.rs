//! A chain of one's own: nobody loses a slot, and pay is the stake-weighted mean of the weights posted last, without
//! clipping and without bonds. `cargo run --example chain` prints who is paid what among three honest peers and a noisy
//! one.

use std::collections::BTreeMap;
use std::sync::Arc;

use gauntlet::chain::{Books, Call, ChainSettings, ChainView, Extrinsic, Genesis, LedgerError, Snapshot};
use gauntlet::{engine, scenario::Scenario};

const NETWORK: &str = r#"
name = "mean"
rounds = 8
model = { preset = "nano", sequence_length = 16 }
corpus = { held_out_pages = 8 }
training = { pages_per_round = 4, micro_batch = 4 }
scheme = { topk = 4 }
protocol = { top_peers = 3, min_peers = 2 }
mechanism = { evaluated_per_round = 4 }
chain = { weights_every = 2 }
validators = [{ stake = 1000 }, { stake = 400 }]
peers = [{ count = 3 }, { behaviour = "noise" }]
"#;

struct Mean(Genesis, Vec<(u64, Extrinsic)>);

impl Books for Mean {
    fn view(&mut self, block: u64) -> Arc<dyn ChainView> {
        let (mut peers, mut posted, mut pay) = (self.0.peers.clone(), BTreeMap::new(), BTreeMap::new());
        for (_, Extrinsic { hotkey, call }) in self.1.iter().take_while(|(of, _)| *of < block) {
            match call {
                Call::SetWeights(weights) => _ = posted.insert(*hotkey, weights),
                _ if !peers.contains(hotkey) => peers.push(*hotkey),
                _ => {}
            }
        }
        let staked = self.0.validators.iter().filter_map(|(hotkey, stake)| Some((posted.get(hotkey)?, stake)));
        let all: f64 = staked.clone().map(|(_, stake)| stake).sum();
        for (weights, stake) in staked {
            let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
            weights.iter().for_each(|(uid, weight)| *pay.entry(*uid).or_default() += stake / all * weight / sum);
        }
        let mut validators = self.0.validators.clone();
        validators.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Arc::new(Snapshot { block, peers: (0..).zip(peers).collect(), pay, validators })
    }
    fn submit(&mut self, block: u64, extrinsic: Extrinsic) -> Result<(), LedgerError> {
        if matches!(&extrinsic.call, Call::SetWeights(weights) if !weights.iter().any(|(_, weight)| *weight > 0.0)) {
            return Err(LedgerError::Other("weights that pay nobody".into()));
        }
        self.1.push((block, extrinsic));
        // The order of submission inside of a block must not matter.
        self.1.sort_by_key(|(block, extrinsic)| (*block, extrinsic.hotkey));
        Ok(())
    }
    fn log(&self) -> Vec<(u64, Extrinsic)> {
        self.1.clone()
    }
}

fn open(settings: &ChainSettings, genesis: Genesis) -> Result<Box<dyn Books>, LedgerError> {
    genesis.check(settings)?;
    Ok(Box::new(Mean(genesis, Vec::new())))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let finished = engine::run_on(&open, Scenario::from_toml(NETWORK, "mean.toml", &[])?)?;
    for report in &finished.reports {
        let pay: Vec<String> = report.peers.iter().map(|peer| format!("{:.3}", peer.incentive)).collect();
        println!("round {}: incentives {}", report.round, pay.join(" "));
    }
    println!("digest of the run: {}", finished.digest);
    Ok(())
}
