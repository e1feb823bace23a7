//! Schemes: how a peer makes a pseudo-gradient from its data.
//!
//! Everything else of a network sees a [`PseudoGradient`](super::PseudoGradient) in a [`PayloadShape`](super::PayloadShape): nodes, Gauntlet, transport and wire
//! format know nothing of which scheme it is. A scheme is one module here, with its settings, and a line in [`shipped`];
//! one of your own is a line in [`Registry::schemes`](crate::scenario::Registry::schemes) (`examples/scheme.rs`).
//! An [`Aggregation`](super::aggregate::Aggregation) decides what becomes of the payloads of a round.

pub mod demo;
pub mod dense;
mod footprint;
mod kept;
mod limits;
mod local_steps;
mod seam;
pub mod sparseloco;
mod topk;

pub use demo::DemoSettings;
pub use dense::{DenseSettings, DenseUpdate};
pub use footprint::Footprint;
pub use kept::Kept;
pub use local_steps::{InnerSettings, LocalSteps};
pub use seam::{LocalTraining, Scheme, SchemeSettings};
pub use sparseloco::SparseLocoSettings;
pub(super) use topk::TopK;

use crate::settings::Kinds;

/// The schemes of this crate: name in a scenario, and settings.
pub fn shipped() -> Kinds<dyn SchemeSettings> {
    Kinds::<dyn SchemeSettings>::new("demo")
        .with::<DemoSettings>("demo", |settings| Box::new(settings))
        .with::<SparseLocoSettings>("sparseloco", |settings| Box::new(settings))
        .with::<DenseSettings>("dense", |settings| Box::new(settings))
}

#[cfg(test)]
mod tests;
