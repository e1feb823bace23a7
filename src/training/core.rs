//! The training core: everything a node computes on a model, on one device.
//!
//! Peers in sync share one copy of the parameters, and an aggregation that many of them apply is computed once:
//! [`TrainingCore::advance`] remembers replicas by what they were made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use super::PseudoGradient;
use super::aggregate;
use super::baseline::Baseline;
use super::gradient::{self, Gradient};
use super::schedule::Schedule;
use super::scheme::demo::{ChunkError, ChunkLayout, Demo};
use crate::corpus::{Corpus, PageId};
use crate::digest::Digest;
use crate::model::{Device, Llama, LlamaConfig, ParamLayout};
use crate::scenario::Scenario;

/// A node's copy of the model.
pub struct Replica {
    /// Digest of `theta`.
    pub digest: Digest,
    /// All parameters, in the layout's order.
    pub theta: Vec<f32>,
    /// The same, as a Burn module on the core's device.
    pub model: Llama,
}

/// How many finished aggregations are remembered; honest nodes are at most a few rounds apart.
const REMEMBERED: usize = 8;

/// Model, data, scheme and device of a run.
pub struct TrainingCore {
    pub config: LlamaConfig,
    pub layout: ParamLayout,
    pub schedule: Schedule,
    pub corpus: Corpus,
    demo: Demo,
    device: Device,
    micro_batch: usize,
    beta_fraction: f64,
    advanced: Mutex<Advanced>,
}

/// Replicas by the digest of (replica before, round, payloads), and the order in which they came.
#[derive(Default)]
struct Advanced {
    replicas: BTreeMap<Digest, Arc<OnceLock<Arc<Replica>>>>,
    order: std::collections::VecDeque<Digest>,
}

impl TrainingCore {
    /// The core of a scenario, with its corpus opened.
    ///
    /// # Errors
    /// A chunk size or top-k that DeMo cannot use.
    pub fn new(scenario: &Scenario, config: LlamaConfig, corpus: Corpus, device: Device) -> Result<Self, ChunkError> {
        let layout = config.layout();
        let demo = Demo::new(&scenario.demo, &layout)?;
        Ok(Self {
            schedule: Schedule::new(&scenario.training, scenario.rounds),
            micro_batch: scenario.training.micro_batch,
            beta_fraction: scenario.gauntlet.beta_fraction,
            advanced: Mutex::default(),
            config,
            layout,
            corpus,
            demo,
            device,
        })
    }

    /// How tensors are cut, and how many coefficients of each chunk are sent.
    pub fn chunks(&self) -> &ChunkLayout {
        self.demo.layout()
    }

    /// A replica of these parameters.
    pub fn replica(&self, theta: Vec<f32>) -> Arc<Replica> {
        let model = Llama::from_flat(&self.config, &theta, &self.device);
        Arc::new(Replica { digest: Digest::of_f32(&theta), theta, model })
    }

    /// Mean gradient of these pages.
    pub fn gradient(&self, replica: &Replica, pages: &[PageId]) -> Gradient {
        let pages: Vec<Vec<u32>> = pages.iter().map(|&page| self.corpus.page(page)).collect();
        gradient::gradient(&replica.model, &pages, self.micro_batch)
    }

    /// DeMo's step of a round: `momentum` takes up the gradient and gives off what is sent.
    pub fn encode(&self, round: u64, momentum: &mut [f32], gradient: &[f32]) -> PseudoGradient {
        self.demo.encode(momentum, gradient, self.schedule.lr(round) as f32, round)
    }

    /// Mean loss of a model on some pages, in nats a token.
    pub fn loss(&self, model: &Llama, pages: &[Vec<u32>]) -> f64 {
        gradient::loss(model, pages, self.micro_batch)
    }

    /// Central AdamW from a replica, on this core's device.
    pub fn baseline(&self, from: &Replica, scenario: &Scenario) -> Baseline {
        let (settings, rounds) = (&scenario.baseline, scenario.schedule_rounds());
        Baseline::new(&self.config, &from.theta, settings, rounds, self.micro_batch, &self.device)
    }

    /// Mean losses of several sets of pages after a step of `beta` along one peer's pseudo-gradient (LossScore, paper
    /// section 3).
    pub fn losses_after<const N: usize>(
        &self,
        replica: &Replica,
        round: u64,
        contribution: &PseudoGradient,
        sets: [&[Vec<u32>]; N],
    ) -> [f64; N] {
        let signs = aggregate::aggregate(self.chunks(), &[contribution]);
        let beta = (self.beta_fraction * self.schedule.lr(round)) as f32;
        let stepped = Llama::from_flat(&self.config, &aggregate::apply(&replica.theta, &signs, beta), &self.device);
        sets.map(|pages| gradient::loss(&stepped, pages, self.micro_batch))
    }

    /// The replica after a round's aggregation. `payloads` names the pseudo-gradients that `contributions` would
    /// decode; they are asked for only by the first caller.
    pub fn advance(
        &self,
        before: &Arc<Replica>,
        round: u64,
        payloads: &[Digest],
        contributions: impl FnOnce() -> Vec<Arc<PseudoGradient>>,
    ) -> Arc<Replica> {
        let key = Digest::of_parts(
            [&before.digest.0[..], &round.to_le_bytes()].into_iter().chain(payloads.iter().map(|digest| &digest.0[..])),
        );
        let cell = self.advanced.lock().expect("no panic while held").cell(key);
        cell.get_or_init(|| {
            let contributions = contributions();
            let references: Vec<&PseudoGradient> = contributions.iter().map(Arc::as_ref).collect();
            let signs = aggregate::aggregate(self.chunks(), &references);
            self.replica(aggregate::apply(&before.theta, &signs, self.schedule.lr(round) as f32))
        })
        .clone()
    }
}

impl Advanced {
    fn cell(&mut self, key: Digest) -> Arc<OnceLock<Arc<Replica>>> {
        if let Some(cell) = self.replicas.get(&key) {
            return cell.clone();
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.replicas.remove(&oldest);
        }
        self.order.push_back(key);
        self.replicas.entry(key).or_default().clone()
    }
}
