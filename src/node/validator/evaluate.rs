//! Computes the losses that a mechanism asks for: each distinct one once, several at a time.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use rand::RngExt;

use super::Validator;
use super::gather::Gathered;
use crate::Uid;
use crate::corpus::{self, PageError, PageId};
use crate::mechanism::{Losses, Measured, Measurement, Pages, Tensors, Whose};
use crate::node::network::Network;
use crate::random::rng;
use crate::training::aggregate::Weighted;
use crate::training::{PseudoGradient, Replica};

/// The results of a round's measurements.
pub struct Evaluation {
    pub losses: Losses,
    /// Pages that were run forward. Stretches of pages count by their length.
    pub forward_passes: u64,
}

/// Measurements made in sequence: those about one peer, or about one set of payloads.
#[derive(Debug, Default, PartialEq)]
struct Job {
    measurements: Vec<Measurement>,
}

impl Validator {
    /// Makes the measurements, in the time that the validator's hardware needs.
    pub async fn evaluate(&self, before: &Arc<Replica>, gathered: &Gathered, wanted: Vec<Measurement>) -> Evaluation {
        let wanted = possible(wanted, |uid| gathered.valid.contains_key(&uid));
        let material = Arc::new(self.material(before, gathered, &wanted));
        let tokens: usize = wanted.iter().map(|what| self.tokens(&what.pages, gathered)).sum();
        let forward_passes = tokens.div_ceil(self.network.core.config.sequence_length) as u64;
        let mut jobs = jobs(wanted).into_iter();
        let mut measured = Vec::new();
        // The measurements that all others are compared with come first.
        if let Some(first) = jobs.next() {
            let cost = self.cost(&first, gathered);
            measured.extend(self.measure(&material, first, cost).await);
        }
        // The validator's hardware does one job after the other.
        let mut due = Duration::ZERO;
        let others = jobs.map(|job| {
            due += self.cost(&job, gathered);
            self.measure(&material, job, due)
        });
        measured.extend(join_all(others).await.into_iter().flatten());
        Evaluation { losses: Losses(measured), forward_passes }
    }

    /// The inputs of the measurements.
    fn material(&self, before: &Arc<Replica>, gathered: &Gathered, wanted: &[Measurement]) -> Material {
        let mut sets: Vec<PageSet> = Vec::new();
        for what in wanted {
            if !sets.iter().any(|set| set.pages == what.pages) {
                sets.push(PageSet {
                    pages: what.pages,
                    ids: self.pages(&what.pages, gathered),
                    stretch: self.stretch(&what.pages),
                    read: OnceLock::new(),
                });
            }
        }
        // Each once: a payload can be large, and be in many measurements.
        let named: BTreeSet<Uid> = wanted.iter().flat_map(|what| &what.payloads).map(|(uid, _)| *uid).collect();
        let payloads = named.into_iter().map(|uid| {
            let upload = &gathered.valid[&uid].upload;
            (uid, (upload.gradient.clone(), self.network.pages_said(upload)))
        });
        let payloads = payloads.collect();
        Material { network: self.network.clone(), before: before.clone(), round: self.round, payloads, sets }
    }

    /// A job's losses, available when the hardware is done with the job.
    async fn measure(&self, material: &Arc<Material>, job: Job, due: Duration) -> Vec<Measured> {
        let material = material.clone();
        let (measured, failed) = self.ports.run(due, move || material.measure(job)).await;
        if let Some(error) = failed {
            self.ports.host.without_page(&error);
        }
        measured
    }

