//! An aggregation rule of your own: the coordinate-wise median, for SparseLoCo on a small network.
//!
//! `cargo run --example aggregation` prints the held-out loss as the network trains by it.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use gauntlet::engine::{Observer, ObserverError, RunOptions, Traffic, simulate};
use gauntlet::model::Device;
use gauntlet::node::RoundReport;
use gauntlet::scenario::{Scenario, World};
use gauntlet::training::PayloadLayout;
use gauntlet::training::aggregate::{Aggregation, Weighted};

const NETWORK: &str = r#"
name = "median"
rounds = 40
model = { preset = "nano" }
training = { lr = 1e-2, warmup_rounds = 5, pages_per_round = 4, micro_batch = 4 }
scheme = { kind = "sparseloco", inner_steps = 2, topk = 1024, bits = 32 }
protocol = { top_peers = 5 }
mechanism = { evaluated_per_round = 2, evaluated_fraction = 0.5 }
peers = [{ count = 5 }]
"#;

/// Each parameter moves by the median of what was sent of it; of an even number the lower middle one.
struct Median(PayloadLayout);

impl Aggregation for Median {
    fn step(&self, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32> {
        let mut after = theta.to_vec();
        for (tensor, chunks) in self.0.chunks.tensors.iter().enumerate() {
            let mut sent = vec![Vec::new(); chunks.range.len()];
            for Weighted { payload, weight } in payloads {
                let sparse = &payload.tensors[tensor];
                for (at, (&index, &value)) in sparse.indices.iter().zip(&sparse.values).enumerate() {
                    let place = chunks.corner(at / chunks.k) + chunks.offset(index);
                    sent[place].extend(std::iter::repeat_n(value, (*weight).into()));
                }
            }
            for (theta, values) in after[chunks.range.clone()].iter_mut().zip(&mut sent) {
                // Sorted, so that the order of the payloads does not matter: every node must get the same bits.
                values.sort_unstable_by(f32::total_cmp);
                let median = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
                *theta -= (rate * f64::from(median)) as f32;
            }
        }
        after
    }
}

struct Printer;

impl Observer for Printer {
    fn round(&mut self, report: &RoundReport, _: Traffic) -> Result<(), ObserverError> {
        if let Some(loss) = report.loss {
            println!("after round {:2}: held-out loss {loss:.4}", report.round);
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scenario = Scenario::from_toml(NETWORK, "median.toml", &[])?;
    let mut network = scenario.network(Device::Cpu)?;
    network.core.aggregate_by(|payloads| Box::new(Median(payloads)));
    let options = RunOptions {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        baseline: false,
        resume: None,
        resume_baseline: None,
        interrupt: Arc::new(AtomicBool::new(false)),
    };
    let world = World { scenario, network: Arc::new(network) };
    simulate(Arc::new(world), options, Arc::new(Mutex::new(Printer)))?;
    Ok(())
}
