//! The list of peers to aggregate. It is renewed every few rounds and takes effect some rounds later, when everybody
//! knows it. The mechanism chooses the peers.

use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::mechanism::{Mechanism, Ranking};
use crate::protocol::ProtocolSettings;

/// The lists of one validator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    lists: PeerLists,
}

impl Roster {
    /// Called each round before `included`. Makes a new list when one is due.
    pub fn renew(&mut self, protocol: &ProtocolSettings, mechanism: &dyn Mechanism, round: u64) {
        if round.is_multiple_of(protocol.list_every.max(1)) {
            let list = listed(protocol, mechanism.include(round, &[]));
            self.lists.announce(round, round + protocol.list_delay, list);
        }
    }

    /// The peers to aggregate in this round, by uid: those on the list in force that `passed`, and others that passed
    /// if these are too few. Before the first list takes effect, a list made now is used.
    pub fn included(
        &self,
        protocol: &ProtocolSettings,
        mechanism: &dyn Mechanism,
        round: u64,
        passed: impl Fn(Uid) -> bool,
    ) -> Vec<Uid> {
        let mut included: Vec<Uid> = match self.lists.in_force(round) {
            Some(list) => list.to_vec(),
            None => listed(protocol, mechanism.include(round, &[])),
        };
        included.retain(|&uid| passed(uid));
        let least = protocol.min_peers.min(protocol.top_peers);
        if included.len() < least {
            let Ranking { earned, others } = mechanism.include(round, &included);
            let more = earned.into_iter().chain(others).filter(|&uid| passed(uid) && !included.contains(&uid));
            let more: Vec<Uid> = more.take(least - included.len()).collect();
            included.extend(more);
        }
        included.sort_unstable();
        included
    }

    /// Removes a peer from all lists, because its slot has a new owner that did not earn the place.
    pub fn remove(&mut self, uid: Uid) {
        self.lists.remove(uid);
    }
}

/// Makes a list of the best peers that have earned a place. If they are too few, others fill the list up to its
/// minimum. While no peer has earned a place, others fill it up to its maximum: more honest work beats less.
fn listed(protocol: &ProtocolSettings, ranking: Ranking) -> Vec<Uid> {
    let (most, least) = (protocol.top_peers, protocol.min_peers.min(protocol.top_peers));
    let wanted = if ranking.earned.is_empty() { most } else { least };
    let mut list: Vec<Uid> = ranking.earned.into_iter().take(most).collect();
    list.extend(ranking.others.into_iter().take(wanted.saturating_sub(list.len())));
    list
}

/// The lists of peers to aggregate that are or will be in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct PeerLists {
    /// (first round, peers), in ascending order of rounds.
    lists: Vec<(u64, Vec<Uid>)>,
}

impl PeerLists {
    /// Puts a list in force from `effective` on, and drops lists that ended before `round`.
    fn announce(&mut self, round: u64, effective: u64, list: Vec<Uid>) {
        self.lists.retain(|(first, _)| *first < effective);
        self.lists.push((effective, list));
        let over = self.lists.iter().filter(|(first, _)| *first <= round).count().saturating_sub(1);
        self.lists.drain(..over);
    }

    /// The list in force in `round`; `None` before the first.
    fn in_force(&self, round: u64) -> Option<&[Uid]> {
        self.lists.iter().rev().find(|(first, _)| *first <= round).map(|(_, list)| list.as_slice())
    }

    /// Removes a peer from all lists, because its slot has a new owner that did not earn the place.
    fn remove(&mut self, uid: Uid) {
        self.lists.iter_mut().for_each(|(_, list)| list.retain(|&listed| listed != uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_full_before_anybody_has_earned_a_place_and_then_names_the_best() {
        let protocol = ProtocolSettings { top_peers: 4, min_peers: 3, ..ProtocolSettings::default() };
        let list = |earned: &[Uid], others: &[Uid]| {
            listed(&protocol, Ranking { earned: earned.to_vec(), others: others.to_vec() })
        };
        assert_eq!(list(&[], &[5, 6, 7, 8, 9]), [5, 6, 7, 8]);
        assert_eq!(list(&[1], &[5, 6, 7, 8, 9]), [1, 5, 6]);
        assert_eq!(list(&[1, 2, 3, 4, 0], &[5]), [1, 2, 3, 4]);
    }

    #[test]
    fn a_list_is_in_force_from_its_round_to_the_next() {
        let mut lists = PeerLists::default();
        assert_eq!(lists.in_force(0), None);
        lists.announce(0, 2, vec![1]);
        lists.announce(5, 7, vec![2, 3]);
        assert_eq!(lists.in_force(1), None);
        assert_eq!(lists.in_force(6), Some(&[1][..]));
        assert_eq!(lists.in_force(7), Some(&[2, 3][..]));
        lists.announce(10, 12, vec![4]);
        lists.remove(3);
        assert_eq!(lists.in_force(11), Some(&[2][..]));
    }
}
