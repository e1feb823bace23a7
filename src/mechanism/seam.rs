//! The trait that validators know mechanisms by.

use super::column::Column;
use super::facts::Facts;
use super::measure::{Measurement, Results};
use super::ranking::Ranking;
use super::status::Status;
use crate::Uid;
use crate::settings::Findings;

/// How one validator judges peers. All memory between rounds is in its state.
pub trait Mechanism: Send + Sync {
    /// A slot has a new owner, which inherits nothing.
    fn arrive(&mut self, uid: Uid) {
        self.leave(uid);
    }

    /// A slot has lost its owner.
    fn leave(&mut self, uid: Uid);

    /// The facts about the peers in a round. Called first, once per round.
    fn observe(&mut self, facts: &Facts);

    /// The peers that may be aggregated now, except those in `except`.
    fn include(&self, round: u64, except: &[Uid]) -> Ranking;

    /// The peers whose work of a round is to be done again: [`Measurement::Audit`]. Asked before the round is decided, because peers
    /// have to hear of it in time. The results come with the others, to [`learn`](Mechanism::learn).
    fn audit(&mut self, _round: u64) -> Vec<Uid> {
        Vec::new()
    }

    /// What else to measure in a round that aggregated `aggregated`.
    fn measure(&mut self, _round: u64, _aggregated: &[Uid]) -> Vec<Measurement> {
        Vec::new()
    }

    /// What was asked for in [`measure`](Mechanism::measure). A value is missing if it could not be measured. A hostile
    /// payload may make it infinite or NaN.
    fn learn(&mut self, _round: u64, _aggregated: &[Uid], _results: &Results) {}

    /// The pay of each peer as a share: they sum to 1, or are all 0. [`NOBODY`](crate::NOBODY) may have a share, too. Where all are 0,
    /// the validator does not know, and leaves it to the others.
    fn pay(&self) -> Vec<(Uid, f64)>;

    /// How a peer fared in a round; `None` if it was not observed.
    fn status(&self, uid: Uid, round: u64) -> Option<Status>;

    /// Describes the numbers it has for each peer.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// A peer's numbers after a round, one per column.
    fn numbers(&self, _uid: Uid, _round: u64) -> Vec<Option<f64>> {
        vec![None; self.columns().len()]
    }

    /// The state, for a checkpoint.
    fn save(&self) -> Vec<u8>;

    /// Restores a state from [`save`](Mechanism::save).
    ///
    /// # Errors
    /// The bytes are not a state of this mechanism.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String>;
}

/// The settings of a mechanism.
pub trait MechanismSettings: Send + Sync {
    /// Checks ranges that types cannot express; paths are relative to the section.
    fn check(&self, _found: &mut Findings) {}

    /// The mechanism of a validator. `secret` is private to the validator: peers must not foresee its draws.
    fn build(&self, secret: u64) -> Box<dyn Mechanism>;

    /// Pages that a validator runs forward in a round with `pages` per peer and `aggregated` aggregated peers. It sets
    /// the speed that a validator's hardware needs.
    fn forward_passes(&self, _pages: usize, _aggregated: usize) -> f64 {
        0.0
    }

    /// Whether it [audits](Mechanism::audit). Uploads then commit to the training states of their peers, who have to show them.
    fn audits(&self) -> bool {
        false
    }
}

/// Pages in a sample of a peer's pages.
pub(super) fn sampled(fraction: f64, pages: usize) -> f64 {
    (fraction * pages as f64).round().max(1.0)
}
