//! What a validator knows of a round's uploads before it measures any loss.

use super::status::Status;
use crate::Uid;

/// The facts of a round.
pub struct Facts<'a> {
    pub round: u64,
    /// One entry for each registered peer, by uid.
    pub peers: Vec<PeerFacts>,
    /// Compares uploads that came in time and in good form.
    pub uploads: &'a dyn Comparisons,
}

/// What came of one peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerFacts {
    pub uid: Uid,
    /// Absent, too early, too late, malformed, or passed: an upload in time and in good form.
    pub arrival: Status,
    /// The store's stamp in milliseconds since genesis, of an upload that passed.
    pub stamp_ms: Option<u64>,
    /// Distance of the peer's model from the validator's, in steps, of an upload that passed; infinite for samples that
    /// cannot be compared.
    pub steps_behind: Option<f64>,
    /// Share of the pay that the chain gives the peer in this round.
    pub paid: f64,
}

/// Comparisons of a round's uploads with one another.
pub trait Comparisons {
    /// The pairs that share at least `least` of the coefficients that they chose, by (first, second) uid. `salt` picks the
    /// sample of coefficients of large uploads: draw it anew each round.
    fn overlaps(&self, least: f64, salt: u64) -> Vec<Overlap>;

    /// Cosine between two uploads' coefficients, over all tensors; `None` unless both are there and neither is 0.
    fn cosine(&self, a: Uid, b: Uid) -> Option<f64>;
}

/// Two uploads that chose the same coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// The one that was stamped first; of equal stamps the lower uid.
    pub earlier: Uid,
    pub later: Uid,
    /// Fraction of the chosen coefficients that both chose.
    pub shared: f64,
}
