//! Pay for marginal value: Gauntlet, with peers ranked by how much further the loss falls with their upload than
//! without.
//!
//! For each evaluated peer the validator takes the full step of the round's aggregate with the peer's upload and
//! without it (leave-one-out), measures the loss on unassigned pages, and ranks peers by the difference. The average of
//! other uploads adds nothing to an aggregate that has them already, so it earns nothing here, although it ranks first
//! under the published rule. Proofs of computation, ratings, penalties and pay are Gauntlet's.

use serde::{Deserialize, Serialize};

use super::gauntlet::{Gains, Gauntlet, GauntletSettings, Rule, own_losses, own_steps};
use super::measure::{Measurement, Pages, Results};
use super::proof::LossScores;
use super::seam::{Mechanism, MechanismSettings, sampled};
use crate::Uid;
use crate::settings::Findings;

/// Gauntlet's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarginalSettings(pub GauntletSettings);

impl MechanismSettings for MarginalSettings {
    fn check(&self, found: &mut Findings) {
        self.0.check(found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(Gauntlet::new(self.0.clone(), LeaveOneOut, secret))
    }

    fn forward_passes(&self, pages: usize, aggregated: usize) -> f64 {
        // The aggregate with and without each peer. For an aggregated peer the former is the same measurement as for
        // the others.
        let more = sampled(self.0.evaluated_fraction, pages) * self.0.evaluated_per_round as f64;
        self.0.forward_passes(pages, aggregated) + 2.0 * more
    }
}

struct LeaveOneOut;

impl LeaveOneOut {
    /// The aggregate with and without a peer, in order of uid.
    fn pair(settings: &GauntletSettings, uid: Uid, aggregated: &[Uid]) -> [Measurement; 2] {
        let pages = Pages::whole(None, settings.evaluated_fraction);
        let without = || aggregated.iter().copied().filter(move |&other| other != uid);
        let mut with: Vec<Uid> = without().chain([uid]).collect();
        with.sort_unstable();
        [Measurement::after_all(with, pages), Measurement::after_all(without(), pages)]
    }
}

impl Rule for LeaveOneOut {
    fn measure(&self, settings: &GauntletSettings, chosen: &[Uid], aggregated: &[Uid]) -> Vec<Measurement> {
        let pairs = chosen.iter().flat_map(|&uid| Self::pair(settings, uid, aggregated));
        own_steps(settings, chosen).into_iter().chain(pairs).collect()
    }

    fn gains(&self, settings: &GauntletSettings, aggregated: &[Uid], losses: &Results) -> Vec<(Uid, Gains)> {
        let gains = |own: LossScores| {
            let [with, without] = Self::pair(settings, own.uid, aggregated);
            let (with, without) = (losses.loss(&with)?, losses.loss(&without)?);
            let gain = (without - with) / own.unassigned_before;
            let rank_by = if gain.is_finite() { gain } else { f64::NEG_INFINITY };
            Some((own.uid, Gains { losses: own, rank_by, proof: Some(own.proof()) }))
        };
        own_losses(settings, losses).into_iter().filter_map(gains).collect()
    }
}
