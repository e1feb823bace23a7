//! What validators hold against one another's records: which rounds are void, and who loses its turn.
//!
//! A validator objects to a record that it cannot follow, because it lacks a payload, or that no honest validator would
//! have written. When validators with more than half of all stake object to the same record, its author goes to the end
//! of the succession for some rounds. If they lack its payloads, the round is void: an empty step for all nodes. The
//! author itself has no say.

use serde::{Deserialize, Serialize};

use super::call::Objection;
use super::registry::Hotkey;

/// From the round of an objection to the first one that it affects. In between, every node sees the objection, so all
/// agree on whose turn it is.
const NOTICE: u64 = 2;
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
        if self.objections.iter().any(|made| (made.objection, made.by) == (objection, by)) {
            return;
        }
        let was_backed = self.backed(stakes, &objection, false);
        self.objections.push(Made { objection, by, round: now });
        let validator = objection.author;
        if !was_backed && self.backed(stakes, &objection, false) {
            let first = now.saturating_add(NOTICE);
            self.suspensions.push(Suspension { validator, first, end: first.saturating_add(rounds) });
        }
        if self.backed(stakes, &objection, true)
            && let Err(at) = self.void.binary_search(&objection.round)
        {
            self.void.insert(at, objection.round);
        }
    }

    /// Whether validators with more than half of the stake object to a record, or lack its payloads.
    fn backed(&self, stakes: &[(Hotkey, f64)], to: &Objection, lacks_only: bool) -> bool {
        let objects = |validator: &Hotkey| {
            let found = |Made { objection, by, .. }: &Made| {
                by == validator
                    && (objection.round, objection.author) == (to.round, to.author)
                    && (objection.lacks || !lacks_only)
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
        assert_eq!(watch.void(), [7]);
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
    fn the_same_again_changes_nothing() {
        let once = after(&[(9, true, 2), (9, true, 3), (7, true, 2), (7, true, 3)]);
        assert_eq!(once.void(), [7, 9]);
        assert_eq!(after(&[(9, true, 2), (9, true, 2), (9, true, 3), (7, true, 2), (7, true, 3), (7, true, 3)]), once);
    }
}
