//! Which pages belong to which peer in which round.
//!
//! Anyone can compute it from `(seed, uid, round)`, so a validator knows a peer's assigned pages without asking. In
//! each round a keyed permutation shuffles all pages; uid `u` owns `pages_per_round` places of the shuffled order, from
//! `u * pages_per_round` on. The places after those of all slots are assigned to nobody. Every uid has its own part of
//! them for pages that it trains on besides its own ([`Assignment::extra`]). One part is common
//! ([`Assignment::unassigned`]): no peer trains on it, and validators compare all peers on it.

use std::collections::BTreeSet;
use std::fmt;

use rand::{Rng, seq::SliceRandom};

use super::page::PageId;
use crate::Uid;
use crate::random::{ChaCha8Rng, rng};
use crate::words::counted;

/// Peers' pages by round; see the module.
#[derive(Clone)]
pub struct Assignment {
    seed: u64,
    slots: u64,
    pages_per_round: u64,
    train_pages: u64,
}

/// A corpus that is too small for all slots to have different pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Pages that a round uses if every slot is filled, including the common unassigned ones.
    pub needed: u64,
    pub available: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, available } = self;
        write!(
            f,
            "a round of all slots takes {}, the corpus has {available}: peers share pages, which weakens the proof of computation; \
             lower chain.slots or training.pages_per_round, or take a larger corpus",
            counted(*needed, "page")
        )
    }
}

impl Assignment {
    /// An assignment for uids below `slots`, each with `pages_per_round` of `train_pages` pages.
    pub fn new(seed: u64, slots: usize, pages_per_round: usize, train_pages: u64) -> Self {
        assert!(train_pages > 0, "a corpus without pages");
        Self { seed, slots: slots as u64, pages_per_round: pages_per_round as u64, train_pages }
    }

    /// The pages assigned to `uid`: exactly `pages_per_round`. No other uid has them if the corpus is large enough
    /// ([`Self::shortage`]).
    pub fn assigned(&self, uid: Uid, round: u64) -> Vec<PageId> {
        let first = u64::from(uid) * self.pages_per_round;
        let shuffle = self.shuffle(round);
        (first..first + self.pages_per_round).map(|place| shuffle.page(place % self.train_pages)).collect()
    }

    /// The first `n` pages of `uid`: the assigned ones, then those that are reserved for it.
    pub fn first(&self, uid: Uid, round: u64, n: usize) -> Vec<PageId> {
        let mut pages = self.assigned(uid, round);
        pages.extend(self.extra(uid, round, n.saturating_sub(pages.len())));
        pages.truncate(n);
        pages
    }

    /// `n` pages that are assigned to nobody and reserved for `uid`: a peer uses them to train on more pages than its
    /// own, or on others.
    pub fn extra(&self, uid: Uid, round: u64, n: usize) -> Vec<PageId> {
        self.free(1 + u64::from(uid), round, n)
    }

    /// `n` pages that are assigned to nobody, the same for all uids.
    pub fn unassigned(&self, round: u64, n: usize) -> Vec<PageId> {
        self.free(0, round, n)
    }

    /// `n` different pages that are assigned to nobody, drawn by `random`; fewer if there are fewer.
    pub fn hidden(&self, round: u64, n: usize, random: &mut ChaCha8Rng) -> Vec<PageId> {
        let (first, shuffle) = (self.first_free(), self.shuffle(round));
        let free = self.train_pages - first;
        let mut places = BTreeSet::new();
        while (places.len() as u64) < free.min(n as u64) {
            places.insert(first + random.next_u64() % free);
        }
        places.into_iter().map(|place| shuffle.page(place)).collect()
    }

    /// Whether the corpus is too small to give every slot its own pages, up to `most` times as many, and leave as many
    /// unassigned.
    pub fn shortage(&self, most: f64) -> Option<Shortage> {
        let needed = (self.slots + 1) * (most * self.pages_per_round as f64).ceil() as u64;
        (needed > self.train_pages).then_some(Shortage { needed, available: self.train_pages })
    }

    /// Pages of a lane. The free places are dealt in turn to lane 0, which is common, and to one lane per uid. After
    /// the last place, dealing starts again at the first.
    fn free(&self, lane: u64, round: u64, n: usize) -> Vec<PageId> {
        let first = self.first_free();
        let shuffle = self.shuffle(round);
        let place = |turn: u64| first + (turn * (self.slots + 1) + lane) % (self.train_pages - first);
        (0..n as u64).map(|turn| shuffle.page(place(turn))).collect()
    }

    /// The first place that no slot has; 0 if the slots have all.
    fn first_free(&self) -> u64 {
        let taken = self.slots * self.pages_per_round;
        if taken < self.train_pages { taken } else { 0 }
    }

    fn shuffle(&self, round: u64) -> Permutation {
        let mut random = rng(self.seed, "assignment", 0, round);
        Permutation::new(self.train_pages, std::array::from_fn(|_| random.next_u64()))
    }
}

/// A random part of `pages`, on which a validator measures a peer's loss: this fraction, rounded, at least one page, in
/// the original order.
///
/// `seed` should be the validator's own, so that the peer cannot predict the choice.
pub fn sample(seed: u64, uid: Uid, round: u64, fraction: f64, pages: &[PageId]) -> Vec<PageId> {
    let count = ((pages.len() as f64 * fraction).round() as usize).clamp(pages.len().min(1), pages.len());
    let mut chosen: Vec<usize> = (0..pages.len()).collect();
    let random = &mut rng(seed, "evaluation sample", u64::from(uid), round);
    let mut chosen = chosen.partial_shuffle(random, count).0.to_vec();
    chosen.sort_unstable();
    chosen.into_iter().map(|at| pages[at]).collect()
}

