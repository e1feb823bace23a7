//! Pay for work that audits have proven.
//!
//! The pages of a round are assigned, and honest work is the same on every machine that computes the same bits. So a validator can do
//! a peer's work of a round again, and see whether the same upload comes out. It draws a peer or so in each round, in secret, after all
//! have uploaded. An upload commits to the training state that the work started from and to the one that it ended with. A peer
//! that is drawn has to show the first.
//!
//! The state must be the one that the last upload ended with. So what an audit proves reaches back: a peer cannot choose a state that fits
//! an upload, nor drop what it keeps from round to round.
//!
//! A peer is paid in arrears: an audit that it passes proves the work that it says it has done since the last one. One that it
//! fails proves nothing of it, and costs more than was to be gained: what is still to be paid, and the next rounds of proven work. Otherwise a peer could rest
//! when it has just been audited, and has little to lose. A peer that comes later than the first ones begins with the
//! same debt, so that a new key is no way out. The first audit of a peer proves nothing, and any other no more than some rounds like the one that was
//! audited: otherwise who has nothing to lose could send anything, and work when it is audited.
//!
//! A new network pays nobody until most peers have been audited, because the pay of a round is shared by those that have proven something.
//!
//! Nothing here asks how good an upload is, so nothing can be won by making it look better. And whatever is cheaper than the
//! work is not the work.

mod record;
mod settings;

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use self::record::Record;
pub use self::settings::AuditSettings;
use super::column::{Column, ColumnKind};
use super::facts::Facts;
use super::measure::{Outcome, PASSES_OF_GRADIENT, Results};
use super::ranking::Ranking;
use super::saved;
use super::seam::{Mechanism, MechanismSettings};
use super::shares::shares;
use super::status::Status;
use crate::random::{ChaCha8Rng, rng};
use crate::settings::Findings;
use crate::{NOBODY, Uid};

/// The column that says what came of audits.
pub const COLUMN: &str = "audit";
/// Its number where the work came out differently.
pub const DIFFERS: f64 = -1.0;

/// One validator's judge.
struct Audit {
    settings: AuditSettings,
    secret: u64,
    known: Known,
}

/// What it knows.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    peers: BTreeMap<Uid, Record>,
    /// The first round in which anybody passed, and the last one that was observed.
    rounds: Option<(u64, u64)>,
    /// Rounds from one audit of a regular peer to the next, on average, with as many peers as passed lately.
    interval: f64,
    /// Whether anybody is paid yet.
    pays: bool,
    /// The last round in which it audited anybody.
    heard: u64,
    /// The last round whose audits it has taken in. A validator that starts over from a checkpoint makes some again.
    learned: Option<u64>,
}

/// Intervals in which a new network pays nobody. Otherwise the few whose work is proven first would get all of the pay, and those of
/// them that work no more would be paid twice for what they did.
const UNPAID: f64 = 2.0;

/// In a young network, coming late costs so many times what those there have done. With once, who has sent anything from the first
/// round on and is found out could begin anew and lose nothing.
const AGES: f64 = 2.0;

/// The interval follows the number of peers that pass. Downwards it keeps this part of itself in a round: an outage is no reason to pay off all
/// that is still to be paid.
const KEEPS: f64 = 0.9;

/// Without any audit for so many intervals, and so many rounds, nobody is paid: otherwise pay would stay with those who had earned it once.
const SILENT: (f64, f64) = (3.0, 10.0);

/// The part of the draws that those have who are not regular.
fn share(regular: usize, others: usize) -> f64 {
    (others as f64 / (regular + others).max(1) as f64).min(0.5)
}

impl Audit {
    /// The peers that passed in a round, by uid: regular ones, and others.
    fn passed(&self, round: u64) -> (Vec<Uid>, Vec<Uid>) {
        let passed = self.known.peers.iter().filter(|(_, record)| record.passed_in(round)).map(|(uid, _)| *uid);
        passed.partition(|uid| self.known.peers[uid].is_regular())
    }

    /// Whether there has been no audit for long.
    fn is_silent(&self, round: u64) -> bool {
        let (intervals, rounds) = SILENT;
        round.saturating_sub(self.known.heard) as f64 > rounds.max(intervals * self.known.interval)
    }

    /// What a failed audit costs, in rounds of work.
    fn price(&self) -> f64 {
        self.settings.penalty * self.known.interval
    }

    /// Pays off a part of all credits.
    fn pay_off(&mut self, round: u64) {
        if self.known.pays && !self.is_silent(round) {
            let left = 1.0 - 1.0 / self.known.interval;
            self.known.peers.values_mut().for_each(|record| record.credit *= left);
        }
    }

    /// Takes in how many peers have passed in a round: how long a regular one waits for an audit.
    fn count(&mut self, round: u64, regular: usize, others: usize) {
        let (first, _) = *self.known.rounds.get_or_insert((round, round));
        self.known.rounds = Some((first, round));
        let now = regular as f64 / (self.settings.audited_per_round * (1.0 - share(regular, others)));
        self.known.interval = now.max(KEEPS * self.known.interval).max(1.0);
        self.known.pays |= (round + 1 - first) as f64 > UNPAID * self.known.interval;
    }

    fn draw(&self, purpose: &str, round: u64) -> ChaCha8Rng {
        rng(self.secret, purpose, 0, round)
    }
}

impl Mechanism for Audit {
    fn arrive(&mut self, uid: Uid) {
        let record = match self.known.rounds {
            // Those that are there from the beginning owe nothing.
            None => Record::default(),
            Some((first, last)) => Record::late(self.price().min(AGES * (last + 1 - first) as f64)),
        };
        self.known.peers.insert(uid, record);
    }

