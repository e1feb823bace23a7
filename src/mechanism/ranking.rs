//! The order in which peers are aggregated.

use rand::Rng;

use crate::Uid;
use crate::random::ChaCha8Rng;

/// A peer that could be evaluated or aggregated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub uid: Uid,
    /// The score that decides whether it is chosen.
    pub score: f64,
    /// Rounds in which it could have been evaluated but was not.
    pub waited: u64,
    /// Never evaluated.
    pub newcomer: bool,
    /// Pay before this validator had scores of its own.
    pub past_incentive: f64,
}

/// Peers that may be aggregated, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// Peers that have earned a place.
    pub earned: Vec<Uid>,
    /// Peers that fill up when too few have earned a place.
    pub others: Vec<Uid>,
}

impl Ranking {
    /// Positive scores earn a place, the highest first. The others follow by past incentive, then by lot.
    pub fn by_score(mut candidates: Vec<Candidate>, rng: &mut ChaCha8Rng) -> Self {
        sort_by_score(&mut candidates);
        let earned = candidates.iter().filter(|candidate| candidate.score > 0.0).count();
        let rest = candidates.split_off(earned);
        Self { earned: uids(&candidates), others: by_incentive_then_lot(rest, rng) }
    }
}

fn uids(candidates: &[Candidate]) -> Vec<Uid> {
    candidates.iter().map(|candidate| candidate.uid).collect()
}

fn by_incentive_then_lot(mut candidates: Vec<Candidate>, rng: &mut ChaCha8Rng) -> Vec<Uid> {
    candidates.sort_by_key(|candidate| candidate.uid);
    for last in (1..candidates.len()).rev() {
        candidates.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    // A stable sort keeps the random order among peers with equal pay, such as none.
    candidates.sort_by(|a, b| b.past_incentive.max(0.0).total_cmp(&a.past_incentive.max(0.0)));
    uids(&candidates)
}

/// Best first; the lower uid first if scores are equal.
pub(super) fn sort_by_score(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.uid.cmp(&b.uid)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::rng;

    fn candidate(uid: Uid, score: f64, past_incentive: f64) -> Candidate {
        Candidate { uid, score, waited: 0, newcomer: false, past_incentive }
    }

    #[test]
    fn positive_scores_earn_a_place_and_the_highest_comes_first() {
        let peers = [(0, 1.0), (1, 5.0), (2, -3.0), (3, 2.0), (4, 0.0)].map(|(uid, score)| candidate(uid, score, 0.0));
        let ranking = Ranking::by_score(peers.to_vec(), &mut rng(0, "t", 0, 0));
        assert_eq!(ranking.earned, [1, 3, 0]);
        assert_eq!(ranking.others.len(), 2);
    }

    #[test]
    fn the_others_come_by_past_pay_and_then_by_lot() {
        let mut peers: Vec<Candidate> = (0..30).map(|uid| candidate(uid, 0.0, 0.0)).collect();
        (peers[17].past_incentive, peers[21].past_incentive) = (0.2, 0.5);
        let others = |round| Ranking::by_score(peers.clone(), &mut rng(0, "t", 0, round)).others;
        assert_eq!(others(0)[..2], [21, 17]);
        assert_eq!(others(0).len(), 30);
        assert_ne!(others(0)[2..], others(1)[2..]);
    }
}