    fn cost(&self, job: &Job, gathered: &Gathered) -> Duration {
        let tokens = job.measurements.iter().map(|what| self.tokens(&what.pages, gathered) as f64);
        self.processor.evaluation(tokens.sum())
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
        let uid = match pages.whose {
            Whose::Peer(uid) => uid,
            Whose::Nobodys => {
                let all = assignment.unassigned(round, expected);
                return corpus::sample(self.secret, Uid::MAX, round, pages.sample, &all);
            }
            Whose::Hidden => {
                let count = ((expected as f64 * pages.sample).round() as usize).clamp(1, expected);
                return assignment.hidden(round, count, &mut rng(self.secret, "hidden pages", 0, round));
            }
        };
        let mut all = assignment.assigned(uid, round);
        let said = gathered.valid.get(&uid).map_or(expected, |received| self.network.pages_said(&received.upload));
        all.extend(assignment.extra(uid, round, said.saturating_sub(expected)));
        all.truncate(said.max(1));
        let sample = pages.sample * expected as f64 / all.len() as f64;
        corpus::sample(self.secret, uid, round, sample.min(1.0), &all)
    }

    /// The tokens to predict in each page of a set. This validator's secret draws the stretch among those that make up
    /// a page.
    fn stretch(&self, pages: &Pages) -> Range<usize> {
        let tokens = self.network.core.config.sequence_length;
        let stretches = ((1.0 / pages.stretch).round() as usize).clamp(1, tokens);
        let who = pages.assigned_to().map_or(u64::MAX, u64::from);
        let at = rng(self.secret, "evaluation stretch", who, self.round).random_range(0..stretches);
        at * tokens / stretches..(at + 1) * tokens / stretches
    }
}

/// The inputs of a round's measurements.
struct Material {
    network: Arc<Network>,
    before: Arc<Replica>,
    round: u64,
    /// Payloads, and the pages that each is said to be from.
    payloads: BTreeMap<Uid, (PseudoGradient, usize)>,
    sets: Vec<PageSet>,
}

/// A set of pages, read on first use.
struct PageSet {
    pages: Pages,
    ids: Vec<PageId>,
    /// The tokens to predict in each page.
    stretch: Range<usize>,
    read: OnceLock<Result<Vec<Vec<u32>>, PageError>>,
}

impl Material {
    /// The pages of a set, or the stretches of them.
    fn read(&self, pages: &Pages) -> &Result<Vec<Vec<u32>>, PageError> {
        let set = self.sets.iter().find(|set| set.pages == *pages).expect("every set that is wanted is there");
        set.read.get_or_init(|| {
            let mut pages = self.network.core.corpus.pages(&set.ids)?;
            // The first token of a stretch is only context, like that of a page.
            let Range { start, end } = set.stretch;
            pages.iter_mut().for_each(|page| *page = page[start..=end].to_vec());
            Ok(pages)
        })
    }

    /// The losses of a job, and the page that could not be read, if any.
    fn measure(&self, job: Job) -> (Vec<Measured>, Option<PageError>) {
        let mut measured = Vec::new();
        let mut failed = None;
        // Measurements of one step are adjacent, so the model is moved once for all of them.
        let is_one_step = |a: &Measurement, b: &Measurement| {
            a.payloads == b.payloads && a.fraction == b.fraction && a.tensors == b.tensors
        };
        for step in job.measurements.chunk_by(is_one_step) {
            let sets: Vec<_> = step.iter().map(|what| self.read(&what.pages)).collect();
            let readable: Vec<&[Vec<u32>]> =
                sets.iter().filter_map(|set| set.as_ref().ok()).map(Vec::as_slice).collect();
            let Measurement { payloads, fraction, tensors, .. } = &step[0];
            let of = |(uid, _): &(Uid, u8)| &self.payloads[uid];
            let parts: Vec<Cow<PseudoGradient>> = payloads.iter().map(|what| part(&of(what).0, *tensors)).collect();
            // Each counts as it does in the round's aggregation.
            let pages: Vec<usize> = payloads.iter().map(|what| of(what).1).collect();
            let counts = self.network.rules.weights.of(&pages);
            let weights = payloads.iter().zip(counts).map(|((_, weight), counts)| weight.saturating_mul(counts));
            let payloads: Vec<Weighted> =
                parts.iter().zip(weights).map(|(payload, weight)| Weighted { payload, weight }).collect();
            let core = &self.network.core;
            let mut losses = core.losses_after(&self.before, self.round, &payloads, *fraction, &readable).into_iter();
            for (what, set) in step.iter().zip(sets) {
                let loss = if set.is_ok() { losses.next() } else { None };
                failed = failed.or_else(|| set.as_ref().err().cloned());
                measured.push(Measured { what: what.clone(), loss });
            }
        }
        (measured, failed)
    }
}

