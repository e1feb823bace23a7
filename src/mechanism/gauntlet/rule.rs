//! What an evaluation measures, and how it ranks peers.

use serde::{Deserialize, Serialize};

use super::settings::GauntletSettings;
use crate::Uid;
use crate::mechanism::measure::{Measurement, Pages, Results};
use crate::mechanism::proof::LossScores;

/// Result of a peer's evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gains {
    /// Losses before and after the peer's own step.
    pub losses: LossScores,
    /// Peers that are evaluated together are ranked by this; minus infinity replaces NaN.
    pub rank_by: f64,
    /// +1 if the peer trained on its pages, -1 if not; `None` if the rule asks for no proof.
    pub proof: Option<f64>,
}

/// What an evaluation measures, and how it ranks peers. Mechanisms built on Gauntlet differ in this.
pub trait Rule: Send + Sync {
    /// The losses to measure, given the chosen and the aggregated peers.
    fn measure(&self, settings: &GauntletSettings, chosen: &[Uid], aggregated: &[Uid]) -> Vec<Measurement>;

    /// The gains of each peer whose losses were all measured.
    fn gains(&self, settings: &GauntletSettings, aggregated: &[Uid], losses: &Results) -> Vec<(Uid, Gains)>;
}

/// The published rule. Peers are ranked by the relative gain of a small step along their own upload on unassigned
/// pages. The proof of computation compares it with the gain on their assigned pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Published;

impl Rule for Published {
    fn measure(&self, settings: &GauntletSettings, chosen: &[Uid], _aggregated: &[Uid]) -> Vec<Measurement> {
        own_steps(settings, chosen)
    }

    fn gains(&self, settings: &GauntletSettings, _aggregated: &[Uid], losses: &Results) -> Vec<(Uid, Gains)> {
        let gains =
            |losses: LossScores| Gains { losses, rank_by: losses.unassigned_gain(), proof: Some(losses.proof()) };
        own_losses(settings, losses).into_iter().map(|losses| (losses.uid, gains(losses))).collect()
    }
}

fn unassigned(settings: &GauntletSettings) -> Pages {
    Pages::whole(None, settings.evaluated_fraction)
}

fn assigned(settings: &GauntletSettings, uid: Uid) -> Pages {
    Pages::whole(Some(uid), settings.evaluated_fraction)
}

/// The losses before and after a small step along each peer's own upload, on its pages and on unassigned ones.
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

/// The losses measured for [`own_steps`], of each peer for which they are complete.
pub fn own_losses(settings: &GauntletSettings, losses: &Results) -> Vec<LossScores> {
    let beta = settings.beta_fraction;
    let Some(unassigned_before) = losses.loss(&Measurement::before(unassigned(settings))) else { return Vec::new() };
    let peers = losses.0.iter().filter_map(|measured| match &measured.what {
        Measurement::Loss { payloads, pages, .. } if payloads.is_empty() => pages.assigned_to(),
        _ => None,
    });
    let scores = |uid| {
        Some(LossScores {
            uid,
            assigned_before: losses.loss(&Measurement::before(assigned(settings, uid)))?,
            assigned_after: losses.loss(&Measurement::after_one(uid, beta, assigned(settings, uid)))?,
            unassigned_before,
            unassigned_after: losses.loss(&Measurement::after_one(uid, beta, unassigned(settings)))?,
        })
    };
    peers.filter_map(scores).collect()
}
