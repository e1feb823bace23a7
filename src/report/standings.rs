//! Finds the holder of each row's slot, and compares the peers of two leaderboards.

use std::collections::BTreeMap;

use super::{LeaderboardRow, PeerRow, SlotRow};

/// Sets the owner of each row: the holder of its slot at that time.
pub(super) fn name_owners(peers: &mut [PeerRow], slots: &[SlotRow]) {
    let mut owners = BTreeMap::new();
    let mut to_come = slots.iter().peekable();
    for peer in peers {
        while let Some(slot) = to_come.next_if(|slot| slot.round <= peer.round) {
            owners.insert(slot.uid, slot.peer);
        }
        peer.owner = owners.get(&peer.uid).copied().unwrap_or_default();
    }
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
