//! The inputs of a round's measurements, and the measurements.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::jobs::Job;
use crate::Uid;
use crate::corpus::{PageError, PageId};
use crate::digest::Digest;
use crate::mechanism::{Contrast, Each, Margin, Measured, Measurement, Outcome, Pages, Value};
use crate::node::audit::Shown;
use crate::node::network::Network;
use crate::training::aggregate::Weighted;
use crate::training::contrast::OwnPart;
use crate::training::gradient::Gradient;
use crate::training::{Data, Poison, PseudoGradient, Replica};
use crate::transport::wire::{self, Commitment};

/// The inputs of a round's measurements.
pub struct Material {
    /// The run that they are of.
    pub network: Arc<Network>,
    /// The model before the round.
    pub before: Arc<Replica>,
    /// The round whose uploads are measured.
    pub round: u64,
    /// Payloads, and the pages that each is said to be from.
    pub payloads: BTreeMap<Uid, (PseudoGradient, usize)>,
    /// All pages that are asked for.
    pub sets: Vec<PageSet>,
    /// The audited peers.
    pub audited: BTreeMap<Uid, Audited>,
}

/// A peer whose work is done again.
pub struct Audited {
    pub commitment: Commitment,
    pub shown: Shown,
    /// Chooses, in secret, the step in which its state must take up work.
    pub draw: u64,
}

/// A set of pages, read on first use.
pub struct PageSet {
    /// What a mechanism calls it.
    pub pages: Pages,
    ids: Vec<PageId>,
    /// The tokens to predict in each page.
    stretch: Range<usize>,
    read: OnceLock<Result<Vec<Vec<u32>>, PageError>>,
    /// The gradient on pages that are nobody's, which several measurements need. That of a peer's pages is computed for each
    /// measurement, because it is as large as the model, and seldom needed twice.
    gradient: OnceLock<Vec<f32>>,
}

impl PageSet {
    /// Not read yet.
    pub fn new(pages: Pages, ids: Vec<PageId>, stretch: Range<usize>) -> Self {
        Self { pages, ids, stretch, read: OnceLock::new(), gradient: OnceLock::new() }
    }

    /// Whether its loss is one of training: on whole pages of a peer.
    fn is_assigned(&self) -> bool {
        self.pages.assigned_to().is_some() && self.pages.stretch == 1.0
    }
}

/// What a job has found.
#[derive(Default)]
pub struct JobResults {
    pub measured: Vec<Measured>,
    /// Losses of the model before the round on whole assigned pages.
    pub on_assigned: Vec<f64>,
    /// A page that could not be read.
    pub failed: Option<PageError>,
}

impl Material {
    /// The results of a job.
    pub fn measure(&self, job: Job) -> JobResults {
        let mut results = JobResults::default();
        // Losses after one step are adjacent: the model is moved once for all of them.
        for of_one in job.measurements.chunk_by(are_after_one_step) {
            let values = match &of_one[0] {
                Measurement::Loss { payloads, fraction, .. } => {
                    self.losses(payloads, *fraction, of_one, &mut results.on_assigned)
                }
                Measurement::Contrast(what) => vec![self.contrast(what, &mut results.on_assigned).map(Some)],
                Measurement::Audit(uid) => vec![self.audit(*uid).map(|outcome| outcome.map(Value::Audit))],
            };
            let failed = values.iter().find_map(|value| value.as_ref().err());
            results.failed = results.failed.or(failed.cloned());
            let measured = of_one.iter().zip(values);
            let measured = measured.map(|(what, value)| Measured { what: what.clone(), value: value.ok().flatten() });
            results.measured.extend(measured);
        }
        results
    }

    /// The losses after one step.
    fn losses(
        &self,
        payloads: &[(Uid, u8)],
        fraction: f64,
        wanted: &[Measurement],
        on_assigned: &mut Vec<f64>,
    ) -> Vec<Result<Option<Value>, PageError>> {
        let sets: Vec<&PageSet> = wanted.iter().flat_map(Measurement::pages).map(|pages| self.set(&pages)).collect();
        let pages: Vec<_> = sets.iter().map(|set| self.read(set)).collect();
        let readable: Vec<&[Vec<u32>]> = pages.iter().filter_map(|pages| pages.ok()).collect();
        let of = |(uid, _): &(Uid, u8)| &self.payloads[uid];
        // Each counts as it does in the round's aggregation.
        let said: Vec<usize> = payloads.iter().map(|what| of(what).1).collect();
        let counts = self.network.rules.weights.of(&said);
        let weighted = payloads.iter().zip(counts);
        let weighted = weighted
            .map(|(what, counts)| Weighted { payload: &of(what).0, weight: what.1.saturating_mul(counts) })
            .collect::<Vec<_>>();
        let core = &self.network.core;
        let mut losses = core.losses_after(&self.before, self.round, &weighted, fraction, &readable).into_iter();
        let mut loss = |(pages, set): (Result<_, &PageError>, &PageSet)| {
            pages.map_err(Clone::clone)?;
            let loss = losses.next().expect("a loss of each set that was read");
            on_assigned.extend((payloads.is_empty() && set.is_assigned()).then_some(loss));
            Ok(Some(Value::Loss(loss)))
        };
        pages.into_iter().zip(sets).map(&mut loss).collect()
    }

