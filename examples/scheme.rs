//! A scheme of your own: signSGD with momentum (Bernstein et al., arXiv 1802.04434). A peer sends the sign of each value
//! of its momentum, and everybody steps by the mean of the signs: a vote on the direction of each parameter.
//!
//! `cargo run --example scheme` prints the held-out loss of a small network that trains by it.

use std::sync::Arc;

use gauntlet::scenario::{Registry, Scenario};
use gauntlet::training::scheme::{Kept, LocalTraining, Scheme, SchemeSettings};
use gauntlet::training::{Basis, ChunkError, ChunkLayout, PayloadLayout, PayloadShape};
use gauntlet::{engine, model::ParamLayout, settings::Findings};
use serde::{Deserialize, Serialize};

const NETWORK: &str = r#"
name = "signs"
rounds = 40
model = { preset = "nano" }
training = { lr = 3e-3, warmup_rounds = 5, pages_per_round = 4, micro_batch = 4 }
scheme = { kind = "signs", decay = 0.9 }
protocol = { top_peers = 5 }
mechanism = { evaluated_per_round = 2, evaluated_fraction = 0.5 }
peers = [{ count = 5 }]
"#;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SignsSettings {
    /// Decay of the momentum a round.
    decay: f64,
}

impl SchemeSettings for SignsSettings {
    fn check(&self, found: &mut Findings, _pages_per_round: usize) {
        found.below_one("decay", self.decay);
    }
    fn build(&self, params: &ParamLayout) -> Result<Box<dyn Scheme>, ChunkError> {
        // All of each chunk is sent.
        let chunks = ChunkLayout::new(params, 64, 64 * 64)?;
        Ok(Box::new(Signs { shape: chunks.shape(2), chunks: Arc::new(chunks), decay: self.decay as f32 }))
    }
}

struct Signs {
    chunks: Arc<ChunkLayout>,
    shape: PayloadShape,
    decay: f32,
}

impl Scheme for Signs {
    fn local(&self) -> Box<dyn LocalTraining> {
        let (chunks, decay) = (self.chunks.clone(), self.decay);
        Box::new(Kept::new(chunks.total(), move |momentum, evaluator, replica, pages, _round| {
            let gradient = evaluator.gradient(&replica.model, pages).values;
            momentum.iter_mut().zip(gradient).for_each(|(m, g)| *m = decay * *m + (1.0 - decay) * g);
            chunks.whole(&momentum.iter().map(|m| m.signum()).collect::<Vec<f32>>())
        }))
    }
    fn kept_values(&self) -> usize {
        self.chunks.total()
    }
    fn shape(&self) -> &PayloadShape {
        &self.shape
    }
    fn payloads(&self) -> PayloadLayout {
        PayloadLayout { chunks: self.chunks.clone(), basis: Basis::Values }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    registry.schemes = registry.schemes.with::<SignsSettings>("signs", |settings| Box::new(settings));
    let finished = engine::run(Scenario::from_toml_with(registry, NETWORK, "signs.toml", &[])?)?;
    for (report, loss) in finished.reports.iter().filter_map(|report| Some((report, report.loss?))) {
        println!("after round {:2}: held-out loss {loss:.4}", report.round);
    }
    Ok(())
}
