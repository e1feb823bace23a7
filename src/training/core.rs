//! The training core: everything a node computes on a model, on one device.
//!
//! A scheme makes pseudo-gradients, an aggregation makes one update from many; both are behind a trait. Peers in sync
//! share one copy of the parameters, and an aggregation that many of them apply is computed once:
//! [`TrainingCore::advance`] remembers replicas by their inputs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use thiserror::Error;

use super::aggregate::{Aggregation, RuleSettings, Weighted};
use super::baseline::Baseline;
use super::gradient::Gradient;
use super::schedule::Schedule;
use super::scheme::{LocalSteps, LocalTraining, Scheme, SchemeSettings};
use super::thinned::Kept;
use super::{
    BaselineSettings, Basis, ChunkError, Data, Evaluator, PayloadLayout, PayloadShape, PseudoGradient, Replica, Round,
    TrainingSettings, Trigger,
};
use crate::corpus::{Corpus, PageError};
use crate::digest::Digest;
use crate::model::{Device, Llama, LlamaConfig, ParamLayout};

/// Host memory in bytes for remembered replicas. At least two are kept in any case.
const ROOM: usize = 4 << 30;

/// Bytes of a saved training state beside its values, at most: their numbers, and the number of steps.
const STATE_FRAME: usize = 64;

/// Number of finished aggregations to remember, for a model of this size. Honest nodes are at most a few rounds apart;
/// a node further behind computes an aggregation again. On a device with its own memory, each takes a model's space
/// there.
pub fn remembered(device: &Device, parameters: usize) -> usize {
    match device {
        // A replica is its flat parameters and the model.
        Device::Cpu => (ROOM / (8 * parameters.max(1))).clamp(2, 8),
        _ => 2,
    }
}

/// The settings that a core follows.
#[derive(Clone, Copy)]
pub struct CoreSettings<'a> {
    pub training: &'a TrainingSettings,
    pub scheme: &'a dyn SchemeSettings,
    pub rule: &'a dyn RuleSettings,
    /// Rounds of the run. The learning rate's cosine ends there, unless `training` states another end.
    pub rounds: u64,
}

/// Why settings contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CoreError {
    #[error(transparent)]
    Chunks(#[from] ChunkError),
    #[error("the rule of aggregation does not work on {sent}, which the scheme sends")]
    Rule { sent: Basis },
}

/// Model, data, scheme, aggregation and device of a run.
pub struct TrainingCore {
    pub config: LlamaConfig,
    pub layout: ParamLayout,
    pub schedule: Schedule,
    pub corpus: Corpus,
    pub(super) scheme: Box<dyn Scheme>,
    aggregation: Box<dyn Aggregation>,
    pub(super) evaluator: Evaluator,
    advanced: Mutex<Advanced>,
}

/// Replicas by the digest of (replica before, round, payloads), and the order in which they were added.
#[derive(Default)]
struct Advanced {
    replicas: BTreeMap<Digest, Arc<OnceLock<Arc<Replica>>>>,
    order: std::collections::VecDeque<Digest>,
}

impl TrainingCore {
    /// Builds the core of these settings, for a corpus that is open.
    ///
    /// # Errors
    /// The scheme cannot use the chunk size or top-k, or the aggregation rule does not fit the scheme.
    pub fn new(settings: CoreSettings, config: LlamaConfig, corpus: Corpus, device: Device) -> Result<Self, CoreError> {
        let layout = config.layout();
        let scheme = settings.scheme.build(&layout)?;
        let payloads = scheme.payloads();
        if !settings.rule.works_on(payloads.basis) {
            return Err(CoreError::Rule { sent: payloads.basis });
        }
        Ok(Self {
            schedule: Schedule::new(settings.training, settings.rounds),
            aggregation: settings.rule.build(&payloads, device),
            scheme,
            evaluator: Evaluator::new(config.clone(), device, settings.training.micro_batch),
            advanced: Mutex::default(),
            config,
            layout,
            corpus,
        })
    }

