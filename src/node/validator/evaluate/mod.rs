//! Measures what a mechanism asks for: each distinct thing once, several at a time.

mod jobs;
mod material;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rand::RngExt;

use self::jobs::{Job, jobs, possible};
use self::material::{Audited, JobResults, Material, PageSet};
use super::Validator;
use super::gather::Gathered;
use crate::Uid;
use crate::corpus::{self, PageId};
use crate::mechanism::{Contrast, Earlier, Measurement, PASSES_OF_GRADIENT, Pages, Results, Whose};
use crate::node::audit;
use crate::random::rng;
use crate::training::Replica;

/// The results of a round's measurements.
pub struct Evaluation {
    pub results: Results,
    /// Mean loss of the model before the round on the assigned pages among those that were measured.
    pub train_loss: Option<f64>,
    /// Pages that were run forward. Stretches of pages count by their length, and gradients three times.
    pub forward_passes: u64,
}

impl Validator {
    /// Makes the measurements, in the time that the validator's hardware needs.
    pub async fn evaluate(&self, before: &Arc<Replica>, gathered: &Gathered, wanted: Vec<Measurement>) -> Evaluation {
        let wanted = possible(wanted, |uid| gathered.valid.contains_key(&uid));
        let audited = self.audited(before, gathered, &wanted).await;
        let material = Arc::new(self.material(before, gathered, &wanted, audited));
        let jobs = jobs(wanted);
        let tokens = self.forward_tokens(&jobs, gathered);
        let forward_passes = tokens.iter().sum::<usize>().div_ceil(self.network.core.config.sequence_length) as u64;
        let mut jobs = jobs.into_iter().zip(tokens.into_iter().map(|tokens| self.processor.evaluation(tokens as f64)));
        let mut of_jobs = Vec::new();
        // What several jobs need, the first one measures.
        if let Some((first, cost)) = jobs.next() {
            of_jobs.push(self.measure(&material, first, cost).await);
        }
        // The validator's hardware does one job after the other.
        let mut due = Duration::ZERO;
        let others = jobs.map(|(job, cost)| {
            due += cost;
            self.measure(&material, job, due)
        });
        of_jobs.extend(join_all(others).await);
        let losses: Vec<f64> = of_jobs.iter().flat_map(|of_job| &of_job.on_assigned).copied().collect();
        let train_loss = (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64);
        let results = Results(of_jobs.into_iter().flat_map(|of_job| of_job.measured).collect());
        Evaluation { results, train_loss, forward_passes }
    }

