//! Gauntlet: which peers a validator believes, evaluates, aggregates and pays (Lidin et al., arXiv 2505.21684).
//!
//! Each round starts with cheap checks of all peers, with penalties for failures (stage 1). A few of the peers that
//! passed are then drawn and evaluated: the effect of their uploads on the loss sets ratings, proofs of computation and
//! scores (stage 2). Peers are aggregated by score and paid by its square.
//!
//! Each rule counters an abuse. The put window, proof of computation and the comparison of uploads deter copying; proof
//! of computation also deters training on pages of one's choice. The sync score and failures deter desynchronised
//! peers. The rating averages out luck in a noisy measure. Waiting times and turns in the selection catch peers that
//! are honest only when watched. The squared incentive makes it costly to split one peer into many names, and a score
//! of 0 for newcomers makes it useless to return under a new one.

mod rule;
mod settings;
mod standing;

use std::collections::BTreeMap;

use rand::Rng;
use serde::{Deserialize, Serialize};

pub use rule::{Gains, Published, Rule, own_losses, own_steps};
pub use settings::GauntletSettings;
pub use standing::PeerRecord;

use super::column::{Column, rated};
use super::facts::Facts;
use super::measure::{Measurement, Results};
use super::openskill::{self, Rating};
use super::ranking::{Candidate, Ranking};
use super::saved;
use super::seam::{Mechanism, MechanismSettings, sampled};
use super::selection::draw_for_evaluation;
use super::shares::shares;
use super::status::Status;
use crate::Uid;
use crate::random::{ChaCha8Rng, rng};
use crate::settings::Findings;

/// One validator's Gauntlet. `R` sets what is measured and how peers are ranked.
pub struct Gauntlet<R = Published> {
    settings: GauntletSettings,
    rule: R,
    secret: u64,
    state: State,
}

/// What persists from round to round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    peers: BTreeMap<Uid, PeerRecord>,
    /// Each peer's latest pay on the chain.
    past_incentives: BTreeMap<Uid, f64>,
}

impl<R: Rule> Gauntlet<R> {
    /// A Gauntlet without peers. `secret` is private to the validator: peers must not foresee its draws.
    pub fn new(settings: GauntletSettings, rule: R, secret: u64) -> Self {
        Self { settings, rule, secret, state: State::default() }
    }

    /// Compares this round's uploads, and takes half or all of the score of copies.
    fn punish_copies(&mut self, facts: &Facts) {
        let (half, zero) = (self.settings.copy_overlap_half, self.settings.copy_overlap_zero);
        let least = half.min(zero);
        // The comparison is off if both limits are above 1.
        if least > 1.0 {
            return;
        }
        let salt = self.draw("overlap sample", facts.round).next_u64();
        let mut factors: BTreeMap<Uid, f64> = BTreeMap::new();
        for pair in facts.uploads.overlaps(least, salt) {
            if !self.passed_in(pair.earlier, facts.round) || !self.passed_in(pair.later, facts.round) {
                continue;
            }
            let factor = if pair.shared >= zero { 0.0 } else { 0.5 };
            // Copying from several peers counts once, by the worst case.
            factors.entry(pair.later).and_modify(|worst| *worst = worst.min(factor)).or_insert(factor);
        }
        for (uid, factor) in factors {
            if let Some(record) = self.state.peers.get_mut(&uid) {
                record.found_copying(factor);
            }
        }
    }

    /// The peers to evaluate in this round, drawn from those that passed.
    fn chosen(&self, round: u64) -> Vec<Uid> {
        let GauntletSettings { evaluated_per_round, bins, .. } = self.settings;
        // Bins take turns.
        let turn = |bins| (round % bins as u64) as usize;
        draw_for_evaluation(
            self.candidates(round),
            evaluated_per_round,
            bins,
            turn,
            &mut self.draw("evaluation", round),
        )
    }

    fn passed_in(&self, uid: Uid, round: u64) -> bool {
        self.state.peers.get(&uid).is_some_and(|record| record.passed_in(round))
    }

    fn candidates(&self, round: u64) -> Vec<Candidate> {
        let State { peers, past_incentives } = &self.state;
        let passed = peers.iter().filter(|(_, record)| record.passed_in(round));
        let past = |uid: &Uid| past_incentives.get(uid).copied().filter(|paid: &f64| paid.is_finite()).unwrap_or(0.0);
        let candidate = |(uid, record): (&Uid, &PeerRecord)| Candidate {
            uid: *uid,
            score: record.peer_score,
            waited: record.waited,
            newcomer: record.evaluated.is_none(),
            past_incentive: past(uid),
        };
        passed.map(candidate).collect()
    }

