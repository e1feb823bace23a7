//! How peers are judged and paid.
//!
//! A [`Mechanism`] turns facts into decisions. It does no I/O, reads no clock and sees no tensor. In each round of a
//! validator:
//!
//! 1. [`observe`](Mechanism::observe): what came of each registered peer: a stamp or nothing, its form, its distance from
//!    the validator's model; comparisons of the payloads on request.
//! 2. [`include`](Mechanism::include): whom to aggregate, best first. How many, and when the list is renewed, is the
//!    network's ([`protocol`](crate::protocol)).
//! 3. [`measure`](Mechanism::measure): the losses it asks for, of the model before the round plus any weighted set of
//!    payloads, on any named set of pages. The validator computes each distinct one once.
//! 4. [`learn`](Mechanism::learn): the losses come back.
//! 5. [`pay`](Mechanism::pay): shares, and [`columns`](Mechanism::columns) of numbers by peer, which reports carry without
//!    knowing them.
//!
//! Whatever comes from a peer's upload may be anything at all, and no peer may be better off for it.
//!
//! A mechanism is a file, or a folder, that holds its settings, their checks and the rule, and a line in [`shipped`].

mod column;
mod equal;
mod facts;
pub mod gauntlet;
mod loss_only;
mod marginal;
mod measure;
pub mod openskill;
pub mod proof;
mod ranking;
mod selection;
mod settings;
pub mod shares;
mod status;
pub mod templar_v2;

pub use column::{Column, ColumnKind};
pub use equal::EqualSettings;
pub use facts::{Comparisons, Facts, Overlap, PeerFacts};
pub use loss_only::LossOnlySettings;
pub use marginal::MarginalSettings;
pub use measure::{Losses, Measured, Measurement, Pages};
pub use ranking::{Candidate, Ranking};
pub use settings::MechanismSettings;
pub use status::Status;

use crate::Uid;
use crate::settings::Kinds;

/// How one validator judges. What it must remember from round to round is in its state.
pub trait Mechanism: Send + Sync {
    /// A slot has a new owner, who inherits nothing.
    fn arrive(&mut self, uid: Uid);

    /// A slot has no owner any more.
    fn leave(&mut self, uid: Uid);

    /// What came of the peers in a round. Called first, once a round.
    fn observe(&mut self, facts: &Facts);

    /// The peers that may be aggregated now, but for `except`. `lot` names the draw where it takes one.
    fn include(&self, round: u64, lot: &str, except: &[Uid]) -> Ranking;

    /// The losses that it wants of a round in which `aggregated` were aggregated.
    fn measure(&mut self, round: u64, aggregated: &[Uid]) -> Vec<Measurement>;

    /// The losses that it asked for in [`measure`](Mechanism::measure). One is missing where a page could not be read; one that a hostile payload led to
    /// may be infinite or not a number.
    fn learn(&mut self, round: u64, aggregated: &[Uid], losses: &Losses);

    /// The pay of each peer as a share: they sum to 1, or are all 0.
    fn pay(&self) -> Vec<(Uid, f64)>;

    /// How a peer fared in a round; `None` where it was not observed.
    fn status(&self, uid: Uid, round: u64) -> Option<Status>;

    /// The numbers that it has of each peer: what they are.
    fn columns(&self) -> Vec<Column>;

    /// The numbers of a peer after a round, one a column.
    fn numbers(&self, uid: Uid, round: u64) -> Vec<Option<f64>>;

    /// State to go on from.
    fn save(&self) -> Vec<u8>;

    /// Takes up the state that `save` gave.
    ///
    /// # Errors
    /// Bytes that are not the state of this mechanism.
    fn restore(&mut self, saved: &[u8]) -> Result<(), String>;
}

/// The mechanisms of this crate: name in a scenario, and settings.
pub fn shipped() -> Kinds<dyn MechanismSettings> {
    Kinds::<dyn MechanismSettings>::new("gauntlet")
        .with::<gauntlet::GauntletSettings>("gauntlet", |settings| Box::new(settings))
        .with::<templar_v2::TemplarV2Settings>("templar-v2", |settings| Box::new(settings))
        .with::<MarginalSettings>("marginal", |settings| Box::new(settings))
        .with::<LossOnlySettings>("loss-only", |settings| Box::new(settings))
        .with::<EqualSettings>("equal", |settings| Box::new(settings))
}
