//! The training data of a peer, and how a dishonest peer changes it.

use rand::RngExt;

use super::Labels;
use crate::corpus::PageId;
use crate::random::rng;

/// The training data of a peer in a round.
#[derive(Clone, Debug)]
pub struct Data {
    pub pages: Vec<PageId>,
    /// The part of each page that is used, from its first token.
    pub part: f64,
    pub poison: Poison,
    /// Inner steps to make of it, if not as many as the scheme says.
    pub steps: Option<usize>,
}

/// How a peer changes its pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Poison {
    /// The labels to predict instead of the tokens.
    pub labels: Labels,
    /// A backdoor, and the part of the pages that get it.
    pub backdoor: Option<(Trigger, f64)>,
    /// Key for drawing the positions.
    pub lot: u64,
}

/// A backdoor: a sequence of tokens, and the token that the model should predict after it in any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    pub tokens: Vec<u32>,
    pub target: u32,
}

impl Data {
    /// These pages in full and unchanged.
    pub fn whole(pages: impl Into<Vec<PageId>>) -> Self {
        Self { pages: pages.into(), part: 1.0, poison: Poison::default(), steps: None }
    }
}

impl Poison {
    /// Puts the backdoor on the first pages, each at a random position. Pages keep their length. A page that is too
    /// short stays as it is; all pages do if the vocabulary does not contain the trigger.
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
    /// Whether the trigger and its target are within a vocabulary of this size.
    pub fn fits(&self, vocabulary: usize) -> bool {
        self.tokens.iter().chain([&self.target]).all(|token| (*token as usize) < vocabulary)
    }

    /// Prompts of `length` tokens: the beginning of each page, then the trigger. Pages that are too short are left out.
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