    fn draw(&self, purpose: &str, round: u64) -> ChaCha8Rng {
        rng(self.secret, purpose, 0, round)
    }
}

impl<R: Rule> Mechanism for Gauntlet<R> {
    fn arrive(&mut self, uid: Uid) {
        self.leave(uid);
        self.state.peers.insert(uid, PeerRecord::newcomer(&self.settings));
    }

    fn leave(&mut self, uid: Uid) {
        self.state.peers.remove(&uid);
        self.state.past_incentives.remove(&uid);
    }

    fn observe(&mut self, facts: &Facts) {
        for peer in &facts.peers {
            let Some(record) = self.state.peers.get_mut(&peer.uid) else { continue };
            // Checking a peer twice in a round would penalise one upload twice.
            if record.status_in(facts.round).is_none() {
                record.check(&self.settings, facts.round, peer.arrival, peer.steps_behind);
            }
        }
        self.punish_copies(facts);
        let known = facts.peers.iter().filter(|peer| self.state.peers.contains_key(&peer.uid));
        self.state.past_incentives = known.map(|peer| (peer.uid, peer.paid)).collect();
    }

    fn include(&self, round: u64, except: &[Uid]) -> Ranking {
        let mut candidates = self.candidates(round);
        candidates.retain(|candidate| !except.contains(&candidate.uid));
        Ranking::by_score(candidates, &mut self.draw("included", round))
    }

    fn measure(&mut self, round: u64, aggregated: &[Uid]) -> Vec<Measurement> {
        let chosen = self.chosen(round);
        if chosen.is_empty() {
            return Vec::new();
        }
        self.rule.measure(&self.settings, &chosen, aggregated)
    }

    /// Ranks the evaluated peers by their gain, and updates ratings, proofs of computation and scores. An upload with
    /// an infinite or NaN loss ranks last.
    fn learn(&mut self, round: u64, aggregated: &[Uid], losses: &Results) {
        let evaluated: BTreeMap<Uid, Gains> = self.rule.gains(&self.settings, aggregated, losses).into_iter().collect();
        let known: Vec<(Uid, Gains)> =
            evaluated.into_iter().filter(|(uid, _)| self.state.peers.contains_key(uid)).collect();
        let players: Vec<(Rating, f64)> =
            known.iter().map(|(uid, gains)| (self.state.peers[uid].rating, gains.rank_by)).collect();
        let ratings = openskill::rate(&self.settings.openskill, &players);
        for ((uid, gains), rating) in known.into_iter().zip(ratings) {
            if let Some(record) = self.state.peers.get_mut(&uid) {
                record.evaluate(&self.settings, round, rating, gains);
            }
        }
    }

    fn pay(&self) -> Vec<(Uid, f64)> {
        let scores = self.state.peers.iter().map(|(uid, record)| (*uid, record.peer_score));
        shares(scores, self.settings.incentive_power)
    }

    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        self.state.peers.get(&uid)?.status_in(round)
    }

    fn columns(&self) -> Vec<Column> {
        rated()
    }

    fn numbers(&self, uid: Uid, round: u64) -> Vec<Option<f64>> {
        let Some(record) = self.state.peers.get(&uid) else { return vec![None; rated().len()] };
        let gains = record.evaluated_in(round);
        vec![
            gains
                .filter(|gains| !gains.losses.assigned_before.is_nan())
                .map(|gains| gains.losses.assigned_before - gains.losses.assigned_after),
            gains.map(|gains| gains.losses.unassigned_before - gains.losses.unassigned_after),
            Some(record.rating.mu),
            Some(record.rating.sigma),
            Some(record.proof_of_computation),
            Some(record.peer_score),
        ]
    }

    fn save(&self) -> Vec<u8> {
        saved::save(&self.state)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.state = saved::restore(saved)?;
        Ok(())
    }
}

impl MechanismSettings for GauntletSettings {
    fn check(&self, found: &mut Findings) {
        Self::check(self, found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(Gauntlet::new(self.clone(), Published, secret))
    }

    /// One pass over unassigned pages before the step; per peer, its assigned pages before and after, and the
    /// unassigned ones after.
    fn forward_passes(&self, pages: usize, _aggregated: usize) -> f64 {
        sampled(self.evaluated_fraction, pages) * (1.0 + 3.0 * self.evaluated_per_round as f64)
    }
}

#[cfg(test)]
mod tests;
