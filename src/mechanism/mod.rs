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
mod seam;
mod selection;
pub mod shares;
mod status;
mod sync;
pub mod templar_v2;
#[cfg(test)]
mod testing;

pub use column::{Column, ColumnKind, Picture};
pub use equal::EqualSettings;
pub use facts::{Comparisons, Facts, Overlap, PeerFacts};
pub use loss_only::LossOnlySettings;
pub use marginal::MarginalSettings;
pub use measure::{Losses, Measured, Measurement, Pages};
pub use ranking::{Candidate, Ranking};
pub use seam::{Mechanism, MechanismSettings};
pub use status::Status;

use crate::settings::Kinds;

/// The mechanisms of this crate: name in a scenario, and settings.
pub fn shipped() -> Kinds<dyn MechanismSettings> {
    Kinds::<dyn MechanismSettings>::new("gauntlet")
        .with::<gauntlet::GauntletSettings>("gauntlet", |settings| Box::new(settings))
        .with::<templar_v2::TemplarV2Settings>("templar-v2", |settings| Box::new(settings))
        .with::<MarginalSettings>("marginal", |settings| Box::new(settings))
        .with::<LossOnlySettings>("loss-only", |settings| Box::new(settings))
        .with::<EqualSettings>("equal", |settings| Box::new(settings))
}
