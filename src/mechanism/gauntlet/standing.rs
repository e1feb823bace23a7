//! A validator's record of one peer, and how a round changes it.

use serde::{Deserialize, Serialize};

use super::rule::Gains;
use super::settings::GauntletSettings;
use crate::mechanism::openskill::Rating;
use crate::mechanism::proof::averaged;
use crate::mechanism::status::Status;
use crate::mechanism::sync::sync_score;

/// A validator's record of a peer.
///
/// PeerScore = LossRating * max(0, proof of computation) * sync score. An evaluation sets the product of the first two
/// factors, and each penalty cuts it until the next evaluation sets it again. The sync score comes from the last upload
/// that passed. So a penalty hits at once, long before the peer's turn to be evaluated, and the peer earns its way back
/// by evaluations. Penalties that must outlast an evaluation also cut the proof of computation, which recovers step by
/// step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerRecord {
    /// OpenSkill rating; its ordinal is the LossRating.
    pub rating: Rating,
    /// Exponential average of the proofs of computation, -1 to 1.
    pub proof_of_computation: f64,
    /// Sync score of the last upload that passed, 0 to 1.
    pub sync_score: f64,
    /// Sets the peer's pay, and its place in evaluation and aggregation. 0 for newcomers, less for harmful peers.
    pub peer_score: f64,
    /// The last fast evaluation: round and outcome.
    pub checked: Option<(u64, Status)>,
    /// The last primary evaluation: round and losses.
    pub evaluated: Option<(u64, Gains)>,
    /// Rounds since its last primary evaluation in which it could have been evaluated.
    pub waited: u64,
    /// Rounds without an upload until now.
    pub inactive_rounds: u64,
    /// LossRating * max(0, proof of computation) at the last evaluation, cut by the penalties since.
    earned: f64,
    /// Factor from this round's comparison with other uploads: 1, one half or 0.
    copy_factor: f64,
}

impl PeerRecord {
    pub(super) fn newcomer(settings: &GauntletSettings) -> Self {
        Self {
            rating: Rating::newcomer(&settings.openskill),
            proof_of_computation: 0.0,
            sync_score: 0.0,
            peer_score: 0.0,
            checked: None,
            evaluated: None,
            waited: 0,
            inactive_rounds: 0,
            earned: 0.0,
            copy_factor: 1.0,
        }
    }

    /// Outcome of the fast evaluation, if there was one in `round`.
    pub fn status_in(&self, round: u64) -> Option<Status> {
        self.checked.and_then(|(checked, status)| (checked == round).then_some(status))
    }

    /// Losses of the primary evaluation, if there was one in `round`.
    pub fn evaluated_in(&self, round: u64) -> Option<Gains> {
        self.evaluated.and_then(|(evaluated, scores)| (evaluated == round).then_some(scores))
    }

    pub(super) fn passed_in(&self, round: u64) -> bool {
        self.status_in(round).is_some_and(Status::may_be_aggregated)
    }

    /// Applies the cheap checks of a round. `steps` is how far the model of a well-formed upload in time is away.
    pub(super) fn check(&mut self, settings: &GauntletSettings, round: u64, arrival: Status, steps: Option<f64>) {
        self.copy_factor = 1.0;
        let steps = steps.unwrap_or(f64::INFINITY);
        let in_sync = steps <= settings.max_steps_behind;
        let status = if arrival == Status::Passed && !in_sync { Status::OutOfSync } else { arrival };
        match status {
            Status::Passed => {
                self.waited = self.waited.saturating_add(1);
                self.sync_score = sync_score(steps, settings.sync_exponent);
            }
            Status::Absent => self.earned = cut(self.earned, settings.inactivity_penalty),
            Status::Malformed => {
                self.fail(settings);
                self.earned = cut(self.earned, 0.0);
            }
            _ => self.fail(settings),
        }
        self.inactive_rounds = if status == Status::Absent { self.inactive_rounds + 1 } else { 0 };
        if self.inactive_rounds >= settings.inactivity_reset_rounds {
            // An abandoned slot keeps no reputation for its next user. A peer can shed a bad rating this way too, but
            // it forgoes the pay of all these rounds and starts at a score of 0, like any newcomer.
            *self = Self::newcomer(settings);
        }
        self.checked = Some((round, status));
        self.rescore();
    }

    /// A failure of a peer that is present. It cuts the proof of computation too; otherwise a peer that only passes in
    /// the rounds of its evaluation would keep its full score.
    fn fail(&mut self, settings: &GauntletSettings) {
        self.earned = cut(self.earned, settings.failure_penalty);
        self.proof_of_computation = cut(self.proof_of_computation, settings.failure_penalty);
    }

    /// Cuts the score of an upload that repeats another's coefficients, now and in an evaluation of this round.
    pub(super) fn found_copying(&mut self, factor: f64) {
        self.copy_factor = factor;
        if let Some((_, status)) = &mut self.checked {
            *status = Status::Copy;
        }
        self.earned = cut(self.earned, factor);
        self.rescore();
    }

