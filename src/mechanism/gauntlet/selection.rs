//! Who is evaluated, and who is aggregated.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::Uid;
use crate::random::ChaCha8Rng;

/// A peer that could be evaluated or aggregated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub uid: Uid,
    /// PeerScore.
    pub score: f64,
    /// Rounds in which it could have been evaluated and was not.
    pub waited: u64,
    /// Never evaluated.
    pub newcomer: bool,
    /// Incentive paid in the past, before this validator had scores.
    pub past_incentive: f64,
}

/// Draws the peers of a primary evaluation: bins of peers by score take turns, and inside of the bin whose turn it is,
/// those who waited long are likelier.
///
/// Neighbours in score are compared with one another (a Plackett-Luce rating learns most from close games), the best
/// cannot crowd out the rest, and no peer can tell in advance in which rounds it had better behave. A bin smaller than
/// `wanted` is filled up from the others. Newcomers have up to half of the places first: at the start everybody gets a
/// turn soon, and later a flood of new names cannot take the evaluation from those who are at work.
pub fn draw_for_evaluation(
    mut candidates: Vec<Candidate>,
    wanted: usize,
    bins: usize,
    round: u64,
    rng: &mut ChaCha8Rng,
) -> Vec<Uid> {
    let mut drawn = Vec::new();
    let mut newcomers: Vec<Candidate> = candidates.iter().copied().filter(|candidate| candidate.newcomer).collect();
    draw_by_waiting(&mut newcomers, wanted / 2, rng, &mut drawn);
    candidates.retain(|candidate| !drawn.contains(&candidate.uid));

    sort_by_score(&mut candidates);
    let bins = bins.clamp(1, candidates.len().max(1));
    let turn = (round % bins as u64) as usize;
    let (from, to) = (turn * candidates.len() / bins, (turn + 1) * candidates.len() / bins);
    let mut in_turn: Vec<Candidate> = candidates.drain(from..to).collect();
    draw_by_waiting(&mut in_turn, wanted, rng, &mut drawn);
    draw_by_waiting(&mut candidates, wanted, rng, &mut drawn);
    drawn.sort_unstable();
    drawn
}

/// Moves peers from `pool` to `drawn` until there are `wanted` of them. The odds of a peer are the square of the rounds
/// it has waited: growing faster than linearly, so that a newcomer among many is not left out for long by bad luck.
fn draw_by_waiting(pool: &mut Vec<Candidate>, wanted: usize, rng: &mut ChaCha8Rng, drawn: &mut Vec<Uid>) {
    let odds = |candidate: &Candidate| u128::from(candidate.waited.max(1)).pow(2);
    while drawn.len() < wanted && !pool.is_empty() {
        let total: u128 = pool.iter().map(odds).fold(0, u128::saturating_add);
        let mut left = ((u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())) % total;
        let hit = pool.iter().position(|candidate| match left.checked_sub(odds(candidate)) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        drawn.push(pool.remove(hit.unwrap_or(0)).uid);
    }
}

/// Chooses the peers to aggregate from the next list on: the best by score, `most` of them. Where fewer than `least`
/// have a positive score, more come by past incentive and then by lot; where nobody has one yet, so many that the list
/// is full, because any honest work is better than little of it.
pub fn choose_list(mut candidates: Vec<Candidate>, most: usize, least: usize, rng: &mut ChaCha8Rng) -> Vec<Uid> {
    sort_by_score(&mut candidates);
    let scored = candidates.iter().filter(|candidate| candidate.score > 0.0).count();
    let rest = candidates.split_off(scored);
    candidates.truncate(most);
    let mut list: Vec<Uid> = candidates.iter().map(|candidate| candidate.uid).collect();

    let wanted = if scored == 0 { most } else { least.min(most) };
    list.extend(by_incentive_then_lot(rest, rng).into_iter().take(wanted.saturating_sub(list.len())));
    list
}

/// Fills the peers of a round up to `least` from others that passed: by score, then by past incentive, then by lot.
pub fn fill(included: &mut Vec<Uid>, mut others: Vec<Candidate>, least: usize, rng: &mut ChaCha8Rng) {
    sort_by_score(&mut others);
    let rest = others.split_off(others.iter().filter(|other| other.score > 0.0).count());
    let order = others.iter().map(|other| other.uid).chain(by_incentive_then_lot(rest, rng));
    included.extend(order.take(least.saturating_sub(included.len())));
}

fn by_incentive_then_lot(mut candidates: Vec<Candidate>, rng: &mut ChaCha8Rng) -> Vec<Uid> {
    candidates.sort_by_key(|candidate| candidate.uid);
    for last in (1..candidates.len()).rev() {
        candidates.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    // A stable sort keeps the lot among those who were paid the same, such as nothing.
    candidates.sort_by(|a, b| b.past_incentive.max(0.0).total_cmp(&a.past_incentive.max(0.0)));
    candidates.iter().map(|candidate| candidate.uid).collect()
}

/// Best first; of equals the lower uid.
fn sort_by_score(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.uid.cmp(&b.uid)));
}

