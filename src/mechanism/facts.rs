//! What a validator knows about a round's uploads before it measures anything.

use super::status::Status;
use crate::Uid;
use crate::digest::Digest;

/// The facts of a round.
pub struct Facts<'a> {
    pub round: u64,
    /// Rounds from one setting of weights to the next. Whatever a mechanism says of pay in between pays nobody.
    pub weights_every: u64,
    /// One entry for each registered peer, by uid.
    pub peers: Vec<PeerFacts>,
    /// Compares the uploads that arrived in time and are well formed.
    pub uploads: &'a dyn Comparisons,
}

/// The facts about one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerFacts {
    pub uid: Uid,
    /// Absent, too early, too late, malformed, or passed: a well-formed upload in time.
    pub arrival: Status,
    /// The store's stamp of an upload that passed, in milliseconds since genesis.
    pub stamp_ms: Option<u64>,
    /// Distance of the peer's model from the validator's, in steps, if the upload passed; infinite if the samples
    /// cannot be compared.
    pub steps_behind: Option<f64>,
    /// Whether the upload says that it was computed on the validator's model.
    pub same_model: bool,
    /// The pages that it says it trained on, relative to those assigned to everybody. 1 where the network does not ask.
    pub work: f64,
    /// The peer's share of the pay on the chain in this round.
    pub paid: f64,
    /// The training states that its upload commits to, if it passed and the network audits.
    pub states: Option<States>,
}

/// Digests of what a peer keeps from round to round to train with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States {
    /// Of what the work of the round started from.
    pub before: Digest,
    /// Of what it ended with.
    pub after: Digest,
}

/// Compares the uploads of a round with each other.
pub trait Comparisons {
    /// The pairs that share at least `least` of their chosen coefficients, sorted by (first, second) uid. Large uploads
    /// are compared on a sample of coefficients drawn by `salt`; use a new one each round.
    fn overlaps(&self, least: f64, salt: u64) -> Vec<Overlap>;

    /// Cosine between the coefficients of two uploads, over all tensors; `None` if either is missing or 0.
    fn cosine(&self, a: Uid, b: Uid) -> Option<f64>;
}

/// Two uploads that share some of their chosen coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// The one stamped first; the lower uid if the stamps are equal.
    pub earlier: Uid,
    pub later: Uid,
    /// Fraction of the chosen coefficients that the uploads share.
    pub shared: f64,
}
