//! Losses that a mechanism asks for.

use crate::Uid;

/// The loss of the model before the round, moved by a part of the step that some payloads together make, on some pages.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Payloads and their weights in the aggregation; none: the model as it is.
    pub payloads: Vec<(Uid, u8)>,
    /// Part of their whole step.
    pub fraction: f64,
    pub pages: Pages,
}

impl Measurement {
    /// The model before the round.
    pub fn before(pages: Pages) -> Self {
        Self { payloads: Vec::new(), fraction: 0.0, pages }
    }

    /// After a part of the step that one payload would make alone: what a LossScore is made of (arXiv 2505.21684).
    pub fn after_one(uid: Uid, fraction: f64, pages: Pages) -> Self {
        Self { payloads: vec![(uid, 1)], fraction, pages }
    }

    /// After the whole step of several payloads of equal weight.
    pub fn after_all(uids: impl IntoIterator<Item = Uid>, pages: Pages) -> Self {
        let payloads: Vec<(Uid, u8)> = uids.into_iter().map(|uid| (uid, 1)).collect();
        // Nobody moves the model.
        if payloads.is_empty() { Self::before(pages) } else { Self { payloads, fraction: 1.0, pages } }
    }
}

/// A set of pages, of which the validator's secret draws a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pages {
    /// The peer that the round assigns them to; `None`: pages that are assigned to nobody, as many as a peer has.
    pub assigned_to: Option<Uid>,
    /// Fraction that is looked at, one page at least.
    pub sample: f64,
}

/// A measurement and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub what: Measurement,
    /// Mean loss in nats a token; `None` where a page could not be read.
    pub loss: Option<f64>,
}

/// What came of a round's measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses(pub Vec<Measured>);

impl Losses {
    /// The loss of one measurement, if it was made.
    pub fn get(&self, what: &Measurement) -> Option<f64> {
        self.0.iter().find(|measured| measured.what == *what)?.loss
    }

    /// Mean loss of the model before the round on pages that were assigned to peers.
    pub fn before_on_assigned(&self) -> Option<f64> {
        let on_assigned = |m: &&Measured| m.what.payloads.is_empty() && m.what.pages.assigned_to.is_some();
        let losses: Vec<f64> = self.0.iter().filter(on_assigned).filter_map(|measured| measured.loss).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    }
}
