//! What a validator may do instead of the honest thing.
//!
//! A validator asks its [`ValidatorBehaviour`] at each step of a round; every default answer is the honest one. A
//! behaviour can change what no other node can check by itself, and what others do check: the weights, whom the
//! validator aggregates when it decides, when it decides, the record and the bundle it publishes, and how much it
//! measures.
//!
//! A behaviour is a file and a line in [`shipped`]. A program that uses this crate adds its own to
//! [`Registry::validator_behaviours`](crate::scenario::Registry) instead.

mod copy_weights;
mod equivocate;
mod false_model;
mod favour;
mod honest;
mod out_of_turn;
mod seam;
mod silent;
#[cfg(test)]
mod tests;
mod withhold;

pub use seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};

use crate::settings::Kinds;

/// The validator behaviours of this crate: names in a scenario, and settings.
pub fn shipped() -> Kinds<dyn ValidatorBehaviourSettings> {
    Kinds::<dyn ValidatorBehaviourSettings>::new("honest")
        .with::<honest::HonestSettings>("honest", |settings| Box::new(settings))
        .with::<copy_weights::CopyWeightsSettings>("copy-weights", |settings| Box::new(settings))
        .with::<equivocate::EquivocateSettings>("equivocate", |settings| Box::new(settings))
        .with::<false_model::FalseModelSettings>("false-model", |settings| Box::new(settings))
        .with::<favour::FavourSettings>("favour", |settings| Box::new(settings))
        .with::<out_of_turn::OutOfTurnSettings>("out-of-turn", |settings| Box::new(settings))
        .with::<silent::SilentSettings>("silent", |settings| Box::new(settings))
        .with::<withhold::WithholdSettings>("withhold", |settings| Box::new(settings))
}
