//! The successor of Gauntlet in the deployed network, after tplr-ai/templar v2.1.3 (September 2025).
//!
//! Ratings, proofs of computation and sync scores are Gauntlet's. The differences: pay goes by the rank of the score,
//! not by its square. The bin to evaluate is drawn, and peers within it by the rounds they have waited. The later of
//! two uploads with overlapping top-k indices is punished, and excluded for 200 rounds if they overlap by 60 %.
//! Negative evaluations are counted, but only shown, as in templar.
//!
//! Three things differ from templar. Nothing is burnt, because this chain has no coins (templar burns half). All
//! uploads that pass are compared, by this round's stamps (templar: those gathered, by the stamps of the round before).
//! A missing upload costs all peers the same (templar: more if it was to be aggregated, and everything if most of these
//! are missing).

mod pay;
mod settings;

use std::collections::BTreeMap;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

pub use settings::TemplarV2Settings;

use super::column::{Column, ColumnKind, rated};
use super::facts::Facts;
use super::measure::{Measurement, Pages, Results};
use super::openskill::{self, Rating};
use super::proof::{LossScores, averaged};
use super::ranking::{Candidate, Ranking, sort_by_score};
use super::saved;
use super::seam::{Mechanism, MechanismSettings, sampled};
use super::selection::draw_by_waiting;
use super::status::Status;
use super::sync::sync_score;
use crate::Uid;
use crate::random::{ChaCha8Rng, rng};
use crate::settings::Findings;

/// One validator's view of its peers.
pub struct TemplarV2 {
    settings: TemplarV2Settings,
    secret: u64,
    peers: BTreeMap<Uid, Peer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Peer {
    rating: Rating,
    proof_of_computation: f64,
    sync_score: f64,
    score: f64,
    seen: Option<(u64, Status)>,
    evaluated: Option<(u64, LossScores)>,
    /// Rounds since its last evaluation, starting at 1.
    waited: u64,
    absent: u64,
    /// The first round after its exclusion.
    excluded_until: u64,
    /// One bit per evaluation, the newest lowest, 1 if it was negative; and their number.
    negative: (u64, usize),
    paid: f64,
}

impl TemplarV2 {
    pub(super) fn new(settings: TemplarV2Settings, secret: u64) -> Self {
        Self { settings, secret, peers: BTreeMap::new() }
    }

    fn newcomer(&self) -> Peer {
        Peer {
            rating: Rating::newcomer(&self.settings.openskill),
            proof_of_computation: 0.0,
            sync_score: 0.0,
            score: 0.0,
            seen: None,
            evaluated: None,
            waited: 1,
            absent: 0,
            excluded_until: 0,
            negative: (0, 0),
            paid: 0.0,
        }
    }

    fn draw(&self, purpose: &str, round: u64) -> ChaCha8Rng {
        rng(self.secret, purpose, 0, round)
    }

    /// Makes a peer a newcomer that keeps its slot.
    fn reset(&mut self, uid: Uid) {
        let fresh = self.newcomer();
        if let Some(peer) = self.peers.get_mut(&uid) {
            let (seen, excluded_until, paid, absent) = (peer.seen, peer.excluded_until, peer.paid, peer.absent);
            *peer = Peer { seen, excluded_until, paid, absent, ..fresh };
        }
    }

    /// Punishes the later of two uploads that chose the same coefficients. Only the worst of several offences counts.
    fn punish_overlaps(&mut self, facts: &Facts) {
        let (high, max, mega) = (self.settings.overlap_high, self.settings.overlap_max, self.settings.overlap_mega);
        if high > 1.0 {
            return;
        }
        let salt = self.draw("overlap sample", facts.round).next_u64();
        let mut worst: BTreeMap<Uid, f64> = BTreeMap::new();
        for pair in facts.uploads.overlaps(high, salt) {
            if self.passed_in(pair.earlier, facts.round) && self.passed_in(pair.later, facts.round) {
                worst.entry(pair.later).and_modify(|most| *most = most.max(pair.shared)).or_insert(pair.shared);
            }
        }
        for (uid, shared) in worst {
            if shared >= max {
                self.reset(uid);
            }
            let exclusion = self.settings.exclusion_rounds;
            let Some(peer) = self.peers.get_mut(&uid) else { continue };
            peer.penalise(0.5);
            peer.seen = Some((facts.round, Status::Copy));
            if shared >= mega {
                peer.excluded_until = facts.round.saturating_add(exclusion);
                peer.seen = Some((facts.round, Status::Excluded));
            }
        }
    }

