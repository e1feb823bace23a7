//! The training core: everything a node computes on a model, on one device.
//!
//! Peers in sync share one copy of the parameters, and an aggregation that many of them apply is computed once:
//! [`TrainingCore::advance`] remembers replicas by what they were made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use super::baseline::Baseline;
use super::schedule::Schedule;
use super::scheme::{self, ChunkError, LocalTraining, Round, Scheme};
use super::{Evaluator, PayloadShape, PseudoGradient};
use crate::corpus::{Corpus, PageError, PageId};
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

/// Bytes of the host that remembered replicas may take, where there are more than two.
const ROOM: usize = 4 << 30;

/// How many finished aggregations of a model with so many parameters are remembered; honest nodes are at most a few
/// rounds apart, and one that is further behind computes an aggregation again. On a device beside the host each is a
/// model in its memory.
pub fn remembered(device: &Device, parameters: usize) -> usize {
    match device {
        // A replica is its flat parameters and the model.
        Device::Cpu => (ROOM / (8 * parameters.max(1))).clamp(2, 8),
        _ => 2,
    }
}

/// Model, data, scheme and device of a run.
pub struct TrainingCore {
    pub config: LlamaConfig,
    pub layout: ParamLayout,
    pub schedule: Schedule,
    pub corpus: Corpus,
    scheme: Box<dyn Scheme>,
    evaluator: Evaluator,
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
    /// A chunk size or top-k that the scheme cannot use.
    pub fn new(scenario: &Scenario, config: LlamaConfig, corpus: Corpus, device: Device) -> Result<Self, ChunkError> {
        let layout = config.layout();
        Ok(Self {
            schedule: Schedule::new(&scenario.training, scenario.rounds),
            scheme: scheme::from_settings(&scenario.scheme, &layout, device)?,
            evaluator: Evaluator { config: config.clone(), device, micro_batch: scenario.training.micro_batch },
            advanced: Mutex::default(),
            config,
            layout,
            corpus,
        })
    }

    /// What every valid payload looks like.
    pub fn shape(&self) -> &PayloadShape {
        self.scheme.shape()
    }

    /// The training state of a peer that has not trained yet.
    pub fn local(&self) -> Box<dyn LocalTraining> {
        self.scheme.local()
    }

    /// How far a round moves a parameter.
    pub fn step_size(&self, round: u64) -> f64 {
        self.scheme.step_size(self.schedule.lr(round))
    }

    /// A replica of these parameters.
    pub fn replica(&self, theta: Vec<f32>) -> Arc<Replica> {
        let model = self.evaluator.model(&theta);
        Arc::new(Replica { digest: Digest::of_f32(&theta), theta, model })
    }

    /// A peer's work of a round: what it sends of these pages.
    ///
    /// # Errors
    /// A page that cannot be read; `local` is as it was.
    pub fn train(
        &self,
        local: &mut dyn LocalTraining,
        replica: &Replica,
        pages: &[PageId],
        round: u64,
    ) -> Result<PseudoGradient, PageError> {
        let pages = self.corpus.pages(pages)?;
        let round = Round { number: round, lr: self.schedule.lr(round) };
        Ok(local.train(&self.evaluator, replica, &pages, round))
    }

    /// Mean loss of a model on some pages, in nats a token.
    pub fn loss(&self, model: &Llama, pages: &[Vec<u32>]) -> f64 {
        self.evaluator.loss(model, pages)
    }

    /// Central AdamW from a replica, on this core's device.
    pub fn baseline(&self, from: &Replica, scenario: &Scenario) -> Baseline {
        let (settings, rounds) = (&scenario.baseline, scenario.schedule_rounds());
        let Evaluator { config, device, micro_batch } = &self.evaluator;
        Baseline::new(config, &from.theta, settings, rounds, *micro_batch, device)
    }

    /// Mean losses of several sets of pages after a part of the step that a weighted set of payloads would make; none leave
    /// the model as it is. Of one payload and a small part this is what a LossScore is made of (paper, section 3).
    pub fn losses_after(
        &self,
        replica: &Replica,
        round: u64,
        payloads: &[(&PseudoGradient, u8)],
        fraction: f64,
        sets: &[&[Vec<u32>]],
    ) -> Vec<f64> {
        let loss = |model: &Llama| sets.iter().map(|pages| self.evaluator.loss(model, pages)).collect();
        if payloads.is_empty() {
            return loss(&replica.model);
        }
        let lr = self.schedule.lr(round);
        let payloads: Vec<&PseudoGradient> = payloads.iter().map(|(payload, _)| *payload).collect();
        loss(&self.scheme.stepped(&self.evaluator, replica, lr, &payloads, fraction))
    }

    /// The replica after a round's aggregation, the one before if nobody is included. `payloads` names the
    /// pseudo-gradients that `contributions` would decode; they are asked for only by the first caller.
    pub fn advance(
        &self,
        before: &Arc<Replica>,
        round: u64,
        payloads: &[Digest],
        contributions: impl FnOnce() -> Vec<Arc<PseudoGradient>>,
    ) -> Arc<Replica> {
        if payloads.is_empty() {
            // Nobody moves the model, whatever the scheme: a copy of a large one is not for nothing.
            return before.clone();
        }
        let key = Digest::of_parts(
            [&before.digest.0[..], &round.to_le_bytes()].into_iter().chain(payloads.iter().map(|digest| &digest.0[..])),
        );
        let most = remembered(&self.evaluator.device, self.layout.total());
        let cell = self.advanced.lock().expect("no panic while held").cell(key, most);
        cell.get_or_init(|| {
            let contributions = contributions();
            let references: Vec<&PseudoGradient> = contributions.iter().map(Arc::as_ref).collect();
            self.replica(self.scheme.step(&before.theta, self.schedule.lr(round), &references, 1.0))
        })
        .clone()
    }
}

impl Advanced {
    /// The place of a replica, of `most` that are remembered.
    fn cell(&mut self, key: Digest, most: usize) -> Arc<OnceLock<Arc<Replica>>> {
        if let Some(cell) = self.replicas.get(&key) {
            return cell.clone();
        }
        if self.order.len() == most
            && let Some(oldest) = self.order.pop_front()
        {
            self.replicas.remove(&oldest);
        }
        self.order.push_back(key);
        self.replicas.entry(key).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Network;
    use crate::scenario;

    #[test]
    fn a_round_without_payloads_leaves_the_model_under_every_scheme() {
        for (kind, more) in
            [("demo", "seed=2"), ("sparseloco", "scheme.inner_steps=1"), ("dense", "scheme.inner_steps=1")]
        {
            let overrides = ["model.preset=nano", &format!("scheme={kind}"), more].map(String::from);
            let scenario = scenario::load("scenarios/honest.toml", &overrides).unwrap();
            let network = Network::open(scenario, Device::Cpu).unwrap();
            let (core, before) = (&network.core, &network.genesis);
            assert!(Arc::ptr_eq(before, &core.advance(before, 7, &[], Vec::new)), "{kind}");
            // Which is what the scheme itself would make of it.
            assert!(core.scheme.step(&before.theta, core.schedule.lr(7), &[], 1.0) == before.theta, "{kind}");
        }
    }
}