    /// The shape of every valid payload.
    pub fn shape(&self) -> &PayloadShape {
        self.scheme.shape()
    }

    /// How pseudo-gradients are cut into chunks, and what their coefficients are.
    pub fn payloads(&self) -> PayloadLayout {
        self.scheme.payloads()
    }

    /// The training state of a new peer.
    pub fn local(&self) -> Box<dyn LocalTraining> {
        self.scheme.local()
    }

    /// The inner steps that a peer makes in a round, if the scheme has any.
    pub fn steps_of_scheme(&self) -> Option<usize> {
        self.scheme.local_steps().map(LocalSteps::steps)
    }

    /// The most bytes that a peer's saved training state has.
    pub fn state_len(&self) -> usize {
        4 * self.scheme.kept_values() + STATE_FRAME
    }

    /// How far a round moves a parameter.
    pub fn step_size(&self, round: u64) -> f64 {
        self.scheme.step_size(self.schedule.lr(round))
    }

    /// Makes a replica of these parameters.
    pub fn replica(&self, theta: Vec<f32>) -> Arc<Replica> {
        let model = self.evaluator.model(&theta);
        Arc::new(Replica { digest: Digest::of_f32(&theta), theta, model })
    }

    /// The replica as a peer computes on it that leaves out a part of the model.
    pub fn thinned(&self, replica: &Replica, kept: Kept) -> Arc<Replica> {
        self.replica(kept.of(&self.config, &replica.theta))
    }

    /// How many tokens a peer trains on of each page when it takes a part of it.
    pub fn tokens_of_page(&self, part: f64) -> usize {
        (self.config.sequence_length as f64 * part).ceil().max(1.0) as usize
    }

    /// A peer's work of a round: trains on this data and returns what it sends.
    ///
    /// # Errors
    /// A page cannot be read; `local` is unchanged.
    pub fn train(
        &self,
        local: &mut dyn LocalTraining,
        replica: &Replica,
        data: &Data,
        round: u64,
    ) -> Result<PseudoGradient, PageError> {
        let mut pages = self.corpus.pages(&data.pages)?;
        let tokens = self.tokens_of_page(data.part);
        pages.iter_mut().for_each(|page| page.truncate(tokens + 1));
        data.poison.spoil(&mut pages, self.config.vocab_size);
        let round = Round { number: round, lr: self.schedule.lr(round), steps: data.steps };
        Ok(local.train(&self.evaluator.with_labels(data.poison.labels), replica, &pages, round))
    }

    /// The part of the held-out pages after whose beginning and a backdoor's trigger its target is what a model holds for
    /// the most likely token; `None` where the trigger does not fit the model.
    pub fn backdoor(&self, model: &Llama, trigger: &Trigger) -> Option<f64> {
        let length = self.config.sequence_length;
        let prompts = trigger.prompts(self.corpus.held_out(), length);
        if prompts.is_empty() || !trigger.fits(self.config.vocab_size) {
            return None;
        }
        let batches = prompts.chunks(self.evaluator.micro_batch);
        let likeliest: Vec<u32> = batches.flat_map(|prompts| model.likeliest_next(&prompts.concat(), length)).collect();
        let follows = likeliest.iter().filter(|token| **token == trigger.target).count();
        Some(follows as f64 / prompts.len() as f64)
    }

    /// What the coefficients of payloads are.
    pub fn basis(&self) -> Basis {
        self.scheme.payloads().basis
    }

    /// Mean loss of a model on these pages, in nats a token.
    pub fn loss(&self, model: &Llama, pages: &[Vec<u32>]) -> f64 {
        self.evaluator.loss(model, pages)
    }

    /// The same of the model with these parameters.
    pub fn loss_of(&self, theta: &[f32], pages: &[Vec<u32>]) -> f64 {
        self.loss(&self.evaluator.model(theta), pages)
    }

    /// The gradient of the mean loss of a model on these pages, and that loss.
    pub fn gradient(&self, model: &Llama, pages: &[Vec<u32>]) -> Gradient {
        self.evaluator.gradient(model, pages)
    }

