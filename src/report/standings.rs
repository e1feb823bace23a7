//! The standings that a run's rows lead to.

use std::collections::BTreeMap;

use super::{Leaderboard, LeaderboardRow, PeerRow, SlotRow};
use crate::mechanism::Column;

/// The standings after some rows, by who held the slots.
pub(super) fn standings(columns: &[Column], slots: &[SlotRow], peers: &[PeerRow]) -> Leaderboard {
    let mut owners = BTreeMap::new();
    let mut to_come = slots.iter().peekable();
    let mut leaderboard = Leaderboard::new(columns);
    for peer in peers {
        while let Some(slot) = to_come.next_if(|slot| slot.round <= peer.round) {
            owners.insert(slot.uid, slot.peer);
        }
        let owner = owners.get(&peer.uid).copied().unwrap_or_default();
        leaderboard.add(&PeerRow { owner, ..peer.clone() });
    }
    leaderboard
}

/// Whether two leaderboards list the same peers, in any order.
pub(super) fn lists_the_same(one: &[LeaderboardRow], other: &[LeaderboardRow]) -> bool {
    let keys = |rows: &[LeaderboardRow]| {
        let mut keys: Vec<_> = rows.iter().map(|row| (row.uid, row.behaviour.clone())).collect();
        keys.sort();
        keys
    };
    keys(one) == keys(other)
}
