//! What a validator does instead of the honest thing.
//!
//! A validator asks its [`ValidatorBehaviour`] at each step of a round; every default answer is the honest one. What it
//! can change is what no other node can check by itself: its weights, whom it aggregates when it decides, when it
//! decides, the bundle it publishes, and how much it measures.
//!
//! A behaviour is a file and a line in [`shipped`]. A program that uses this crate adds its own to
//! [`Registry::validator_behaviours`](crate::scenario::Registry) instead.

mod honest;
mod seam;
#[cfg(test)]
mod tests;

pub use seam::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};

use crate::settings::Kinds;

/// The behaviours of validators of this crate: name in a scenario, and settings.
pub fn shipped() -> Kinds<dyn ValidatorBehaviourSettings> {
    Kinds::<dyn ValidatorBehaviourSettings>::new("honest")
        .with::<honest::HonestSettings>("honest", |settings| Box::new(settings))
}