/// The payload in these tensors, zero in the others.
fn part(payload: &PseudoGradient, tensors: Tensors) -> Cow<'_, PseudoGradient> {
    let half = payload.tensors.len().div_ceil(2);
    let left_out = match tensors {
        Tensors::All => return Cow::Borrowed(payload),
        Tensors::FirstHalf => half..payload.tensors.len(),
        Tensors::SecondHalf => 0..half,
    };
    let mut part = payload.clone();
    part.tensors[left_out].iter_mut().for_each(|tensor| tensor.values.fill(0.0));
    Cow::Owned(part)
}

/// Each distinct measurement once, without those whose payloads are missing.
fn possible(wanted: Vec<Measurement>, is_there: impl Fn(Uid) -> bool) -> Vec<Measurement> {
    let mut distinct: Vec<Measurement> = Vec::new();
    for what in wanted {
        if what.payloads.iter().all(|(uid, _)| is_there(*uid)) && !distinct.contains(&what) {
            distinct.push(what);
        }
    }
    distinct
}

/// Groups adjacent measurements about the same peer, or the same set of payloads, into jobs.
fn jobs(wanted: Vec<Measurement>) -> Vec<Job> {
    #[derive(PartialEq)]
    enum About {
        Nobody,
        Peer(Uid),
        Several(Vec<(Uid, u8)>),
    }
    let about = |what: &Measurement| match (&what.payloads[..], what.pages.assigned_to()) {
        ([], None) => About::Nobody,
        ([], Some(uid)) => About::Peer(uid),
        ([(uid, _)], _) => About::Peer(*uid),
        (several, _) => About::Several(several.to_vec()),
    };
    let mut jobs: Vec<Job> = Vec::new();
    for what in wanted {
        match jobs.last_mut() {
            Some(job) if about(&job.measurements[0]) == about(&what) => job.measurements.push(what),
            _ => jobs.push(Job { measurements: vec![what] }),
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::SparseTensor;

    #[test]
    fn a_part_of_a_payload_has_the_others_tensors_at_zero() {
        let tensor = |value| SparseTensor { indices: vec![0], values: vec![value] };
        let whole = PseudoGradient { tensors: (1..=5).map(|value| tensor(value as f32)).collect() };
        let values = |tensors| -> Vec<f32> { part(&whole, tensors).tensors.iter().map(|one| one.values[0]).collect() };
        assert_eq!(values(Tensors::All), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(values(Tensors::FirstHalf), [1.0, 2.0, 3.0, 0.0, 0.0]);
        assert_eq!(values(Tensors::SecondHalf), [0.0, 0.0, 0.0, 4.0, 5.0]);
    }

    #[test]
    fn what_is_asked_for_twice_is_measured_once_and_what_is_not_there_never() {
        let nobodys = Pages::whole(None, 0.1);
        let own = |uid| Pages::whole(Some(uid), 0.1);
        let wanted = vec![
            Measurement::before(nobodys),
            Measurement::before(own(1)),
            Measurement::after_one(1, 0.2, own(1)),
            Measurement::after_one(1, 0.2, nobodys),
            Measurement::before(nobodys),
            Measurement::after_one(9, 0.2, nobodys),
            Measurement::after_all([1, 2], nobodys),
            Measurement::after_all([2], nobodys),
        ];
        let possible = possible(wanted.clone(), |uid| uid < 5);
        assert_eq!(possible, [&wanted[..4], &wanted[6..]].concat());
        let sizes: Vec<usize> = jobs(possible).iter().map(|job| job.measurements.len()).collect();
        assert_eq!(sizes, [1, 3, 1, 1]);
    }
}
