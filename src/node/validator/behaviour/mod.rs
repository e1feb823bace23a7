//! What a validator may do instead of the honest thing.
//!
//! A validator asks its [`ValidatorBehaviour`] at each step of a round; every default answer is the honest one. A
//! behaviour can change what no other node can check by itself: the weights, whom the validator aggregates when it
//! decides, when it decides, the bundle it publishes, and how much it measures.
//!
//! A behaviour is a file and a line in [`shipped`]. A program that uses this crate adds its own to
//! [`Registry::validator_behaviours`](crate::scenario::Registry) instead.

mod honest;
mod seam;
#[cfg(test)]
mod tests;

pub use seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};

use crate::settings::Kinds;

/// The validator behaviours of this crate: names in a scenario, and settings.
pub fn shipped() -> Kinds<dyn ValidatorBehaviourSettings> {
    Kinds::<dyn ValidatorBehaviourSettings>::new("honest")
        .with::<honest::HonestSettings>("honest", |settings| Box::new(settings))
}