    fn passed_in(&self, uid: Uid, round: u64) -> bool {
        let seen = self.peers.get(&uid).and_then(|peer| peer.seen);
        seen.is_some_and(|(at, status)| at == round && status.may_be_aggregated())
    }

    fn candidates(&self, round: u64, score: impl Fn(&Peer) -> f64) -> Vec<Candidate> {
        let passed = self.peers.iter().filter(|(uid, _)| self.passed_in(**uid, round));
        let candidate = |(uid, peer): (&Uid, &Peer)| Candidate {
            uid: *uid,
            score: score(peer),
            waited: peer.waited,
            newcomer: peer.evaluated.is_none(),
            past_incentive: if peer.paid.is_finite() { peer.paid } else { 0.0 },
        };
        passed.map(candidate).collect()
    }

    /// The peers to evaluate, from a bin by rating, with odds by the rounds waited.
    fn chosen(&self, round: u64) -> Vec<Uid> {
        let wanted = self.settings.evaluated_per_round;
        let mut peers = self.candidates(round, |peer| peer.rating.ordinal());
        sort_by_score(&mut peers);
        let mut draw = self.draw("evaluation", round);
        let bins = if peers.len() < 5 * wanted { 1 } else { self.settings.bins };
        let bin = draw.random_range(0..bins);
        let (from, to) = (bin * peers.len() / bins, (bin + 1) * peers.len() / bins);
        let mut drawn = Vec::new();
        draw_by_waiting(&mut peers[from..to].to_vec(), wanted, 1, &mut draw, &mut drawn);
        drawn.sort_unstable();
        drawn
    }

    fn pages(&self, assigned_to: Option<Uid>) -> Pages {
        Pages::whole(assigned_to, self.settings.evaluated_fraction)
    }
}

impl Peer {
    /// Multiplies positive values only: a penalty must not help a peer below zero.
    fn penalise(&mut self, factor: f64) {
        if self.score > 0.0 {
            self.score *= factor;
            self.proof_of_computation *= if self.proof_of_computation > 0.0 { factor } else { 1.0 };
        }
    }

    fn count(&mut self, is_negative: bool, history: usize) {
        let (bits, seen) = self.negative;
        self.negative = (bits << 1 | u64::from(is_negative), (seen + 1).min(history));
    }

    /// Fraction of negative evaluations among the last ones.
    fn negative_part(&self) -> Option<f64> {
        let (bits, seen) = self.negative;
        let mask = u64::MAX.checked_shr(64 - seen as u32).unwrap_or(0);
        (seen > 0).then(|| f64::from((bits & mask).count_ones()) / seen as f64)
    }
}

impl Mechanism for TemplarV2 {
    fn arrive(&mut self, uid: Uid) {
        let newcomer = self.newcomer();
        self.peers.insert(uid, newcomer);
    }

    fn leave(&mut self, uid: Uid) {
        self.peers.remove(&uid);
    }

    fn observe(&mut self, facts: &Facts) {
        let (round, penalty, reset_after) =
            (facts.round, self.settings.failure_penalty, self.settings.inactivity_reset_rounds);
        for fact in &facts.peers {
            let steps = fact.steps_behind.unwrap_or(f64::INFINITY);
            let in_sync = steps <= self.settings.max_steps_behind;
            let exponent = self.settings.sync_exponent;
            let Some(peer) = self.peers.get_mut(&fact.uid) else { continue };
            let mut status = fact.arrival;
            if status == Status::Passed && !in_sync {
                status = Status::OutOfSync;
            }
            peer.absent = if status == Status::Absent { peer.absent + 1 } else { 0 };
            match status {
                Status::Passed => peer.sync_score = sync_score(steps, exponent),
                Status::Malformed => peer.penalise(0.0),
                _ => peer.penalise(penalty),
            }
            if round < peer.excluded_until {
                status = Status::Excluded;
            }
            peer.waited = peer.waited.saturating_add(1);
            peer.paid = fact.paid;
            peer.seen = Some((round, status));
            if peer.absent >= reset_after || status == Status::Excluded {
                self.reset(fact.uid);
            }
        }
        self.punish_overlaps(facts);
    }

    fn include(&self, round: u64, except: &[Uid]) -> Ranking {
        let mut candidates = self.candidates(round, |peer| peer.score);
        candidates.retain(|candidate| !except.contains(&candidate.uid));
        Ranking::by_score(candidates, &mut self.draw("included", round))
    }

