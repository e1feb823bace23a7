//! What an evaluation measures, and what it ranks peers by.

use serde::{Deserialize, Serialize};

use super::settings::GauntletSettings;
use crate::Uid;
use crate::mechanism::measure::{Losses, Measurement, Pages};
use crate::mechanism::proof::LossScores;

/// What came of a peer's evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gains {
    /// Losses before and after the peer's own step.
    pub losses: LossScores,
    /// What peers that are evaluated together are ranked by; minus infinity for what is not a number.
    pub rank_by: f64,
    /// +1 or -1: whether it trained on its pages; `None` for a rule that asks for no proof.
    pub proof: Option<f64>,
}

/// What an evaluation measures and ranks by: where mechanisms that are otherwise Gauntlet differ.
pub trait Rule: Send + Sync {
    /// The losses to measure where these peers were chosen, and those aggregated.
    fn measure(&self, settings: &GauntletSettings, chosen: &[Uid], aggregated: &[Uid]) -> Vec<Measurement>;

    /// What the losses say of each peer all of whose losses are there.
    fn gains(&self, settings: &GauntletSettings, aggregated: &[Uid], losses: &Losses) -> Vec<(Uid, Gains)>;
}

/// As published: ranked by the relative gain of a small step along a peer's own upload, on pages assigned to nobody;
/// proof of computation by comparing it with the gain on the peer's assigned pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Published;

impl Rule for Published {
    fn measure(&self, settings: &GauntletSettings, chosen: &[Uid], _aggregated: &[Uid]) -> Vec<Measurement> {
        own_steps(settings, chosen)
    }

    fn gains(&self, settings: &GauntletSettings, _aggregated: &[Uid], losses: &Losses) -> Vec<(Uid, Gains)> {
        let gains =
            |losses: LossScores| Gains { losses, rank_by: losses.unassigned_gain(), proof: Some(losses.proof()) };
        own_losses(settings, losses).into_iter().map(|losses| (losses.uid, gains(losses))).collect()
    }
}

fn unassigned(settings: &GauntletSettings) -> Pages {
    Pages { assigned_to: None, sample: settings.evaluated_fraction }
}

fn assigned(settings: &GauntletSettings, uid: Uid) -> Pages {
    Pages { assigned_to: Some(uid), sample: settings.evaluated_fraction }
}

/// For each peer the losses before and after a small step along its own upload, on its pages and on nobody's.
pub fn own_steps(settings: &GauntletSettings, chosen: &[Uid]) -> Vec<Measurement> {
    let mut wanted = vec![Measurement::before(unassigned(settings))];
    for &uid in chosen {
        let beta = settings.beta_fraction;
        wanted.push(Measurement::before(assigned(settings, uid)));
        wanted.push(Measurement::after_one(uid, beta, assigned(settings, uid)));
        wanted.push(Measurement::after_one(uid, beta, unassigned(settings)));
    }
    wanted
}

/// What [`own_steps`] led to, of each peer all of whose losses are there.
pub fn own_losses(settings: &GauntletSettings, losses: &Losses) -> Vec<LossScores> {
    let beta = settings.beta_fraction;
    let Some(unassigned_before) = losses.get(&Measurement::before(unassigned(settings))) else { return Vec::new() };
    let peers = losses.0.iter().filter_map(|measured| {
        let what = &measured.what;
        if what.payloads.is_empty() { what.pages.assigned_to } else { None }
    });
    let scores = |uid| {
        Some(LossScores {
            uid,
            assigned_before: losses.get(&Measurement::before(assigned(settings, uid)))?,
            assigned_after: losses.get(&Measurement::after_one(uid, beta, assigned(settings, uid)))?,
            unassigned_before,
            unassigned_after: losses.get(&Measurement::after_one(uid, beta, unassigned(settings)))?,
        })
    };
    peers.filter_map(scores).collect()
}
