//! What validators hold against one another's records: which rounds are void, and who loses its turn.
//!
//! A validator objects to a record that it cannot follow, because it lacks a payload, or that no honest validator would
//! have written. When validators with more than half of all stake object to the same record, its author goes to the end
//! of the succession for some rounds. If they lack its payloads, the round is void: an empty step for all nodes. So are
//! the rounds after it, up to those in which nodes may not have seen that yet: their records are about a model that does
//! not count. The author itself has no say.

use serde::{Deserialize, Serialize};

use super::call::Objection;
use super::registry::Hotkey;

/// From the round of an objection to the first one that it affects. In between, every node sees the objection, so all
/// agree on whose turn it is.
const NOTICE: u64 = 2;
/// Objections make a round void if they are made within so many rounds of one another. Otherwise the last one could undo
/// all that has been agreed since the first.
const TOGETHER: u64 = 4;
/// Rounds after which an objection that no majority shares is forgotten.
const REMEMBERED: u64 = 1000;

/// The objections so far, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    objections: Vec<Made>,
    /// In ascending order.
    void: Vec<u64>,
    suspensions: Vec<Suspension>,
}

/// An objection, and who made it when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Made {
    objection: Objection,
    by: Hotkey,
    round: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Suspension {
    validator: Hotkey,
    first: u64,
    end: u64,
}

impl Watch {
    /// Takes an objection that `by` makes in round `now`; its author loses its turn for `rounds` rounds if it is the one
    /// that makes a majority. The same one again has no effect.
    pub fn object(&mut self, stakes: &[(Hotkey, f64)], objection: Objection, by: Hotkey, now: u64, rounds: u64) {
        self.objections.retain(|made| made.round + REMEMBERED >= now);
        let is_backed = |watch: &Self| watch.backed(stakes, &objection, |_| true);
        let was_backed = is_backed(self);
        match self.objections.iter_mut().find(|made| (made.objection, made.by) == (objection, by)) {
            Some(made) => made.round = now,
            None => self.objections.push(Made { objection, by, round: now }),
        }
        let validator = objection.author;
        if !was_backed && is_backed(self) {
            let first = now.saturating_add(NOTICE);
            self.suspensions.push(Suspension { validator, first, end: first.saturating_add(rounds) });
        }
        let lacks_now = |made: &Made| made.objection.lacks && made.round + TOGETHER >= now;
        if !self.void.contains(&objection.round) && self.backed(stakes, &objection, lacks_now) {
            self.void.extend(objection.round..now.saturating_add(NOTICE));
            self.void.sort_unstable();
            self.void.dedup();
        }
    }

    /// Whether validators with more than half of the stake object to a record, by those objections that count.
    fn backed(&self, stakes: &[(Hotkey, f64)], to: &Objection, counts: impl Fn(&Made) -> bool) -> bool {
        let objects = |validator: &Hotkey| {
            let found = |made: &Made| {
                made.by == *validator
                    && (made.objection.round, made.objection.author) == (to.round, to.author)
                    && counts(made)
            };
            *validator != to.author && self.objections.iter().any(found)
        };
        let total: f64 = stakes.iter().map(|(_, stake)| stake).sum();
        let backing: f64 = stakes.iter().filter(|(validator, _)| objects(validator)).map(|(_, stake)| stake).sum();
        backing > total / 2.0
    }

    /// Rounds that are an empty step for all nodes, in ascending order.
    pub fn void(&self) -> &[u64] {
        &self.void
    }

    /// Whether a validator goes to the end of the succession in a round.
    pub fn is_suspended(&self, validator: &Hotkey, round: u64) -> bool {
        self.suspensions.iter().any(|of| of.validator == *validator && (of.first..of.end).contains(&round))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAKES: [(Hotkey, f64); 4] = [([1; 32], 3.0), ([2; 32], 3.0), ([3; 32], 3.0), ([4; 32], 1.0)];

    fn objection(round: u64, lacks: bool) -> Objection {
        Objection { round, author: [1; 32], lacks }
    }

    fn after(objections: &[(u64, bool, u8)]) -> Watch {
        let mut watch = Watch::default();
        for &(round, lacks, by) in objections {
            watch.object(&STAKES, objection(round, lacks), [by; 32], 10, 5);
        }
        watch
    }

    #[test]
    fn more_than_half_of_all_stake_decides_without_the_author() {
        assert_eq!(after(&[(7, true, 2), (7, true, 4), (7, true, 1)]).void(), [0; 0], "40 % of the stake");
        let watch = after(&[(7, true, 2), (7, true, 3)]);
        assert_eq!(watch.void(), [7, 8, 9, 10, 11]);
        let suspended: Vec<u64> = (0..30).filter(|round| watch.is_suspended(&[1; 32], *round)).collect();
        assert_eq!(suspended, [12, 13, 14, 15, 16]);
        assert!(!watch.is_suspended(&[2; 32], 13));
    }

    #[test]
    fn who_has_the_payloads_makes_no_round_void() {
        let watch = after(&[(7, true, 2), (7, false, 3)]);
        assert_eq!(watch.void(), [0; 0]);
        assert!(watch.is_suspended(&[1; 32], 12), "its author loses its turn all the same");
        assert_eq!(after(&[(7, true, 2), (8, true, 3)]).void(), [0; 0], "objections to two records");
    }

    #[test]
    fn a_late_objection_does_not_undo_what_came_since() {
        let at = |rounds: [u64; 3]| {
            let mut watch = Watch::default();
            for (by, now) in [2, 3, 2].into_iter().zip(rounds) {
                watch.object(&STAKES, objection(7, true), [by; 32], now, 5);
            }
            watch.void
        };
        assert_eq!(at([9, 14, 14]), [7, 8, 9, 10, 11, 12, 13, 14, 15], "the first one is repeated");
        assert_eq!(at([9, 100, 105]), [0; 0]);
        assert_eq!(at([9, 10, 200]), [7, 8, 9, 10, 11], "a third one does not make more rounds void");
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let once = after(&[(9, true, 2), (9, true, 3), (7, true, 2), (7, true, 3)]);
        assert_eq!(once.void(), [7, 8, 9, 10, 11]);
        assert_eq!(after(&[(9, true, 2), (9, true, 2), (9, true, 3), (7, true, 2), (7, true, 3), (7, true, 3)]), once);
    }
}