/// A keyed bijection of `0..size`: a Feistel network over the next power of four, repeated until the result is below
/// `size`.
struct Permutation {
    size: u64,
    half_bits: u32,
    keys: [u64; 6],
}

impl Permutation {
    fn new(size: u64, keys: [u64; 6]) -> Self {
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        Self { size, half_bits: bits.div_ceil(2).max(1), keys }
    }

    fn page(&self, place: u64) -> PageId {
        assert!(place < self.size);
        let mask = (1u64 << self.half_bits) - 1;
        let mut at = place;
        loop {
            let (mut left, mut right) = (at >> self.half_bits, at & mask);
            for key in self.keys {
                (left, right) = (right, left ^ (mix(right ^ key) & mask));
            }
            at = left << self.half_bits | right;
            if at < self.size {
                return at;
            }
        }
    }
}

/// The finaliser of SplitMix64 (Steele et al., 2014): every bit of the result depends on all bits.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_permutation_hits_every_page_once(size in 1u64..3000, key: u64) {
            let permutation = Permutation::new(size, std::array::from_fn(|i| key.wrapping_mul(i as u64 + 1)));
            let pages: BTreeSet<PageId> = (0..size).map(|place| permutation.page(place)).collect();
            prop_assert_eq!(pages.len() as u64, size);
            prop_assert_eq!(pages.last().copied(), Some(size - 1));
        }

        #[test]
        fn no_page_has_two_owners(
            seed: u64, round: u64, slots in 1usize..40, pages in 1usize..20, extra in 0usize..5, spare in 0u64..1000, huge: bool,
        ) {
            let needed = (slots * pages + (slots + 1) * extra.max(pages)) as u64;
            let assignment = Assignment::new(seed, slots, pages, if huge { 1 << 40 } else { needed + spare });
            prop_assert_eq!(assignment.shortage(1.0), None);
            let mut all = assignment.unassigned(round, pages);
            for uid in 0..slots as Uid {
                let own = assignment.assigned(uid, round);
                prop_assert_eq!(own.len(), pages);
                prop_assert_eq!(&own, &assignment.assigned(uid, round));
                all.extend(own);
                all.extend(assignment.extra(uid, round, extra));
            }
            prop_assert!(all.iter().all(|page| *page < assignment.train_pages));
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        }

        #[test]
        fn a_small_corpus_is_told_and_stays_in_range(train in 1u64..50, slots in 1usize..10, pages in 1usize..20) {
            let assignment = Assignment::new(3, slots, pages, train);
            prop_assert_eq!(assignment.shortage(1.0).is_some(), ((slots + 1) * pages) as u64 > train);
            for uid in 0..slots as Uid {
                let lists = [assignment.assigned(uid, 1), assignment.extra(uid, 1, pages), assignment.unassigned(1, pages)];
                prop_assert!(lists.iter().all(|list| list.len() == pages && list.iter().all(|page| *page < train)));
            }
        }

        #[test]
        fn hidden_pages_are_nobodys_and_follow_the_secret(seed: u64, round: u64, n in 1usize..20) {
            let assignment = Assignment::new(seed, 6, 8, 100_000);
            let hidden = |secret| assignment.hidden(round, n, &mut rng(secret, "hidden pages", 0, round));
            let (of_one, of_other) = (hidden(1), hidden(2));
            let known: BTreeSet<PageId> = assignment.unassigned(round, 8).into_iter().collect();
            let assigned: BTreeSet<PageId> = (0..6).flat_map(|uid| assignment.assigned(uid, round)).collect();
            for pages in [&of_one, &of_other] {
                prop_assert_eq!(pages.iter().collect::<BTreeSet<_>>().len(), n);
                prop_assert!(pages.iter().all(|page| *page < assignment.train_pages && !assigned.contains(page)));
            }
            prop_assert_eq!(&of_one, &hidden(1));
            // Among a hundred thousand pages, two draws of twenty have none in common but in one case of 250.
            let in_common = of_one.iter().filter(|page| of_other.contains(page) || known.contains(page)).count();
            prop_assert!(in_common <= 2);
        }

        #[test]
        fn a_sample_is_a_part_of_the_pages(seed: u64, uid: Uid, round: u64, fraction in 0.0f64..=1.0, n in 1usize..60) {
            let pages: Vec<PageId> = (100..100 + n as u64).collect();
            let part = sample(seed, uid, round, fraction, &pages);
            prop_assert_eq!(part.len(), ((n as f64 * fraction).round() as usize).max(1));
            prop_assert!(part.windows(2).all(|two| two[0] < two[1]));
            prop_assert!(part.iter().all(|page| pages.contains(page)));
            prop_assert_eq!(&part, &sample(seed, uid, round, fraction, &pages));
        }
    }

    #[test]
    fn rounds_and_seeds_give_other_pages() {
        let first = Assignment::new(1, 16, 8, 1 << 40);
        assert_ne!(first.assigned(0, 0), first.assigned(0, 1));
        assert_ne!(first.assigned(0, 0), Assignment::new(2, 16, 8, 1 << 40).assigned(0, 0));
    }

    #[test]
    fn pages_are_spread_evenly() {
        let assignment = Assignment::new(1, 4, 10, 1000);
        let pages = (0..500).flat_map(|round| assignment.assigned(2, round));
        let mut tenths = [0usize; 10];
        pages.for_each(|page| tenths[page as usize / 100] += 1);
        assert!(tenths.iter().all(|count| (400..600).contains(count)), "{tenths:?}");
    }

    #[test]
    fn an_empty_list_has_an_empty_sample() {
        assert_eq!(sample(1, 2, 3, 0.5, &[]), Vec::<PageId>::new());
    }
}