    /// How much more of some pages than of others there is in an upload.
    fn contrast(
        &self,
        Contrast { uid, beside, each, pages, than }: &Contrast,
        on_assigned: &mut Vec<f64>,
    ) -> Result<Value, PageError> {
        // What all measurements share comes first, even if the rest fails.
        let than = self.gradient(than, on_assigned)?;
        let core = &self.network.core;
        let payload = |uid: &Uid| self.payloads.get(uid).map(|(payload, _)| payload);
        let others: Vec<&PseudoGradient> = beside.iter().filter(|other| *other != uid).filter_map(payload).collect();
        let upload = payload(uid).expect("a measurement is made of uploads that are there");
        let pages = self.gradient(pages, on_assigned)?;
        let tensors = &core.layout.tensors;
        let payloads = core.payloads();
        let margin = |of: &[usize]| {
            let own = OwnPart::new(&payloads, of, upload, &others);
            let value = match each {
                Each::Model | Each::Matrix => own.contrast(&pages, &than),
                Each::Line => own.contrast_by_lines(&pages, &than),
            };
            Margin { weights: of.iter().map(|tensor| tensors[*tensor].range.len() as f64).sum(), value }
        };
        let all: Vec<usize> = (0..tensors.len()).collect();
        let parts: Vec<&[usize]> = match each {
            Each::Model => vec![&all],
            Each::Matrix | Each::Line => all.chunks(1).filter(|tensor| tensors[tensor[0]].is_product()).collect(),
        };
        Ok(Value::Margins(parts.into_iter().map(margin).collect()))
    }

    /// What comes out when a peer's work is done again; `None` if the peer could not be asked.
    fn audit(&self, uid: Uid) -> Result<Option<Outcome>, PageError> {
        let Some(Audited { commitment, shown, draw }) = self.audited.get(&uid) else { return Ok(None) };
        let Shown::State(state) = shown else { return Ok(Some(Outcome::NotShown)) };
        let (network, core) = (&self.network, &self.network.core);
        let mut local = core.local();
        // Its length is bounded, and its digest is the one committed to.
        if local.restore(state).is_err() {
            return Ok(Some(Outcome::NotShown));
        }
        let (payload, said) = &self.payloads[&uid];
        let pages = network.assignment.first(uid, self.round, *said);
        let steps = commitment.own_steps();
        if !network.may_step(steps, *said) {
            return Ok(Some(Outcome::Differs));
        }
        if let Some(page) = pages.first() {
            let inner = core.inner_steps(steps, pages.len());
            let work = (*page, inner, (*draw % inner as u64) as usize);
            if !core.takes_up_work(state, &self.before, work, self.round)? {
                return Ok(Some(Outcome::Differs));
            }
        }
        let data = Data { pages, part: 1.0, poison: Poison::default(), steps };
        let sent = core.train(&mut *local, &self.before, &data, self.round)?;
        let same = wire::are_same(&network.shape, &sent, payload);
        let same = same && Digest::of(&local.saved()) == commitment.after;
        Ok(Some(if same { Outcome::Same } else { Outcome::Differs }))
    }

    /// The gradient on a set of pages.
    fn gradient(&self, pages: &Pages, on_assigned: &mut Vec<f64>) -> Result<Cow<'_, [f32]>, PageError> {
        let set = self.set(pages);
        let pages = self.read(set).map_err(Clone::clone)?;
        let gradient = || self.network.core.gradient(&self.before.model, pages);
        if set.pages.peer().is_none() {
            return Ok(Cow::Borrowed(set.gradient.get_or_init(|| gradient().values)));
        }
        let Gradient { values, loss } = gradient();
        on_assigned.extend(set.is_assigned().then_some(loss));
        Ok(Cow::Owned(values))
    }

    fn set(&self, pages: &Pages) -> &PageSet {
        self.sets.iter().find(|set| set.pages == *pages).expect("every set that is wanted is there")
    }

    /// The pages of a set, or the stretches of them.
    fn read<'a>(&self, set: &'a PageSet) -> Result<&'a [Vec<u32>], &'a PageError> {
        let read = set.read.get_or_init(|| {
            let mut pages = self.network.core.corpus.pages(&set.ids)?;
            // The first token of a stretch is only context, like that of a page.
            let Range { start, end } = set.stretch;
            pages.iter_mut().for_each(|page| *page = page[start..=end].to_vec());
            Ok(pages)
        });
        read.as_ref().map(Vec::as_slice)
    }
}

/// Whether two measurements are losses after one step.
fn are_after_one_step(a: &Measurement, b: &Measurement) -> bool {
    match (a, b) {
        (
            Measurement::Loss { payloads, fraction, .. },
            Measurement::Loss { payloads: of_other, fraction: other, .. },
        ) => payloads == of_other && fraction == other,
        _ => false,
    }
}
