//! An aggregation rule of your own: the trimmed mean of each parameter (Yin et al., arXiv 1803.01498), which a few
//! peers cannot pull anywhere. `cargo run --example aggregation` prints the held-out loss of a small network under it.

use gauntlet::training::aggregate::{Aggregation, RuleSettings, Weighted, total_weight};
use gauntlet::training::{Basis, PayloadLayout};
use gauntlet::{engine, model::Device, scenario::Registry, scenario::Scenario, settings::Findings};
use serde::{Deserialize, Serialize};

const NETWORK: &str = r#"
name = "trimmed"
rounds = 40
model = { preset = "nano" }
training = { lr = 1e-2, warmup_rounds = 5, pages_per_round = 4, micro_batch = 4 }
scheme = { kind = "dense", inner_steps = 2 }
aggregation = { rule = "trimmed", trim = 0.2 }
protocol = { top_peers = 5 }
mechanism = { evaluated_per_round = 2, evaluated_fraction = 0.5 }
peers = [{ count = 5 }]
"#;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TrimmedMeanSettings {
    /// The part of the values that is left out at each end.
    trim: f64,
}

impl RuleSettings for TrimmedMeanSettings {
    fn check(&self, found: &mut Findings) {
        found.require((0.0..0.5).contains(&self.trim), "trim", self.trim, "0 or more and below a half");
    }
    fn works_on(&self, sent: Basis) -> bool {
        sent == Basis::Values
    }
    fn build(&self, payloads: &PayloadLayout, _device: Device) -> Box<dyn Aggregation> {
        Box::new(TrimmedMean { payloads: payloads.clone(), trim: self.trim })
    }
}

struct TrimmedMean {
    payloads: PayloadLayout,
    trim: f64,
}

impl Aggregation for TrimmedMean {
    fn step(&self, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32> {
        let (total, mut after) = (total_weight(payloads) as usize, theta.to_vec());
        for (tensor, chunks) in self.payloads.chunks.tensors.iter().enumerate() {
            let mut sent = vec![Vec::new(); chunks.range.len()];
            for Weighted { payload, weight } in payloads {
                let sparse = &payload.tensors[tensor];
                for (at, (&index, &value)) in sparse.indices.iter().zip(&sparse.values).enumerate() {
                    let place = chunks.corner(at / chunks.k) + chunks.offset(index);
                    sent[place].extend(std::iter::repeat_n(value, (*weight).into()));
                }
            }
            for (theta, values) in after[chunks.range.clone()].iter_mut().zip(&mut sent) {
                // What was not sent is 0. Sorted, so that every node gets the same bits in whatever order payloads come.
                values.resize(total, 0.0);
                values.sort_unstable_by(f32::total_cmp);
                let cut = (self.trim * total as f64) as usize;
                let kept = &values[cut..total - cut];
                let sum: f64 = kept.iter().map(|&value| f64::from(value)).sum();
                *theta -= (rate * sum / kept.len().max(1) as f64) as f32;
            }
        }
        after
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    registry.aggregations = registry.aggregations.with::<TrimmedMeanSettings>("trimmed", |rule| Box::new(rule));
    let finished = engine::run(Scenario::from_toml_with(registry, NETWORK, "trimmed.toml", &[])?)?;
    for (report, loss) in finished.reports.iter().filter_map(|report| Some((report, report.loss?))) {
        println!("after round {:2}: held-out loss {loss:.4}", report.round);
    }
    Ok(())
}