    /// What the peers that are audited commit to and show, as soon as they have had their time. Those that could not be asked are left out, and
    /// those that worked on another model: this validator has started over since it drew them.
    async fn audited(&self, before: &Replica, gathered: &Gathered, wanted: &[Measurement]) -> BTreeMap<Uid, Audited> {
        let uids = wanted.iter().filter_map(Measurement::audited);
        let (ports, round, most) = (&self.ports, self.round, self.network.core.state_len());
        let answers = uids.map(async |uid| {
            let upload = &gathered.valid.get(&uid).filter(|received| received.upload.model == before.digest)?.upload;
            let commitment = upload.commitment?;
            let shown = audit::shown(ports, &upload.hotkey, round, most, commitment.before).await?;
            let draw = rng(self.secret, "audited step", uid.into(), round).random();
            Some((uid, Audited { commitment, shown, draw }))
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// The inputs of the measurements.
    fn material(
        &self,
        before: &Arc<Replica>,
        gathered: &Gathered,
        wanted: &[Measurement],
        audited: BTreeMap<Uid, Audited>,
    ) -> Material {
        let mut sets: Vec<PageSet> = Vec::new();
        for pages in wanted.iter().flat_map(Measurement::pages) {
            if !sets.iter().any(|set| set.pages == pages) {
                sets.push(PageSet::new(pages, self.pages(&pages, gathered), self.stretch(&pages)));
            }
        }
        // Each once: a payload can be large, and be in many measurements.
        let beside = wanted.iter().flat_map(|what| match what {
            Measurement::Contrast(contrast) => &contrast.beside[..],
            Measurement::Loss { .. } | Measurement::Audit(_) => &[],
        });
        let named: BTreeSet<Uid> = wanted.iter().flat_map(Measurement::uploads).chain(beside.copied()).collect();
        let payload = |uid| {
            let upload = &gathered.valid.get(&uid)?.upload;
            Some((uid, (upload.gradient.clone(), self.network.pages_said(upload))))
        };
        let payloads = named.into_iter().filter_map(payload).collect();
        let (network, before) = (self.network.clone(), before.clone());
        Material { network, before, round: self.round, payloads, sets, audited }
    }

    /// A job's results, available when the hardware is done with the job.
    async fn measure(&self, material: &Arc<Material>, job: Job, due: Duration) -> JobResults {
        let material = material.clone();
        let results = self.ports.run(due, move || material.measure(job)).await;
        if let Some(error) = &results.failed {
            self.ports.host.without_page(error);
        }
        results
    }

    /// The tokens that each job runs forward. The gradient on pages that are nobody's is computed once.
    fn forward_tokens(&self, jobs: &[Job], gathered: &Gathered) -> Vec<usize> {
        let mut known: Vec<Pages> = Vec::new();
        let mut of_gradient = |pages: Pages| {
            if known.contains(&pages) {
                return 0;
            }
            known.extend(pages.peer().is_none().then_some(pages));
            PASSES_OF_GRADIENT * self.tokens(&pages, gathered)
        };
        let mut of_one = |what: &Measurement| match what {
            Measurement::Loss { pages, .. } => self.tokens(pages, gathered),
            Measurement::Contrast(Contrast { pages, than, .. }) => of_gradient(*pages) + of_gradient(*than),
            Measurement::Audit(uid) => {
                let Some(upload) = gathered.valid.get(uid).map(|received| &received.upload) else { return 0 };
                let (core, pages) = (&self.network.core, self.network.pages_said(upload));
                let steps = upload.commitment.and_then(|commitment| commitment.own_steps());
                let taken_up = core.tokens_to_take_up(core.inner_steps(steps, pages));
                PASSES_OF_GRADIENT * (pages * core.config.sequence_length + taken_up)
            }
        };
        jobs.iter().map(|job| job.measurements.iter().map(&mut of_one).sum()).collect()
    }

    /// Tokens to predict in a set of pages.
    fn tokens(&self, pages: &Pages, gathered: &Gathered) -> usize {
        self.pages(pages, gathered).len() * self.stretch(pages).len()
    }

    /// The pages of a set. This validator's secret draws the sample: as many pages for everybody, among all on which a
    /// peer says it trained.
    fn pages(&self, pages: &Pages, gathered: &Gathered) -> Vec<PageId> {
        let (assignment, round) = (&self.network.assignment, self.round);
        let expected = self.network.rules.training.pages_per_round;
        let (uid, assigned_in, said) = match pages.whose {
            Whose::Peer(uid) => {
                let received = gathered.valid.get(&uid);
                (uid, round, received.map_or(expected, |received| self.network.pages_said(&received.upload)))
            }
            Whose::Earlier(Earlier { uid, round, work }) => {
                let most = self.network.rules.protocol.pages_that_count(expected);
                (uid, round, ((expected as f64 * work).round() as usize).min(most))
            }
            Whose::Nobodys => {
                let all = assignment.unassigned(round, expected);
                return corpus::sample(self.secret, Uid::MAX, round, pages.sample, &all);
            }
            Whose::Hidden => {
                let count = ((expected as f64 * pages.sample).round() as usize).max(1);
                return assignment.hidden(round, count, &mut rng(self.secret, "hidden pages", 0, round));
            }
        };
        let all = assignment.first(uid, assigned_in, said.max(1));
        let sample = pages.sample * expected as f64 / all.len() as f64;
        corpus::sample(self.secret, uid, round, sample.min(1.0), &all)
    }

    /// The tokens to predict in each page of a set. This validator's secret draws the stretch among those that make up
    /// a page.
    fn stretch(&self, pages: &Pages) -> Range<usize> {
        let tokens = self.network.core.config.sequence_length;
        let stretches = ((1.0 / pages.stretch).round() as usize).clamp(1, tokens);
        let who = pages.peer().map_or(u64::MAX, u64::from);
        let at = rng(self.secret, "evaluation stretch", who, self.round).random_range(0..stretches);
        at * tokens / stretches..(at + 1) * tokens / stretches
    }
}
