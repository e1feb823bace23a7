//! How peers are judged and paid.
//!
//! A [`Mechanism`] turns facts into decisions. It does no I/O, reads no clock and sees no tensors. Each round a validator
//! calls:
//!
//! 1. [`observe`](Mechanism::observe) with facts about each registered peer: the stamp of its upload, whether it is well
//!    formed, and its distance from the validator's model. Uploads can be compared on request.
//!    [`audit`](Mechanism::audit) names the peers whose work of the round the validator does again.
//! 2. [`include`](Mechanism::include) for the peers to aggregate, best first. The number of them, and how often the list
//!    is renewed, belong to the network's [`protocol`](crate::protocol).
//! 3. [`measure`](Mechanism::measure) for what it needs on any named set of pages: the loss of the model before the round
//!    plus any weighted set of payloads, or how much of the gradient there is in what is a peer's own in its upload. The validator
//!    measures each distinct thing once.
//! 4. [`learn`](Mechanism::learn) with the results.
//! 5. [`pay`](Mechanism::pay) for the shares of the pay, and [`columns`](Mechanism::columns) for named numbers of each
//!    peer, which reports carry without knowing what they mean.
//!
//! Results and samples of a hostile upload can have any value. A peer must never gain by them.
//!
//! A mechanism is a file or folder with its settings, their checks and the rule, and a line in [`shipped`].

pub mod audit;
mod column;
pub mod coverage;
mod equal;
mod facts;
pub mod gauntlet;
mod loss_only;
mod marginal;
mod measure;
pub mod openskill;
pub mod proof;
mod ranking;
mod saved;
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
pub use facts::{Comparisons, Facts, Overlap, PeerFacts, States};
pub use loss_only::LossOnlySettings;
pub use marginal::MarginalSettings;
pub use measure::{
    Contrast, Each, Earlier, Margin, Measured, Measurement, Outcome, PASSES_OF_GRADIENT, Pages, Results, Value, Whose,
};
pub use ranking::{Candidate, Ranking};
pub use seam::{Mechanism, MechanismSettings};
pub use status::Status;

use crate::settings::Kinds;

/// The mechanisms of this crate, by their names in a scenario.
pub fn shipped() -> Kinds<dyn MechanismSettings> {
    Kinds::<dyn MechanismSettings>::new("gauntlet")
        .with::<gauntlet::GauntletSettings>("gauntlet", |settings| Box::new(settings))
        .with::<templar_v2::TemplarV2Settings>("templar-v2", |settings| Box::new(settings))
        .with::<MarginalSettings>("marginal", |settings| Box::new(settings))
        .with::<LossOnlySettings>("loss-only", |settings| Box::new(settings))
        .with::<coverage::CoverageSettings>("coverage", |settings| Box::new(settings))
        .with::<audit::AuditSettings>("audit", |settings| Box::new(settings))
        .with::<EqualSettings>("equal", |settings| Box::new(settings))
}
