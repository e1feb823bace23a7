//! What a mechanism may ask a validator to measure.

use serde::{Deserialize, Serialize};

use crate::Uid;

/// A gradient costs as much as so many forward passes.
pub const PASSES_OF_GRADIENT: usize = 3;

/// Something to measure about the model before the round and the round's uploads.
#[derive(Clone, Debug, PartialEq)]
pub enum Measurement {
    /// The mean loss on some pages after a fraction of the step that some payloads make together, in nats per token.
    Loss {
        /// Payloads and their weights in the aggregation; without any, the model is not moved.
        payloads: Vec<(Uid, u8)>,
        /// Fraction of their full step.
        fraction: f64,
        /// The pages to run forward.
        pages: Pages,
    },
    /// How much more of some pages than of others there is in what is a peer's own in its upload. It costs
    /// [`PASSES_OF_GRADIENT`] forward passes of all these pages; those that are nobody's count once a round.
    Contrast(Contrast),
    /// Whether a peer's upload is what honest work makes of the peer's pages: the validator does this work again, from the training
    /// state that the upload commits to. It costs [`PASSES_OF_GRADIENT`] forward passes of the pages that the peer says it trained on.
    Audit(Uid),
}

/// Compares the gradients on two sets of pages, parameter by parameter, by a peer's upload without the part that other uploads
/// explain: of which of them has it more? The mean of a margin over many uploads that do not depend on either set is 0, if both
/// are drawn alike: of one size and form.
///
/// Uploads are scaled to size 1 first. The idea that an upload has
/// more of its own pages than of others is Gauntlet's proof of computation (arXiv 2505.21684).
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// Whose upload is looked at.
    pub uid: Uid,
    /// The peers whose uploads it is compared with. Itself does not count, nor do those whose uploads are missing.
    pub beside: Vec<Uid>,
    /// What has a margin of its own.
    pub each: Each,
    /// The pages of which it may have more.
    pub pages: Pages,
    /// The pages that these are compared with.
    pub than: Pages,
}

/// What has a margin of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// The whole model: there is one margin.
    Model,
    /// Each matrix for itself, without embedding and norms.
    Matrix,
    /// Likewise, but of each line of a matrix first, which is a row or a column: the margin of the matrix is the mean over its
    /// rows, that over its columns, or that of the whole, whichever is nearest to 0. All rows count alike, however much of the
    /// upload is in them.
    Line,
}

impl Measurement {
    /// The loss of the model before the round.
    pub fn before(pages: Pages) -> Self {
        Self::Loss { payloads: Vec::new(), fraction: 0.0, pages }
    }

    /// The loss after a fraction of the step that one payload would make alone, as a LossScore measures it (arXiv
    /// 2505.21684).
    pub fn after_one(uid: Uid, fraction: f64, pages: Pages) -> Self {
        Self::Loss { payloads: vec![(uid, 1)], fraction, pages }
    }

    /// The loss after the full step of several payloads of equal weight.
    pub fn after_all(uids: impl IntoIterator<Item = Uid>, pages: Pages) -> Self {
        let payloads: Vec<(Uid, u8)> = uids.into_iter().map(|uid| (uid, 1)).collect();
        // Without payloads the model does not move.
        let fraction = if payloads.is_empty() { 0.0 } else { 1.0 };
        Self::Loss { payloads, fraction, pages }
    }

    /// The sets of pages that it is about.
    pub fn pages(&self) -> Vec<Pages> {
        match self {
            Self::Loss { pages, .. } => vec![*pages],
            Self::Contrast(contrast) => vec![contrast.pages, contrast.than],
            Self::Audit(_) => Vec::new(),
        }
    }

    /// The peers without whose uploads of the round it cannot be made.
    pub fn uploads(&self) -> Vec<Uid> {
        match self {
            Self::Loss { payloads, .. } => payloads.iter().map(|(uid, _)| *uid).collect(),
            Self::Contrast(contrast) => vec![contrast.uid],
            Self::Audit(uid) => vec![*uid],
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Whose {
    /// To this peer.
    Peer(Uid),
    /// To this peer, in an earlier round.
    Earlier(Earlier),
    /// To nobody: as many as a peer has, the same for all validators. Everybody knows them beforehand.
    Nobodys,
    /// To nobody either, but drawn by this validator's secret among all of these.
    Hidden,
}

/// The work of a peer in an earlier round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    pub uid: Uid,
    pub round: u64,
    /// How much the peer said it did, relative to what is assigned to everybody.
    pub work: f64,
}

impl Pages {
    /// A sample of a peer's pages, or of unassigned ones, with all of their tokens.
    pub fn whole(assigned_to: Option<Uid>, sample: f64) -> Self {
        Self { whose: assigned_to.map_or(Whose::Nobodys, Whose::Peer), sample, stretch: 1.0 }
    }

    /// The peer to which the pages are assigned in this round.
    pub fn assigned_to(&self) -> Option<Uid> {
        match self.whose {
            Whose::Peer(uid) => Some(uid),
            Whose::Earlier(_) | Whose::Nobodys | Whose::Hidden => None,
        }
    }

    /// The peer to which the pages are or were assigned.
    pub fn peer(&self) -> Option<Uid> {
        match self.whose {
            Whose::Peer(uid) | Whose::Earlier(Earlier { uid, .. }) => Some(uid),
            Whose::Nobodys | Whose::Hidden => None,
        }
    }
}

/// How much more of some pages than of others there is in what is a peer's own in a part of its upload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// Number of weights of this part of the model.
    pub weights: f64,
    /// -1 to 1; 0 where nothing is the peer's own.
    pub value: f64,
}

/// What a measurement has found.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of [`Measurement::Loss`].
    Loss(f64),
    /// Of [`Measurement::Contrast`]: one of each matrix, in the order of the model's parameters, or one in all.
    Margins(Vec<Margin>),
    /// Of [`Measurement::Audit`].
    Audit(Outcome),
}

/// What came of an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The same upload, and the state that the peer commits to.
    Same,
    /// Something else.
    Differs,
    /// The peer did not show the state that its work started from, in time.
    NotShown,
}

/// A measurement and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub what: Measurement,
    /// `None` if a page could not be read, or the peer could not be asked.
    pub value: Option<Value>,
}

impl Measurement {
    /// The peer that it audits, if it is an audit.
    pub fn audited(&self) -> Option<Uid> {
        if let Self::Audit(uid) = self { Some(*uid) } else { None }
    }
}

impl Measured {
    /// The loss that was measured.
    pub fn loss(&self) -> Option<f64> {
        match self.value {
            Some(Value::Loss(loss)) => Some(loss),
            _ => None,
        }
    }
}

/// All that was measured in a round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results(pub Vec<Measured>);

impl Results {
    /// The loss that one measurement has found, if it was made.
    pub fn loss(&self, what: &Measurement) -> Option<f64> {
        self.of(what)?.loss()
    }

    /// The margins that one measurement has found, if it was made.
    pub fn margins(&self, what: &Measurement) -> Option<&[Margin]> {
        match &self.of(what)?.value {
            Some(Value::Margins(margins)) => Some(margins),
            _ => None,
        }
    }

    /// What came of a peer's audit, if it was made.
    pub fn audit(&self, uid: Uid) -> Option<Outcome> {
        match self.of(&Measurement::Audit(uid))?.value {
            Some(Value::Audit(outcome)) => Some(outcome),
            _ => None,
        }
    }

    fn of(&self, what: &Measurement) -> Option<&Measured> {
        self.0.iter().find(|measured| measured.what == *what)
    }
}