    fn measure(&mut self, round: u64, _aggregated: &[Uid]) -> Vec<Measurement> {
        let chosen = self.chosen(round);
        let (unassigned, beta) = (self.pages(None), self.settings.beta_fraction);
        let of_peer = chosen.iter().flat_map(|&uid| {
            let own = self.pages(Some(uid));
            [
                Measurement::before(own),
                Measurement::after_one(uid, beta, own),
                Measurement::after_one(uid, beta, unassigned),
            ]
        });
        let before = (!chosen.is_empty()).then(|| Measurement::before(unassigned));
        before.into_iter().chain(of_peer).collect()
    }

    fn learn(&mut self, round: u64, _aggregated: &[Uid], losses: &Results) {
        let (unassigned, beta) = (self.pages(None), self.settings.beta_fraction);
        let Some(unassigned_before) = losses.loss(&Measurement::before(unassigned)) else { return };
        let scores = |uid: Uid| {
            let own = self.pages(Some(uid));
            Some(LossScores {
                uid,
                assigned_before: losses.loss(&Measurement::before(own))?,
                assigned_after: losses.loss(&Measurement::after_one(uid, beta, own))?,
                unassigned_before,
                unassigned_after: losses.loss(&Measurement::after_one(uid, beta, unassigned))?,
            })
        };
        let evaluated: Vec<LossScores> = self.peers.keys().copied().filter_map(scores).collect();
        let players: Vec<(Rating, f64)> =
            evaluated.iter().map(|scores| (self.peers[&scores.uid].rating, scores.unassigned_gain())).collect();
        let ratings = openskill::rate(&self.settings.openskill, &players);
        for (scores, rating) in evaluated.into_iter().zip(ratings) {
            let (decay, history) = (self.settings.proof_decay, self.settings.history);
            let Some(peer) = self.peers.get_mut(&scores.uid) else { continue };
            peer.rating = rating;
            peer.proof_of_computation = averaged(peer.proof_of_computation, scores.proof(), decay);
            peer.score = rating.ordinal() * peer.proof_of_computation.max(0.0) * peer.sync_score;
            peer.count(scores.unassigned_gain() < 0.0, history);
            // A copy found in this round keeps its penalty.
            if peer.seen == Some((round, Status::Copy)) {
                peer.score = peer.score.min(0.5 * peer.score);
            }
            peer.evaluated = Some((round, scores));
            peer.waited = 1;
        }
    }

    fn pay(&self) -> Vec<(Uid, f64)> {
        let mut ranked: Vec<(Uid, f64)> = self.peers.iter().map(|(uid, peer)| (*uid, peer.score)).collect();
        ranked.retain(|(_, score)| *score > 0.0 && score.is_finite());
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let shares = pay::by_rank(&self.settings, ranked.len());
        let paid: BTreeMap<Uid, f64> = ranked.iter().map(|(uid, _)| *uid).zip(shares).collect();
        self.peers.keys().map(|uid| (*uid, paid.get(uid).copied().unwrap_or(0.0))).collect()
    }

    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        let (at, status) = self.peers.get(&uid)?.seen?;
        (at == round).then_some(status)
    }

    fn columns(&self) -> Vec<Column> {
        let mut columns = rated();
        let label = "negative of the last evaluations, fraction";
        columns.push(Column::new("negative_evaluations", label, ColumnKind::Standing));
        columns
    }

    fn numbers(&self, uid: Uid, round: u64) -> Vec<Option<f64>> {
        let Some(peer) = self.peers.get(&uid) else { return vec![None; self.columns().len()] };
        let scores = peer.evaluated.filter(|(at, _)| *at == round).map(|(_, scores)| scores);
        vec![
            scores.map(|scores| scores.assigned_before - scores.assigned_after),
            scores.map(|scores| scores.unassigned_before - scores.unassigned_after),
            Some(peer.rating.mu),
            Some(peer.rating.sigma),
            Some(peer.proof_of_computation),
            Some(peer.score),
            peer.negative_part(),
        ]
    }

    fn save(&self) -> Vec<u8> {
        saved::save(&self.peers)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.peers = saved::restore(saved)?;
        Ok(())
    }
}

impl MechanismSettings for TemplarV2Settings {
    fn check(&self, found: &mut Findings) {
        Self::check(self, found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(TemplarV2::new(self.clone(), secret))
    }

    fn forward_passes(&self, pages: usize, _aggregated: usize) -> f64 {
        sampled(self.evaluated_fraction, pages) * (1.0 + 3.0 * self.evaluated_per_round as f64)
    }
}

#[cfg(test)]
mod tests;
