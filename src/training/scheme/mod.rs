//! Schemes: what a peer makes of its data.
//!
//! Everything else of a network sees a [`PseudoGradient`](super::PseudoGradient) in a [`PayloadShape`](super::PayloadShape): nodes, Gauntlet, transport and wire
//! format know nothing of which scheme it is. A scheme is one module here and its settings in a scenario's `[scheme]`.
//! What becomes of the payloads of a round is up to an [`Aggregation`](super::aggregate::Aggregation).

pub mod demo;
pub mod dense;
mod local_steps;
mod seam;
mod settings;
pub mod sparseloco;
mod topk;

pub use demo::DemoSettings;
pub use dense::{DenseSettings, DenseUpdate};
pub use local_steps::InnerSettings;
pub use seam::{LocalTraining, Scheme};
pub use settings::SchemeSettings;
pub use sparseloco::SparseLocoSettings;

use super::ChunkError;
use crate::model::ParamLayout;

/// The scheme of these settings, for a model of this layout.
///
/// # Errors
/// A chunk size or top-k that the scheme cannot use.
pub fn from_settings(settings: &SchemeSettings, params: &ParamLayout) -> Result<Box<dyn Scheme>, ChunkError> {
    Ok(match settings {
        SchemeSettings::Demo(settings) => Box::new(demo::Demo::new(settings, params)?),
        SchemeSettings::Sparseloco(settings) => Box::new(sparseloco::SparseLoco::new(settings, params)?),
        SchemeSettings::Dense(settings) => Box::new(dense::Dense::new(settings, params)?),
    })
}
