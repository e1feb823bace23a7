//! Selection of the peers to evaluate: bins of peers by score take turns.

use rand::Rng;

use super::ranking::{Candidate, sort_by_score};
use crate::Uid;
use crate::random::ChaCha8Rng;

/// Draws the peers of a primary evaluation, mostly from one bin of peers by score. `turn` picks the bin, given their
/// number. Longer waits raise the odds.
///
/// Bins compare peers of similar scores (a Plackett-Luce rating learns most from close games), keep the best from
/// crowding out the rest, and leave no peer sure of when it is watched. A bin smaller than `wanted` is filled up from
/// the others. Newcomers get up to half of the places first. So at the start everybody gets a turn soon, and later a
/// flood of new names cannot take over the evaluation.
pub fn draw_for_evaluation(
    mut candidates: Vec<Candidate>,
    wanted: usize,
    bins: usize,
    turn: impl FnOnce(usize) -> usize,
    rng: &mut ChaCha8Rng,
) -> Vec<Uid> {
    let mut drawn = Vec::new();
    let mut newcomers: Vec<Candidate> = candidates.iter().copied().filter(|candidate| candidate.newcomer).collect();
    draw_by_waiting(&mut newcomers, wanted / 2, FAIRNESS, rng, &mut drawn);
    candidates.retain(|candidate| !drawn.contains(&candidate.uid));

    sort_by_score(&mut candidates);
    let bins = bins.clamp(1, candidates.len().max(1));
    let turn = turn(bins);
    let (from, to) = (turn * candidates.len() / bins, (turn + 1) * candidates.len() / bins);
    let mut in_turn: Vec<Candidate> = candidates.drain(from..to).collect();
    draw_by_waiting(&mut in_turn, wanted, FAIRNESS, rng, &mut drawn);
    draw_by_waiting(&mut candidates, wanted, FAIRNESS, rng, &mut drawn);
    drawn.sort_unstable();
    drawn
}

/// Power of the waiting time in the odds. Above 1, so that bad luck does not leave out a newcomer among many for long.
const FAIRNESS: u32 = 2;

/// Moves peers from `pool` to `drawn` until it has `wanted`. A peer's odds are a power of the rounds it has waited.
pub(super) fn draw_by_waiting(
    pool: &mut Vec<Candidate>,
    wanted: usize,
    power: u32,
    rng: &mut ChaCha8Rng,
    drawn: &mut Vec<Uid>,
) {
    let odds = |candidate: &Candidate| u128::from(candidate.waited.max(1)).pow(power);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rng;

    fn draw_in_turn(candidates: Vec<Candidate>, wanted: usize, bins: usize, round: u64) -> Vec<Uid> {
        let turn = |bins| (round % bins as u64) as usize;
        draw_for_evaluation(candidates, wanted, bins, turn, &mut rng(0, "t", 0, round))
    }

    fn candidate(uid: Uid, score: f64) -> Candidate {
        Candidate { uid, score, waited: 0, newcomer: false, past_incentive: 0.0 }
    }

    #[test]
    fn bins_take_turns() {
        let peers: Vec<Candidate> = (0..20).map(|uid| candidate(uid, 100.0 - f64::from(uid))).collect();
        for round in 0..8 {
            let drawn = draw_in_turn(peers.clone(), 3, 4, round);
            let bin = (round % 4) as Uid;
            assert_eq!(drawn.len(), 3);
            assert!(drawn.iter().all(|uid| uid / 5 == bin), "round {round}: {drawn:?}");
        }
    }

    #[test]
    fn a_small_bin_is_filled_up_and_nobody_is_drawn_twice() {
        let peers: Vec<Candidate> = (0..7).map(|uid| candidate(uid, 0.0)).collect();
        let drawn = draw_in_turn(peers.clone(), 5, 5, 3);
        assert_eq!(drawn.len(), 5);
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(draw_in_turn(peers, 50, 5, 3), (0..7).collect::<Vec<Uid>>());
        assert!(draw_in_turn(Vec::new(), 5, 5, 3).is_empty());
    }

    #[test]
    fn newcomers_have_half_of_the_places() {
        let mut peers: Vec<Candidate> = (0..40).map(|uid| candidate(uid, 50.0 - f64::from(uid))).collect();
        peers[30..].iter_mut().for_each(|peer| peer.newcomer = true);
        let drawn = draw_in_turn(peers, 5, 4, 0);
        assert_eq!(drawn.iter().filter(|uid| **uid >= 30).count(), 2, "{drawn:?}");
        assert_eq!(drawn.iter().filter(|uid| **uid < 10).count(), 3, "{drawn:?}");
    }

    #[test]
    fn waiting_raises_the_odds() {
        let mut peers: Vec<Candidate> = (0..10).map(|uid| candidate(uid, 0.0)).collect();
        peers[6].waited = u64::MAX;
        let drawn = |round| draw_in_turn(peers.clone(), 1, 1, round);
        assert!((0..20).all(|round| drawn(round) == [6]));
    }
}
