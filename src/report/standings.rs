//! Who held the slots of a run's rows, and whether two leaderboards are of the same peers.

use std::collections::BTreeMap;

use super::{LeaderboardRow, PeerRow, SlotRow};

/// Says of each row who held its slot.
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
