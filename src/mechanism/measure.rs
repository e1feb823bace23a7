//! Losses that a mechanism asks for.

use crate::Uid;

/// The loss on some pages of the model before the round, after a fraction of the step that some payloads make together.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Payloads and their weights in the aggregation; without any, the model is not moved.
    pub payloads: Vec<(Uid, u8)>,
    /// Fraction of their full step.
    pub fraction: f64,
    /// The tensors that the step moves.
    pub tensors: Tensors,
    pub pages: Pages,
}

/// Which tensors a step moves, in the order of the model: from the embedding to the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tensors {
    All,
    FirstHalf,
    SecondHalf,
}

impl Measurement {
    /// The model before the round.
    pub fn before(pages: Pages) -> Self {
        Self { payloads: Vec::new(), fraction: 0.0, tensors: Tensors::All, pages }
    }

    /// After a fraction of the step that one payload would make alone, as a LossScore measures it (arXiv 2505.21684).
    pub fn after_one(uid: Uid, fraction: f64, pages: Pages) -> Self {
        Self { payloads: vec![(uid, 1)], fraction, tensors: Tensors::All, pages }
    }

    /// After the full step of several payloads of equal weight.
    pub fn after_all(uids: impl IntoIterator<Item = Uid>, pages: Pages) -> Self {
        let payloads: Vec<(Uid, u8)> = uids.into_iter().map(|uid| (uid, 1)).collect();
        // Without payloads the model does not move.
        if payloads.is_empty() {
            Self::before(pages)
        } else {
            Self { payloads, fraction: 1.0, tensors: Tensors::All, pages }
        }
    }
}

/// A set of pages. The validator's secret draws a sample of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pages {
    pub whose: Whose,
    /// Fraction to measure, at least one page.
    pub sample: f64,
    /// Fraction of the tokens of each page to measure, in one stretch.
    pub stretch: f64,
}

/// To whom a round assigns pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// To this peer.
    Peer(Uid),
    /// To nobody: as many as a peer has, the same for all validators. Everybody knows them beforehand.
    Nobodys,
    /// To nobody either, but drawn by this validator's secret among all of these.
    Hidden,
}

impl Pages {
    /// A sample of a peer's pages, or of unassigned ones, with all of their tokens.
    pub fn whole(assigned_to: Option<Uid>, sample: f64) -> Self {
        Self { whose: assigned_to.map_or(Whose::Nobodys, Whose::Peer), sample, stretch: 1.0 }
    }

    /// The peer to which the pages are assigned.
    pub fn assigned_to(&self) -> Option<Uid> {
        match self.whose {
            Whose::Peer(uid) => Some(uid),
            Whose::Nobodys | Whose::Hidden => None,
        }
    }
}

/// A measurement and its loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub what: Measurement,
    /// Mean loss in nats per token; `None` if a page could not be read.
    pub loss: Option<f64>,
}

/// All losses measured in a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses(pub Vec<Measured>);

impl Losses {
    /// The loss of one measurement, if it was made.
    pub fn get(&self, what: &Measurement) -> Option<f64> {
        self.0.iter().find(|measured| measured.what == *what)?.loss
    }

    /// Mean loss of the model before the round on pages assigned to peers.
    pub fn before_on_assigned(&self) -> Option<f64> {
        let on_assigned = |m: &&Measured| {
            let Pages { whose, stretch, .. } = m.what.pages;
            m.what.payloads.is_empty() && matches!(whose, Whose::Peer(_)) && stretch == 1.0
        };
        let losses: Vec<f64> = self.0.iter().filter(on_assigned).filter_map(|measured| measured.loss).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    }
}
