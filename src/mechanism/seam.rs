//! What a mechanism is, to the validator that asks it.

use super::column::Column;
use super::facts::Facts;
use super::measure::{Losses, Measurement};
use super::ranking::Ranking;
use super::status::Status;
use crate::Uid;
use crate::settings::Findings;

/// How one validator judges. What it must remember from round to round is in its state.
pub trait Mechanism: Send + Sync {
    /// A slot has a new owner, who inherits nothing.
    fn arrive(&mut self, uid: Uid) {
        self.leave(uid);
    }

    /// A slot has no owner any more.
    fn leave(&mut self, uid: Uid);

    /// What came of the peers in a round. Called first, once a round.
    fn observe(&mut self, facts: &Facts);

    /// The peers that may be aggregated now, but for `except`.
    fn include(&self, round: u64, except: &[Uid]) -> Ranking;

    /// The losses that it wants of a round in which `aggregated` were aggregated.
    fn measure(&mut self, _round: u64, _aggregated: &[Uid]) -> Vec<Measurement> {
        Vec::new()
    }

    /// The losses that it asked for in [`measure`](Mechanism::measure). One is missing where a page could not be read; one that a hostile payload led to
    /// may be infinite or not a number.
    fn learn(&mut self, _round: u64, _aggregated: &[Uid], _losses: &Losses) {}

    /// The pay of each peer as a share: they sum to 1, or are all 0.
    fn pay(&self) -> Vec<(Uid, f64)>;

    /// How a peer fared in a round; `None` where it was not observed.
    fn status(&self, uid: Uid, round: u64) -> Option<Status>;

    /// The numbers that it has of each peer: what they are.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// The numbers of a peer after a round, one a column.
    fn numbers(&self, _uid: Uid, _round: u64) -> Vec<Option<f64>> {
        vec![None; self.columns().len()]
    }

    /// State to go on from.
    fn save(&self) -> Vec<u8>;

    /// Takes up the state that `save` gave.
    ///
    /// # Errors
    /// Bytes that are not the state of this mechanism.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String>;
}

/// The settings of a mechanism.
pub trait MechanismSettings: Send + Sync {
    /// Checks what a type cannot tell; paths are relative to the section.
    fn check(&self, _found: &mut Findings) {}

    /// The mechanism of a validator. `secret` is the validator's own: peers must not foresee its draws.
    fn build(&self, secret: u64) -> Box<dyn Mechanism>;

    /// Pages that a validator runs forward in a round, where each peer has `pages` and `aggregated` are aggregated: what a
    /// validator's hardware must keep up with.
    fn forward_passes(&self, _pages: usize, _aggregated: usize) -> f64 {
        0.0
    }
}

/// Pages in a sample of a peer's pages.
pub(super) fn sampled(fraction: f64, pages: usize) -> f64 {
    (fraction * pages as f64).round().max(1.0)
}