    fn leave(&mut self, uid: Uid) {
        self.known.peers.remove(&uid);
    }

    fn observe(&mut self, facts: &Facts) {
        for peer in &facts.peers {
            if let Some(record) = self.known.peers.get_mut(&peer.uid) {
                record.observe(facts.round, peer);
            }
        }
        let (regular, others) = self.passed(facts.round);
        let is_new = self.known.rounds.is_none_or(|(_, last)| facts.round > last);
        // In a round in which nobody could work, nobody is paid off. Before the first one in which somebody did, there is no network.
        if is_new && !(regular.is_empty() && others.is_empty()) {
            self.pay_off(facts.round);
            self.count(facts.round, regular.len(), others.len());
        } else if is_new && let Some((_, last)) = &mut self.known.rounds {
            *last = facts.round;
        }
    }

    /// Peers that have passed their last audit, those that did most in it first. Newcomers fill up; those that failed do not.
    fn include(&self, round: u64, except: &[Uid]) -> Ranking {
        let (mut uids, mut others) = self.passed(round);
        uids.append(&mut others);
        uids.sort_unstable();
        uids.retain(|uid| !except.contains(uid));
        uids.shuffle(&mut self.draw("included", round));
        let record = |uid: &Uid| &self.known.peers[uid];
        let (mut earned, mut others): (Vec<Uid>, Vec<Uid>) = uids.iter().partition(|uid| record(uid).is_proven());
        earned.sort_by(|a, b| record(b).shown.total_cmp(&record(a).shown));
        others.retain(|uid| record(uid).audited.is_none());
        earned.append(&mut others);
        Ranking { earned, others }
    }

    /// Draws the peers to audit in a round, by uid. Draws have no memory. However many peers are not regular, they get half of the draws at most.
    fn audit(&mut self, round: u64) -> Vec<Uid> {
        let mut random = self.draw("audits", round);
        let (mut regular, mut others) = self.passed(round);
        let (whole, part) = (self.settings.audited_per_round.trunc(), self.settings.audited_per_round.fract());
        let wanted = whole as usize + usize::from(random.random_bool(part));
        let mut chosen = Vec::new();
        while chosen.len() < wanted && !(regular.is_empty() && others.is_empty()) {
            let is_other = regular.is_empty() || random.random_bool(share(regular.len(), others.len()));
            let pool = if is_other { &mut others } else { &mut regular };
            chosen.push(pool.swap_remove(random.random_range(0..pool.len())));
        }
        chosen.sort_unstable();
        chosen
    }

    fn learn(&mut self, round: u64, _aggregated: &[Uid], results: &Results) {
        if self.known.learned.is_some_and(|last| last >= round) {
            return;
        }
        self.known.learned = Some(round);
        // As much as a new key has to lose before its next audit, and what it may do until that.
        let most = (self.settings.penalty + 1.0) * self.known.interval;
        let price = self.price();
        for (uid, record) in &mut self.known.peers {
            if let Some(outcome) = results.audit(*uid) {
                record.learn(round, outcome, (most, price));
                self.known.heard = round;
            }
        }
    }

    fn pay(&self) -> Vec<(Uid, f64)> {
        if self.known.rounds.is_some_and(|(_, last)| !self.known.pays || self.is_silent(last)) {
            return vec![(NOBODY, 1.0)];
        }
        shares(self.known.peers.iter().map(|(&uid, record)| (uid, record.credit)), 1.0)
    }

    fn status(&self, uid: Uid, round: u64) -> Option<Status> {
        self.known.peers.get(&uid)?.seen.filter(|(seen, _)| *seen == round).map(|(_, status)| status)
    }

    fn columns(&self) -> Vec<Column> {
        use ColumnKind::{Measured, Score, Standing};
        vec![
            Column::new(
                COLUMN,
                "what came out when its work was done again: the same (1), something else (-1), or it did not show what it started from (0)",
                Measured,
            ),
            Column::new("unproven", "work since its last audit (rounds)", Standing),
            Column::new("owed", "proven work that will not be paid (rounds)", Standing),
            Column::new("score", "proven work that is still to be paid (rounds)", Score),
        ]
    }

    fn numbers(&self, uid: Uid, round: u64) -> Vec<Option<f64>> {
        let Some(record) = self.known.peers.get(&uid) else { return vec![None; self.columns().len()] };
        let audit = record.audited.filter(|(audited, _)| *audited == round);
        vec![
            audit.map(|(_, outcome)| match outcome {
                Outcome::Same => 1.0,
                Outcome::NotShown => 0.0,
                Outcome::Differs => DIFFERS,
            }),
            Some(record.unproven),
            Some(record.owed),
            Some(record.credit),
        ]
    }

    fn save(&self) -> Vec<u8> {
        saved::save(&self.known)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.known = saved::restore(saved)?;
        Ok(())
    }
}

impl MechanismSettings for AuditSettings {
    fn check(&self, found: &mut Findings) {
        Self::check(self, found);
    }

    fn build(&self, secret: u64) -> Box<dyn Mechanism> {
        Box::new(Audit { settings: self.clone(), secret, known: Known::default() })
    }

    /// The work of the audited peers: as if all said that they do what is assigned. The pieces of pages beside it are few.
    fn forward_passes(&self, pages: usize, _aggregated: usize) -> f64 {
        (PASSES_OF_GRADIENT * pages) as f64 * self.audited_per_round
    }

    fn audits(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