/// The lists of peers to aggregate that are or will be in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerLists {
    /// (first round, peers), by rising round.
    lists: Vec<(u64, Vec<Uid>)>,
}

impl PeerLists {
    /// Puts a list in force from `effective` on, and forgets those that were over before `round`.
    pub fn announce(&mut self, round: u64, effective: u64, list: Vec<Uid>) {
        self.lists.retain(|(first, _)| *first < effective);
        self.lists.push((effective, list));
        let over = self.lists.iter().filter(|(first, _)| *first <= round).count().saturating_sub(1);
        self.lists.drain(..over);
    }

    /// The list in force in `round`; `None` before the first.
    pub fn in_force(&self, round: u64) -> Option<&[Uid]> {
        self.lists.iter().rev().find(|(first, _)| *first <= round).map(|(_, list)| list.as_slice())
    }

    /// Takes a peer off all lists: its slot has another owner, who did not earn the place.
    pub fn remove(&mut self, uid: Uid) {
        self.lists.iter_mut().for_each(|(_, list)| list.retain(|&listed| listed != uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rng;

    fn candidate(uid: Uid, score: f64) -> Candidate {
        Candidate { uid, score, waited: 0, newcomer: false, past_incentive: 0.0 }
    }

    #[test]
    fn bins_take_turns() {
        let peers: Vec<Candidate> = (0..20).map(|uid| candidate(uid, 100.0 - f64::from(uid))).collect();
        for round in 0..8 {
            let drawn = draw_for_evaluation(peers.clone(), 3, 4, round, &mut rng(0, "t", 0, round));
            let bin = (round % 4) as Uid;
            assert_eq!(drawn.len(), 3);
            assert!(drawn.iter().all(|uid| uid / 5 == bin), "round {round}: {drawn:?}");
        }
    }

    #[test]
    fn a_small_bin_is_filled_up_and_nobody_is_drawn_twice() {
        let peers: Vec<Candidate> = (0..7).map(|uid| candidate(uid, 0.0)).collect();
        let drawn = draw_for_evaluation(peers.clone(), 5, 5, 3, &mut rng(0, "t", 0, 3));
        assert_eq!(drawn.len(), 5);
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(draw_for_evaluation(peers, 50, 5, 3, &mut rng(0, "t", 0, 3)), (0..7).collect::<Vec<Uid>>());
        assert!(draw_for_evaluation(Vec::new(), 5, 5, 3, &mut rng(0, "t", 0, 3)).is_empty());
    }

    #[test]
    fn newcomers_have_half_of_the_places() {
        let mut peers: Vec<Candidate> = (0..40).map(|uid| candidate(uid, 50.0 - f64::from(uid))).collect();
        peers[30..].iter_mut().for_each(|peer| peer.newcomer = true);
        let drawn = draw_for_evaluation(peers, 5, 4, 0, &mut rng(0, "t", 0, 0));
        assert_eq!(drawn.iter().filter(|uid| **uid >= 30).count(), 2, "{drawn:?}");
        assert_eq!(drawn.iter().filter(|uid| **uid < 10).count(), 3, "{drawn:?}");
    }

    #[test]
    fn waiting_raises_the_odds() {
        let mut peers: Vec<Candidate> = (0..10).map(|uid| candidate(uid, 0.0)).collect();
        peers[6].waited = u64::MAX;
        let drawn = |round| draw_for_evaluation(peers.clone(), 1, 1, round, &mut rng(0, "t", 0, round));
        assert!((0..20).all(|round| drawn(round) == [6]));
    }

    #[test]
    fn the_list_is_the_best_by_score() {
        let peers = [(0, 1.0), (1, 5.0), (2, -3.0), (3, 2.0), (4, 0.0)].map(|(uid, score)| candidate(uid, score));
        let list = |most, least| choose_list(peers.to_vec(), most, least, &mut rng(0, "t", 0, 0));
        assert_eq!(list(2, 1), [1, 3]);
        assert_eq!(list(4, 2), [1, 3, 0]);
        assert_eq!(list(5, 4)[..3], [1, 3, 0]);
        assert_eq!(list(5, 4).len(), 4);
    }

    #[test]
    fn without_scores_the_list_is_full_and_starts_with_those_paid_before() {
        let mut peers: Vec<Candidate> = (0..30).map(|uid| candidate(uid, 0.0)).collect();
        peers[17].past_incentive = 0.2;
        peers[21].past_incentive = 0.5;
        let draw = |round| choose_list(peers.clone(), 15, 5, &mut rng(0, "t", 0, round));
        assert_eq!(draw(0)[..2], [21, 17]);
        assert_eq!(draw(0).len(), 15);
        assert_ne!(draw(0)[2..], draw(1)[2..]);
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
