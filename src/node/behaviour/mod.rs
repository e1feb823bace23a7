//! What a peer does instead of honest work.
//!
//! A peer asks its [`Behaviour`] at each step of a round, and every default answer is the honest one. An adversary
//! overrides only the answers that its attack needs: when it takes part, which pages and model it computes on, what it
//! sends, and when.
//!
//! Each behaviour is one file with a description, settings, code and tests, and a line in [`shipped`]. A program that
//! uses this crate adds its own to [`Registry::behaviours`](crate::scenario::Registry) instead.

mod alie;
mod backdoor;
mod copycat;
mod desync;
mod free_rider;
mod gaussian;
mod honest;
mod ipm;
mod knowledge;
mod label_flip;
mod late;
mod lazy;
mod malformed;
mod mimic;
mod noise;
mod offline;
mod rescaled;
mod seam;
mod sign_flip;
mod stale;
mod state;
mod strategy;
#[cfg(test)]
mod testing;
mod values;

pub use seam::{Behaviour, BehaviourSettings, Claim, Presence, Surroundings};

use crate::settings::Kinds;

/// The behaviours of this crate: names in scenarios, and settings.
pub fn shipped() -> Kinds<dyn BehaviourSettings> {
    Kinds::<dyn BehaviourSettings>::new("honest")
        .with::<honest::HonestSettings>("honest", |settings| Box::new(settings))
        .with::<lazy::LazySettings>("lazy", |settings| Box::new(settings))
        .with::<free_rider::FreeRiderSettings>("free-rider", |settings| Box::new(settings))
        .with::<stale::StaleSettings>("stale", |settings| Box::new(settings))
        .with::<desync::DesyncSettings>("desync", |settings| Box::new(settings))
        .with::<copycat::CopycatSettings>("copycat", |settings| Box::new(settings))
        .with::<offline::OfflineSettings>("offline", |settings| Box::new(settings))
        .with::<late::LateSettings>("late", |settings| Box::new(settings))
        .with::<noise::NoiseSettings>("noise", |settings| Box::new(settings))
        .with::<sign_flip::SignFlipSettings>("sign-flip", |settings| Box::new(settings))
        .with::<rescaled::RescaledSettings>("rescaled", |settings| Box::new(settings))
        .with::<malformed::MalformedSettings>("malformed", |settings| Box::new(settings))
        .with::<alie::AlieSettings>("alie", |settings| Box::new(settings))
        .with::<ipm::IpmSettings>("ipm", |settings| Box::new(settings))
        .with::<mimic::MimicSettings>("mimic", |settings| Box::new(settings))
        .with::<gaussian::GaussianSettings>("gaussian", |settings| Box::new(settings))
        .with::<label_flip::LabelFlipSettings>("label-flip", |settings| Box::new(settings))
        .with::<backdoor::BackdoorSettings>("backdoor", |settings| Box::new(settings))
        .with::<strategy::StrategySettings>("strategy", |settings| Box::new(settings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Findings, Kinded};

    #[test]
    fn every_kind_can_be_run_by_its_bare_name() {
        let kinds = shipped();
        for kind in kinds.names() {
            let settings = kinds.resolve(&Kinded::of(kind)).unwrap().settings;
            let mut found = Findings::default();
            settings.check(&mut found);
            assert!(found.is_empty(), "the defaults of {kind}: {:?}", found.into_vec());
            assert_eq!(settings.label(), None, "{kind}");
            let state = settings.build().save();
            assert_eq!(settings.build().restore(&state), Ok(()), "{kind}");
            assert!(settings.build().restore(&[7, 7]).is_err(), "{kind}: not its state");
        }
    }
}
