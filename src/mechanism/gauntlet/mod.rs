//! Gauntlet: which peers a validator believes, evaluates, aggregates and pays (Lidin et al., arXiv 2505.21684).
//!
//! A round, as a validator goes through it:
//! 1. `fast_evaluation` with the outcome of the cheap checks of every registered peer;
//! 2. `punish_copies` compares the uploads with one another;
//! 3. `choose_for_evaluation` names a few peers; the validator measures their losses; `primary_evaluation` turns those
//!    into ratings, proofs of computation and scores;
//! 4. `renew_list`, `included` for the peers to aggregate now, `incentives` for the weights to
//!    post.
//!
//! Nothing here does I/O, knows a clock or a tensor: numbers in, decisions out, and the state can be saved and resumed
//! bit for bit. Whatever comes from a peer's upload may be anything at all, and no peer is better off for it.
//!
//! What a rule is against: the put window, proof of computation and the comparison of uploads against copying; proof of
//! computation against training on pages of one's choice; the sync score and failures against desynchronised peers; the
//! rating against luck in a noisy measure; waiting and turns in the selection against peers that are honest only when
//! watched; the squared incentive against many names for one peer; the score of 0 for newcomers against coming back
//! under a new name.

pub mod fast;
pub mod overlap;
pub mod selection;
mod settings;
mod standing;

use std::collections::BTreeMap;

use rand::Rng;
use serde::{Deserialize, Serialize};

pub use fast::FastOutcome;
pub use overlap::{Copied, TensorIndices, Upload};
pub use settings::GauntletSettings;
pub use standing::PeerRecord;

use crate::Uid;
use crate::mechanism::openskill::Rating;
use crate::mechanism::proof::LossScores;
use crate::mechanism::{openskill, shares};
use crate::random::{ChaCha8Rng, rng};
use selection::{Candidate, PeerLists};

/// One validator's Gauntlet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gauntlet {
    settings: GauntletSettings,
    seed: u64,
    peers: BTreeMap<Uid, PeerRecord>,
    lists: PeerLists,
    /// What peers were paid before, as told with the last renewal of the list.
    past_incentives: BTreeMap<Uid, f64>,
}

impl Gauntlet {
    /// A Gauntlet that knows no peer. `seed` is the validator's own: peers must not foresee its draws.
    pub fn new(settings: GauntletSettings, seed: u64) -> Self {
        Self { settings, seed, peers: BTreeMap::new(), lists: PeerLists::default(), past_incentives: BTreeMap::new() }
    }

    /// Makes a slot known, as a newcomer. A known one stays as it is.
    pub fn register(&mut self, uid: Uid) {
        self.peers.entry(uid).or_insert_with(|| PeerRecord::newcomer(&self.settings));
    }

    /// Makes a slot a newcomer's: it has another owner, who inherits nothing, neither reputation nor a place among the
    /// aggregated.
    pub fn reset(&mut self, uid: Uid) {
        self.deregister(uid);
        self.register(uid);
    }

    /// Forgets a slot.
    pub fn deregister(&mut self, uid: Uid) {
        self.peers.remove(&uid);
        self.past_incentives.remove(&uid);
        self.lists.remove(uid);
    }

    /// What is known about a peer.
    pub fn peer(&self, uid: Uid) -> Option<&PeerRecord> {
        self.peers.get(&uid)
    }

    /// All peers, by uid.
    pub fn peers(&self) -> impl Iterator<Item = (Uid, &PeerRecord)> {
        self.peers.iter().map(|(uid, record)| (*uid, record))
    }

    /// Stage 1. Once a round, with the outcomes of all peers that were looked at; others are left as they are, unknown
    /// ones ignored.
    pub fn fast_evaluation(&mut self, round: u64, outcomes: &[(Uid, FastOutcome)]) {
        for (uid, outcome) in outcomes {
            if let Some(record) = self.peers.get_mut(uid) {
                // A second outcome of the same round would be a second penalty for one upload.
                if record.status_in(round).is_none() {
                    record.check(&self.settings, round, *outcome);
                }
            }
        }
    }

    /// Compares this round's uploads and takes the score of copies, half or all of it. Uploads that did not pass need
    /// not be given.
    pub fn punish_copies(&mut self, round: u64, uploads: &[Upload]) -> Vec<Copied> {
        let (half, zero) = (self.settings.copy_overlap_half, self.settings.copy_overlap_zero);
        let salt = self.draw("overlap sample", round).next_u64();
        let found = overlap::copies(uploads, half.min(zero), salt);
        let mut factors: BTreeMap<Uid, f64> = BTreeMap::new();
        for copied in &found {
            let factor = if copied.overlap >= zero { 0.0 } else { 0.5 };
            // Sharing with several others is one offence, the worst of them.
            factors.entry(copied.copy).and_modify(|worst| *worst = worst.min(factor)).or_insert(factor);
        }
        for (uid, factor) in factors {
            if let Some(record) = self.peers.get_mut(&uid) {
                record.found_copying(factor);
            }
        }
        found
    }

