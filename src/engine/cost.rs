//! What a round costs each peer: the tokens on which it trains, and its part of its node's traffic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::transport::Hotkey;
use crate::transport::simulated::Traffic;

/// The cost of a round for a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Tokens whose gradients it computes.
    pub tokens: u64,
    /// Bytes sent and received.
    pub up: u64,
    pub down: u64,
}

/// Tokens on which a node's slots have started to train, by the round of the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trained(BTreeMap<u64, Vec<u64>>);

impl Trained {
    /// Records that a slot starts to train on this many tokens.
    pub fn add(&mut self, round: u64, slot: usize, tokens: u64) {
        let slots = self.0.entry(round).or_default();
        slots.resize(slots.len().max(slot + 1), 0);
        slots[slot] += tokens;
    }

    /// The tokens on which a slot started to train in a round.
    pub fn of(&self, round: u64, slot: usize) -> u64 {
        self.0.get(&round).and_then(|slots| slots.get(slot)).copied().unwrap_or_default()
    }

    /// Drops the counts of rounds before this one.
    pub fn forget_before(&mut self, round: u64) {
        self.0 = self.0.split_off(&round);
    }
}

/// The costs of a node's slots, given the tokens of each. All slots of a node share one link, so its bytes are divided
/// evenly, and the parts sum to the whole.
pub fn shared(bytes: Traffic, slots: &[(Hotkey, u64)]) -> impl Iterator<Item = (Hotkey, Cost)> {
    let count = slots.len() as u128;
    let before = move |bytes: u64, nth: usize| (u128::from(bytes) * nth as u128 / count) as u64;
    let part = move |bytes: u64, nth: usize| before(bytes, nth + 1) - before(bytes, nth);
    slots.iter().enumerate().map(move |(nth, &(hotkey, tokens))| {
        (hotkey, Cost { tokens, up: part(bytes.up, nth), down: part(bytes.down, nth) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_link_are_divided_without_remainder() {
        let slots: Vec<(Hotkey, u64)> = (0..3).map(|nth| (Hotkey([nth; 32]), 100 + u64::from(nth))).collect();
        let costs: Vec<Cost> = shared(Traffic { up: 11, down: u64::MAX }, &slots).map(|(_, cost)| cost).collect();
        assert_eq!(costs.iter().map(|cost| cost.up).collect::<Vec<_>>(), [3, 4, 4]);
        assert_eq!(costs.iter().map(|cost| cost.down).sum::<u64>(), u64::MAX);
        assert_eq!(costs.iter().map(|cost| cost.tokens).collect::<Vec<_>>(), [100, 101, 102]);
        assert_eq!(shared(Traffic { up: 11, down: 7 }, &[]).count(), 0);
    }

    #[test]
    fn tokens_are_kept_by_round_and_slot() {
        let mut trained = Trained::default();
        trained.add(4, 2, 10);
        trained.add(4, 2, 5);
        trained.add(5, 0, 7);
        assert_eq!((trained.of(4, 2), trained.of(4, 0), trained.of(4, 9), trained.of(5, 0)), (15, 0, 0, 7));
        trained.forget_before(5);
        assert_eq!((trained.of(4, 2), trained.of(5, 0)), (0, 7));
    }
}