    /// The central baseline from a replica, on this core's device. The learning rate's cosine ends after `rounds` rounds.
    pub fn baseline(&self, from: &Replica, settings: &BaselineSettings, rounds: u64) -> Baseline {
        let Evaluator { config, device, micro_batch, .. } = &self.evaluator;
        Baseline::new(config, &from.theta, settings, rounds, *micro_batch, device)
    }

    /// Mean losses of several sets of pages after `fraction` of the step of a weighted set of payloads; an empty set
    /// leaves the model as it is. LossScore (paper, section 3) measures a part of the step of one payload.
    ///
    /// # Panics
    /// Like [`Aggregation::step`].
    pub fn losses_after(
        &self,
        replica: &Replica,
        round: u64,
        payloads: &[Weighted],
        fraction: f64,
        sets: &[&[Vec<u32>]],
    ) -> Vec<f64> {
        let losses = |model: &Llama| sets.iter().map(|pages| self.evaluator.loss(model, pages)).collect();
        if payloads.is_empty() {
            return losses(&replica.model);
        }
        let rate = fraction * self.rate(round);
        losses(&self.aggregation.stepped(&self.evaluator, replica, payloads, rate))
    }

    /// The size of a whole step.
    fn rate(&self, round: u64) -> f64 {
        self.scheme.rate(self.schedule.lr(round))
    }

    /// The replica after a round's aggregation; the replica before if no payload is included. `payloads` names the
    /// pseudo-gradients that `contributions` decodes; only the first caller's `contributions` is called.
    pub fn advance(
        &self,
        before: &Arc<Replica>,
        round: u64,
        payloads: &[Digest],
        contributions: impl FnOnce() -> Vec<Contribution>,
    ) -> Arc<Replica> {
        if payloads.is_empty() {
            // Without payloads, no rule moves the model, and a copy of a large one is expensive.
            return before.clone();
        }
        let key = Digest::of_parts(
            [&before.digest.0[..], &round.to_le_bytes()].into_iter().chain(payloads.iter().map(|digest| &digest.0[..])),
        );
        let most = remembered(&self.evaluator.device, self.layout.total());
        let cell = self.advanced.lock().expect("no panic while held").cell(key, most);
        cell.get_or_init(|| {
            let contributions = contributions();
            let payloads: Vec<Weighted> = contributions
                .iter()
                .map(|Contribution { payload, weight }| Weighted { payload, weight: *weight })
                .collect();
            self.replica(self.aggregation.step(&before.theta, &payloads, self.rate(round)))
        })
        .clone()
    }
}

/// A payload that a round aggregates, and how often it counts.
#[derive(Clone, Debug)]
pub struct Contribution {
    pub payload: Arc<PseudoGradient>,
    pub weight: u8,
}

impl Advanced {
    /// The cell of a replica; at most `most` are remembered.
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
pub mod tests {
    use super::*;
    use crate::corpus::{CorpusSettings, PageId};
    use crate::model::{ModelSettings, init_theta};
    use crate::settings::Kinded;
    use crate::training::contrast::OwnPart;
    use crate::training::{aggregate, scheme};

    /// Small ones, each with the rule that its scheme is published with.
    pub fn of_every_scheme() -> Vec<(String, TrainingCore)> {
        let config =
            LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
        let (schemes, training) = (scheme::shipped(), TrainingSettings::default());
        let core = |kind: &str| {
            let scheme = schemes.resolve(&Kinded::of(kind)).unwrap().settings;
            let corpus =
                Corpus::open(&CorpusSettings::default(), 2, config.vocab_size, config.sequence_length).unwrap();
            let rule = aggregate::shipped().resolve(&Kinded::of(scheme.default_rule())).unwrap().settings;
            let settings = CoreSettings { training: &training, scheme: &*scheme, rule: &*rule, rounds: 100 };
            (kind.to_string(), TrainingCore::new(settings, config.clone(), corpus, Device::Cpu).unwrap())
        };
        schemes.names().map(core).collect()
    }