    /// The peers whose losses are to be measured in this round, among those that passed.
    pub fn choose_for_evaluation(&self, round: u64) -> Vec<Uid> {
        let mut draw = self.draw("evaluation", round);
        let GauntletSettings { evaluated_per_round, bins, .. } = self.settings;
        selection::draw_for_evaluation(self.passed(round), evaluated_per_round, bins, round, &mut draw)
    }

    /// Stage 2: ranks the peers evaluated together by their relative gain on unassigned pages, and updates ratings,
    /// proofs of computation and scores. An upload that makes a loss infinite or not a number ranks last. Unknown and
    /// repeated uids are ignored.
    pub fn primary_evaluation(&mut self, round: u64, results: &[LossScores]) {
        let known: BTreeMap<Uid, LossScores> =
            results.iter().rev().filter(|r| self.peers.contains_key(&r.uid)).map(|r| (r.uid, *r)).collect();
        let players: Vec<(Rating, f64)> =
            known.values().map(|result| (self.peers[&result.uid].rating, result.unassigned_gain())).collect();
        let ratings = openskill::rate(&self.settings.openskill, &players);
        for (result, rating) in known.values().zip(ratings) {
            if let Some(record) = self.peers.get_mut(&result.uid) {
                record.evaluate(&self.settings, round, rating, *result);
            }
        }
    }

    /// Each round, before `included`: every `list_every` rounds a new list of peers to aggregate is made, which comes
    /// into force `list_delay` rounds later, so that everybody has heard of it by then. `past_incentives` are the
    /// chain's, for as long as too few have a score.
    pub fn renew_list(&mut self, round: u64, past_incentives: &[(Uid, f64)]) {
        self.past_incentives =
            past_incentives.iter().copied().filter(|(uid, _)| self.peers.contains_key(uid)).collect();
        if round.is_multiple_of(self.settings.list_every.max(1)) {
            let mut draw = self.draw("peer list", round);
            let list = self.choose_list(round, &mut draw);
            self.lists.announce(round, round + self.settings.list_delay, list);
        }
    }

    /// The peers to aggregate in this round: those of the list in force that passed, and others that passed where these
    /// are too few. Before the first list is in force, what a list made now would say.
    pub fn included(&self, round: u64) -> Vec<Uid> {
        let mut draw = self.draw("included", round);
        let mut included = match self.lists.in_force(round) {
            Some(list) => list.iter().copied().filter(|uid| self.has_passed(*uid, round)).collect(),
            None => self.choose_list(round, &mut draw),
        };
        let least = self.settings.min_peers.min(self.settings.top_peers);
        let others = self.passed(round).into_iter().filter(|other| !included.contains(&other.uid)).collect();
        selection::fill(&mut included, others, least, &mut draw);
        included.sort_unstable();
        included
    }

    /// The pay of each peer as a share: they sum to 1, or are all 0 while no score is positive.
    pub fn incentives(&self) -> Vec<(Uid, f64)> {
        let scores = self.peers.iter().map(|(uid, record)| (*uid, record.peer_score));
        shares::shares(scores, self.settings.incentive_power)
    }

    fn choose_list(&self, round: u64, draw: &mut ChaCha8Rng) -> Vec<Uid> {
        selection::choose_list(self.passed(round), self.settings.top_peers, self.settings.min_peers, draw)
    }

    fn has_passed(&self, uid: Uid, round: u64) -> bool {
        self.peers.get(&uid).is_some_and(|record| record.passed_in(round))
    }

    fn passed(&self, round: u64) -> Vec<Candidate> {
        let passed = self.peers.iter().filter(|(_, record)| record.passed_in(round));
        passed
            .map(|(&uid, record)| Candidate {
                uid,
                score: record.peer_score,
                waited: record.waited,
                newcomer: record.evaluated.is_none(),
                past_incentive: self.past_incentives.get(&uid).copied().filter(|paid| paid.is_finite()).unwrap_or(0.0),
            })
            .collect()
    }

    fn draw(&self, purpose: &str, round: u64) -> ChaCha8Rng {
        rng(self.seed, purpose, 0, round)
    }
}

#[cfg(test)]
mod tests;
