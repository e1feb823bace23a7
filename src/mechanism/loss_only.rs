//! Gauntlet without proof of computation: peers are rated by the fall of the loss alone. It shows what the proof buys,
//! because here a good upload is paid even if another peer made it.

use serde::{Deserialize, Serialize};

use super::gauntlet::{Gains, Gauntlet, GauntletSettings, Rule};
use super::measure::{Measured, Measurement, Pages, Results};
use super::proof::LossScores;
use super::seam::{Mechanism, MechanismSettings, sampled};
use crate::Uid;
use crate::settings::Findings;

/// Gauntlet's settings; `proof_decay` has no effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LossOnlySettings(pub GauntletSettings);

impl MechanismSettings for LossOnlySettings {
    fn check(&self, found: &mut Findings) {
        self.0.check(found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(Gauntlet::new(self.0.clone(), NoProof, secret))
    }

    fn forward_passes(&self, pages: usize, _aggregated: usize) -> f64 {
        sampled(self.0.evaluated_fraction, pages) * (1.0 + self.0.evaluated_per_round as f64)
    }
}

struct NoProof;

impl NoProof {
    fn pages(settings: &GauntletSettings) -> Pages {
        Pages::whole(None, settings.evaluated_fraction)
    }
}

impl Rule for NoProof {
    fn measure(&self, settings: &GauntletSettings, chosen: &[Uid], _aggregated: &[Uid]) -> Vec<Measurement> {
        let pages = Self::pages(settings);
        let after = chosen.iter().map(|&uid| Measurement::after_one(uid, settings.beta_fraction, pages));
        [Measurement::before(pages)].into_iter().chain(after).collect()
    }

    fn gains(&self, settings: &GauntletSettings, _aggregated: &[Uid], losses: &Results) -> Vec<(Uid, Gains)> {
        let pages = Self::pages(settings);
        let Some(unassigned_before) = losses.loss(&Measurement::before(pages)) else { return Vec::new() };
        let gains = |measured: &Measured| {
            let Measurement::Loss { payloads, .. } = &measured.what else { return None };
            let [(uid, _)] = payloads[..] else { return None };
            let (assigned_before, assigned_after) = (f64::NAN, f64::NAN);
            let unassigned_after = measured.loss()?;
            let losses = LossScores { uid, assigned_before, assigned_after, unassigned_before, unassigned_after };
            Some((uid, Gains { losses, rank_by: losses.unassigned_gain(), proof: None }))
        };
        losses.0.iter().filter_map(gains).collect()
    }
}
