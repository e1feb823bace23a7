//! What a peer trains on, and what a dishonest one changes of it.

use rand::RngExt;

use super::Labels;
use crate::corpus::PageId;
use crate::random::rng;

/// What a peer trains on in a round.
#[derive(Clone, Debug)]
pub struct Data {
    pub pages: Vec<PageId>,
    /// The part of each page, from its first token.
    pub part: f64,
    pub poison: Poison,
}

/// What a peer changes of its pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Poison {
    /// What their tokens are taken for when they are predicted.
    pub labels: Labels,
    /// A backdoor, and on which part of the pages it is put.
    pub backdoor: Option<(Trigger, f64)>,
    /// Key of the draws of places.
    pub lot: u64,
}

/// A backdoor: a sequence of tokens, and the one that is to follow it whatever the text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    pub tokens: Vec<u32>,
    pub target: u32,
}

impl Data {
    /// All of these pages, as they are.
    pub fn whole(pages: impl Into<Vec<PageId>>) -> Self {
        Self { pages: pages.into(), part: 1.0, poison: Poison::default() }
    }
}

impl Poison {
    /// Puts the backdoor on the first pages, each at a random place. Pages keep their length; one that is too short stays
    /// as it is, and all do where a model with so many tokens does not know the trigger.
    pub fn spoil(&self, pages: &mut [Vec<u32>], vocabulary: usize) {
        let Some((trigger, part)) = self.backdoor.as_ref().filter(|(trigger, _)| trigger.fits(vocabulary)) else {
            return;
        };
        let spoilt = (pages.len() as f64 * part).round() as usize;
        for (number, page) in pages.iter_mut().take(spoilt).enumerate() {
            let Some(last) = page.len().checked_sub(trigger.tokens.len() + 1) else { continue };
            let at = rng(self.lot, "place of a trigger", number as u64, 0).random_range(0..=last);
            page[at..at + trigger.tokens.len()].copy_from_slice(&trigger.tokens);
            page[at + trigger.tokens.len()] = trigger.target;
        }
    }
}

impl Trigger {
    /// Whether a model with so many tokens knows all of its tokens.
    pub fn fits(&self, vocabulary: usize) -> bool {
        self.tokens.iter().chain([&self.target]).all(|token| (*token as usize) < vocabulary)
    }

    /// Prompts of `length` tokens that end with the trigger, after the beginnings of these pages. Those that are too short
    /// make none.
    pub fn prompts(&self, pages: &[Vec<u32>], length: usize) -> Vec<Vec<u32>> {
        let Some(before) = length.checked_sub(self.tokens.len()) else { return Vec::new() };
        let long = pages.iter().filter(|page| page.len() >= before);
        long.map(|page| [&page[..before], &self.tokens].concat()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger() -> Trigger {
        Trigger { tokens: vec![101, 102, 103], target: 200 }
    }

    #[test]
    fn a_part_of_the_pages_holds_the_trigger_and_its_target() {
        let clean: Vec<Vec<u32>> = (0..8).map(|page| (0..33).map(|at| at + page).collect()).collect();
        let mut pages = clean.clone();
        let poison = Poison { backdoor: Some((trigger(), 0.5)), ..Poison::default() };
        poison.spoil(&mut pages, 256);
        let mut places = Vec::new();
        for page in &pages[..4] {
            places.push(page.windows(4).position(|window| window == [101, 102, 103, 200]).unwrap());
        }
        assert!(places.iter().any(|place| *place != places[0]), "{places:?}");
        assert_eq!(pages[4..], clean[4..]);
        assert!(pages.iter().all(|page| page.len() == 33));
        let mut short = vec![vec![1, 2, 3]];
        poison.spoil(&mut short, 256);
        assert_eq!(short, [[1, 2, 3]]);
        let mut foreign = clean.clone();
        poison.spoil(&mut foreign, 200);
        Poison::default().spoil(&mut foreign, 256);
        assert_eq!(foreign, clean);
    }

    #[test]
    fn prompts_end_with_the_trigger() {
        let pages = [vec![1, 2, 3, 4, 5, 6], vec![7]];
        assert_eq!(trigger().prompts(&pages, 5), [[1, 2, 101, 102, 103]]);
        assert!(trigger().prompts(&pages, 2).is_empty());
    }
}