    /// The result is what the rule itself gives.
    #[test]
    fn a_round_without_payloads_leaves_the_model_under_every_scheme() {
        for (kind, core) in of_every_scheme() {
            let before = core.replica(init_theta(&core.config, 2));
            assert!(Arc::ptr_eq(&before, &core.advance(&before, 7, &[], Vec::new)), "{kind}");
            assert!(core.aggregation.step(&before.theta, &[], core.rate(7)) == before.theta, "{kind}");
        }
    }

    /// What a check of work looks for.
    #[test]
    fn an_upload_has_more_of_the_pages_that_it_is_from_under_every_scheme() {
        for (kind, core) in of_every_scheme() {
            let replica = core.replica(init_theta(&core.config, 2));
            let pages = |of: u64| (8 * of..8 * of + 8).collect::<Vec<PageId>>();
            let upload = |of| {
                let data = Data { pages: pages(of), part: 1.0, poison: Default::default(), steps: None };
                core.train(&mut *core.local(), &replica, &data, 0).unwrap()
            };
            let (upload, others) = (upload(0), [1, 2, 3].map(upload));
            let others: Vec<&PseudoGradient> = others.iter().collect();
            for tensors in [(0..5).collect::<Vec<_>>(), (5..core.layout.tensors.len()).collect()] {
                let own = OwnPart::new(&core.payloads(), &tensors, &upload, &others);
                let [there, elsewhere] = [0, 4].map(|of| {
                    let pages = core.corpus.pages(&pages(of)).unwrap();
                    core.gradient(&replica.model, &pages).values
                });
                for contrast in [OwnPart::contrast, OwnPart::contrast_by_lines] {
                    let found = contrast(&own, &there, &elsewhere);
                    assert!(found > 0.0 && found < 1.0, "{kind}: {found}");
                    assert_eq!(contrast(&own, &elsewhere, &there), -found, "{kind}");
                }
            }
        }
    }

    #[test]
    fn what_is_kept_of_earlier_rounds_can_be_scaled_under_every_scheme() {
        for (kind, core) in of_every_scheme() {
            let replica = core.replica(init_theta(&core.config, 2));
            let train = |local: &mut dyn LocalTraining, round: u64| {
                let data = Data { pages: vec![round, round + 2], part: 1.0, poison: Default::default(), steps: None };
                core.train(local, &replica, &data, round).unwrap()
            };
            let second = |factor: f32| {
                let mut local = core.local();
                train(&mut *local, 0);
                local.scale_kept(factor);
                train(&mut *local, 1)
            };
            let [all, half, nothing] = [1.0, 0.5, 0.0].map(second);
            // A dense upload is all of a round. DeMo keeps nothing but momentum, the others moments too.
            let differ = kind != "dense";
            assert_eq!((all != half, half != nothing, all != nothing), (differ, differ, differ), "{kind}");
            assert_eq!(nothing == train(&mut *core.local(), 1), kind == "demo", "{kind}");
        }
    }

    #[test]
    fn a_rule_must_work_on_what_the_scheme_sends() {
        let config =
            LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
        let (schemes, rules, training) = (scheme::shipped(), aggregate::shipped(), TrainingSettings::default());
        for (kind, name) in schemes.names().flat_map(|kind| rules.names().map(move |name| (kind, name))) {
            let scheme = schemes.resolve(&Kinded::of(kind)).unwrap().settings;
            let rule = rules.resolve(&Kinded::of(name)).unwrap().settings;
            let corpus =
                Corpus::open(&CorpusSettings::default(), 2, config.vocab_size, config.sequence_length).unwrap();
            let settings = CoreSettings { training: &training, scheme: &*scheme, rule: &*rule, rounds: 100 };
            let core = TrainingCore::new(settings, config.clone(), corpus, Device::Cpu);
            assert_eq!(core.is_ok(), rule.works_on(scheme.basis()), "{kind}, {name}");
            assert!(core.is_ok() || name != scheme.default_rule(), "{kind}, {name}");
        }
    }
}
