//! What a validator knows about a peer, and what it owes or is owed.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::mechanism::facts::PeerFacts;
use crate::mechanism::measure::Outcome;
use crate::mechanism::status::Status;

/// What a validator knows about a peer. Work is counted in rounds of a peer that does what is assigned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The last round that was observed, and how the peer fared.
    pub seen: Option<(u64, Status)>,
    /// The training state that its upload of that round ended with, if it passed.
    ends: Option<Digest>,
    /// The work that it said it did in that round.
    pub work: f64,
    /// The work that it says it has done since its last audit.
    pub unproven: f64,
    /// Proven work that will not be paid: the price of failed audits, and of coming late.
    pub owed: f64,
    /// Whether it came after the first ones.
    late: bool,
    /// Proven work that is still to be paid.
    pub credit: f64,
    /// Round of the last audit, and what came of it.
    pub audited: Option<(u64, Outcome)>,
    /// The work of the last round that came out the same.
    pub shown: f64,
}

impl Record {
    /// A peer that comes late, and has to work for so many rounds before it is paid.
    pub fn late(owed: f64) -> Self {
        Self { owed, late: true, ..Self::default() }
    }

    /// Whether the peer passed in a round, the last one that was observed.
    pub fn passed_in(&self, round: u64) -> bool {
        self.seen.is_some_and(|(seen, status)| seen == round && status == Status::Passed)
    }

    /// Whether it has passed an audit, and none has failed since.
    pub fn is_proven(&self) -> bool {
        self.audited.is_some_and(|(_, outcome)| outcome == Outcome::Same)
    }

    /// Whether it has passed an audit once, or is one of the first and has had none. Anybody can register any number of others.
    pub fn is_regular(&self) -> bool {
        self.shown > 0.0 || self.audited.is_none() && !self.late
    }

    /// Takes in a round.
    pub fn observe(&mut self, round: u64, facts: &PeerFacts) {
        // A validator that starts over from a checkpoint sees some rounds twice.
        if self.seen.is_some_and(|(seen, _)| seen >= round) {
            return;
        }
        let goes_on = self.goes_on(round, facts);
        let status = match facts.arrival {
            // Work on another model cannot be done again.
            Status::Passed if !facts.same_model => Status::OutOfSync,
            Status::Passed if !goes_on => Status::StartedOver,
            arrival => arrival,
        };
        self.work = if status == Status::Passed { facts.work } else { 0.0 };
        if goes_on {
            // Its word counts for no more than it has shown.
            self.unproven += self.work.min(self.shown.max(1.0));
        } else {
            self.unproven = 0.0;
        }
        self.ends = facts.states.map(|states| states.after);
        self.seen = Some((round, status));
    }

    /// Whether its work started from the state that it ended with in the round before. After a round without an upload that
    /// counts, nobody knows.
    fn goes_on(&self, round: u64, facts: &PeerFacts) -> bool {
        let before = self.seen.filter(|(seen, _)| seen + 1 == round).and(self.ends);
        match (before, facts.states) {
            (Some(ended), Some(states)) => states.before == ended,
            _ => true,
        }
    }

    /// Takes in an audit of its work in a round. Passing proves `most` times the work that it said it did at most, failing costs what is
    /// still to be paid, and `price` times that work. The first audit proves nothing: a peer that has none loses nothing with its key if it fails, and could have sent
    /// anything until then.
    pub fn learn(&mut self, round: u64, outcome: Outcome, (most, price): (f64, f64)) {
        if outcome == Outcome::Same {
            let proven = if self.shown > 0.0 { self.unproven.min(most * self.work) } else { 0.0 };
            let pays = self.owed.min(proven);
            self.owed -= pays;
            self.credit += proven - pays;
            self.shown = self.work;
        } else {
            self.owed += price * self.work.max(1.0);
            self.credit = 0.0;
        }
        self.unproven = 0.0;
        self.audited = Some((round, outcome));
    }
}