    /// Applies a primary evaluation; `rating` is the rating after the round's ranking.
    pub(super) fn evaluate(&mut self, settings: &GauntletSettings, round: u64, rating: Rating, gains: Gains) {
        self.rating = rating;
        self.proof_of_computation = match gains.proof {
            Some(proof) => averaged(self.proof_of_computation, proof, settings.proof_decay),
            None => 1.0,
        };
        self.earned = cut(rating.ordinal() * self.proof_of_computation.max(0.0), self.copy_factor);
        self.evaluated = Some((round, gains));
        self.waited = 0;
        self.rescore();
    }

    fn rescore(&mut self) {
        self.peer_score = self.earned * self.sync_score;
    }
}

/// Applies a penalty: multiplies a positive value by `factor`. A negative value stays, because moving it towards 0
/// would reward the failure.
fn cut(value: f64, factor: f64) -> f64 {
    if value > 0.0 { value * factor } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::mechanism::proof::LossScores;

    fn pass(record: &mut PeerRecord, settings: &GauntletSettings, round: u64, steps: f64) {
        record.check(settings, round, Status::Passed, Some(steps));
    }

    fn earning(settings: &GauntletSettings) -> PeerRecord {
        let mut record = PeerRecord::newcomer(settings);
        pass(&mut record, settings, 0, 0.0);
        let losses = LossScores {
            uid: 0,
            assigned_before: 2.0,
            assigned_after: 1.8,
            unassigned_before: 2.0,
            unassigned_after: 1.9,
        };
        let good = Gains { losses, rank_by: 0.0, proof: Some(losses.proof()) };
        record.evaluate(settings, 0, Rating { mu: 30.0, sigma: 5.0 }, good);
        record
    }

    #[test]
    fn peer_score_is_the_product() {
        let record = earning(&GauntletSettings::default());
        assert!((record.peer_score - 15.0 * 0.05).abs() < 1e-12);
        assert_eq!(record.waited, 0);
        assert!(record.evaluated_in(0).is_some() && record.evaluated_in(1).is_none());
    }

    #[test]
    fn failures_cut_score_and_proof_but_absence_only_the_score() {
        let settings = GauntletSettings::default();
        for (outcome, score, proof) in [
            (Status::TooEarly, 0.75, 0.75),
            (Status::TooLate, 0.75, 0.75),
            (Status::Passed, 0.75, 0.75),
            (Status::Malformed, 0.0, 0.75),
            (Status::Absent, 0.75, 1.0),
        ] {
            let mut record = earning(&settings);
            let before = record.clone();
            record.check(&settings, 1, outcome, (outcome == Status::Passed).then_some(9.0));
            assert!((record.peer_score - score * before.peer_score).abs() < 1e-12, "{outcome:?}");
            assert!((record.proof_of_computation - proof * before.proof_of_computation).abs() < 1e-12, "{outcome:?}");
        }
    }

    #[test]
    fn a_penalty_never_lifts_what_is_negative() {
        let settings = GauntletSettings::default();
        let mut record = earning(&settings);
        record.earned = -4.0;
        record.proof_of_computation = -0.2;
        record.check(&settings, 1, Status::Malformed, None);
        assert_eq!((record.earned, record.proof_of_computation), (-4.0, -0.2));
    }

    #[test]
    fn a_long_absence_makes_a_newcomer() {
        let settings = GauntletSettings::default();
        let mut record = earning(&settings);
        for round in 1..25 {
            record.check(&settings, round, Status::Absent, None);
        }
        assert!((record.peer_score - 0.75 * 0.75f64.powi(24)).abs() < 1e-12);
        record.check(&settings, 25, Status::Absent, None);
        assert_eq!(record.rating, Rating::newcomer(&settings.openskill));
        assert_eq!(record.peer_score, 0.0);
        assert_eq!(record.status_in(25), Some(Status::Absent));
    }

    #[test]
    fn presence_ends_an_absence() {
        let settings = GauntletSettings::default();
        let mut record = earning(&settings);
        for round in 1..100 {
            let status = if round % 20 == 0 { Status::TooLate } else { Status::Absent };
            record.check(&settings, round, status, None);
        }
        assert_eq!(record.rating.mu, 30.0);
    }

    #[test]
    fn lagging_costs_at_once_and_catching_up_restores() {
        let settings = GauntletSettings::default();
        let mut record = earning(&settings);
        pass(&mut record, &settings, 1, 2.5);
        assert!((record.peer_score - 0.75 * 0.5f64.powf(2.5)).abs() < 1e-12);
        pass(&mut record, &settings, 2, 0.0);
        assert!((record.peer_score - 0.75).abs() < 1e-12);
    }

    #[test]
    fn an_evaluation_in_the_round_of_a_copy_does_not_restore_the_score() {
        let settings = GauntletSettings::default();
        let mut record = earning(&settings);
        pass(&mut record, &settings, 1, 0.0);
        record.found_copying(0.0);
        let (_, scores) = record.evaluated.unwrap();
        record.evaluate(&settings, 1, record.rating, scores);
        assert_eq!(record.peer_score, 0.0);
        pass(&mut record, &settings, 2, 0.0);
        record.evaluate(&settings, 2, record.rating, scores);
        assert!(record.peer_score > 0.0);
    }
}
