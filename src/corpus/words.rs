//! An endless supply of pages of words from the seed, with known entropy: text with a long tail.
//!
//! A [`Lexicon`] has thousands of words of one class each; most are rare. A page is a sequence of words, each ended by a
//! separator. The class of a word tells which classes are likely next. A model learns the letters first, then the
//! frequent words, then the grammar of their classes, and the rare words for as long as it is trained, as in natural
//! text. After a million tokens, much of the tail is still unknown.

use rand::Rng;

use super::alias::Alias;
use super::entropies::Entropies;
use super::error::CorpusError;
use super::lexicon::{Lexicon, Word};
use super::page::PageId;
use super::synthetic::{MIN_VOCABULARY, TRAIN_PAGES};
use crate::random::rng;

/// A [`Lexicon`] set up for fast drawing.
pub struct Words {
    seed: u64,
    sequence_length: usize,
    lexicon: Lexicon,
    /// Draws the next class, for each class.
    next: Vec<Alias>,
    /// Draws the word, for each class.
    word: Vec<Alias>,
    pub entropies: Entropies,
}

impl Words {
    /// Draws the words for a vocabulary of at least 16 tokens.
    ///
    /// # Errors
    /// The vocabulary is smaller.
    pub fn new(seed: u64, vocab_size: usize, sequence_length: usize) -> Result<Self, CorpusError> {
        if vocab_size < MIN_VOCABULARY {
            let what = "the corpus of words".to_string();
            return Err(CorpusError::Vocabulary { got: vocab_size, needed: MIN_VOCABULARY, what });
        }
        let lexicon = Lexicon::new(seed, vocab_size);
        Ok(Self {
            seed,
            sequence_length,
            next: lexicon.transition.iter().map(|row| Alias::new(row)).collect(),
            word: lexicon.words.iter().map(|words| Alias::new(&weights(words))).collect(),
            entropies: lexicon.entropies(sequence_length),
            lexicon,
        })
    }

    /// The training or held-out page with this number. It begins with a word, whose predecessor is unknown.
    pub fn page(&self, page: PageId) -> Vec<u32> {
        let mut random = rng(self.seed, "words page", page, 0);
        let mut tokens = Vec::with_capacity(self.sequence_length + 1);
        let mut class = (random.next_u32() as usize) % self.next.len();
        while tokens.len() <= self.sequence_length {
            let bits = random.next_u64();
            class = self.next[class].draw(bits as u32);
            let word = &self.lexicon.words[class][self.word[class].draw((bits >> 32) as u32)];
            tokens.extend(&word.letters);
            tokens.push(self.lexicon.separator);
        }
        tokens.truncate(self.sequence_length + 1);
        tokens
    }

    /// Pages that share no number with any training page.
    pub fn held_out(&self, pages: usize) -> Vec<Vec<u32>> {
        (0..pages as u64).map(|page| self.page(TRAIN_PAGES + page)).collect()
    }
}

fn weights(words: &[Word]) -> Vec<f64> {
    words.iter().map(|word| word.weight).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// -log p of the pages' predicted tokens under the true process, nats a token, for tokens of whole words.
    fn true_loss(words: &Words, pages: u64) -> f64 {
        let (lexicon, classes) = (&words.lexicon, words.next.len());
        let mut known: BTreeMap<&[u32], (usize, f64)> = BTreeMap::new();
        for (class, words) in lexicon.words.iter().enumerate() {
            known.extend(words.iter().map(|word| (&word.letters[..], (class, word.weight))));
        }
        // Chances of what may be read of a word after a class, by what has been read of it.
        let begins = |row: &[f64]| {
            let mut begins: BTreeMap<&[u32], f64> = BTreeMap::new();
            for (word, (class, weight)) in &known {
                (0..=word.len()).for_each(|read| *begins.entry(&word[..read]).or_insert(0.0) += row[*class] * weight);
            }
            begins
        };
        let after: Vec<_> = lexicon.transition.iter().map(|row| begins(row)).collect();
        let first = begins(&vec![1.0 / classes as f64; classes]);
        let (mut total, mut count) = (0.0, 0);
        for page in (0..pages).map(|page| words.page(page)) {
            let (mut context, mut row, mut start) = (&first, &vec![1.0 / classes as f64; classes], 0);
            for (at, token) in page.iter().enumerate() {
                let (read, whole) = (&page[start..at], &page[start..=at]);
                let ended = *token == lexicon.separator;
                let chance = if ended { row[known[read].0] * known[read].1 } else { context[whole] } / context[read];
                if at > 0 {
                    (total, count) = (total - chance.ln(), count + 1);
                }
                if ended {
                    let class = known[read].0;
                    (context, row, start) = (&after[class], &lexicon.transition[class], at + 1);
                }
            }
        }
        total / f64::from(count)
    }

    #[test]
    fn the_floor_is_the_loss_of_the_true_process() {
        for (seed, vocab, length) in [(1, 256, 64), (2, 16, 1), (3, 100, 5), (4, 300, 33)] {
            let words = Words::new(seed, vocab, length).unwrap();
            let loss = true_loss(&words, 200_000 / (length as u64 + 1));
            let floor = words.entropies.floor;
            assert!((loss - floor).abs() < 0.015, "{vocab} {length}: {loss} for {floor}");
        }
    }

    #[test]
    fn frequencies_are_what_counting_finds() {
        let words = Words::new(5, 32, 64).unwrap();
        let (mut single, mut pairs) = (vec![0.0f64; 32], vec![0.0f64; 32 * 32]);
        for page in (0..20_000).map(|page| words.page(page)) {
            for two in page.windows(2) {
                single[two[1] as usize] += 1.0;
                pairs[two[0] as usize * 32 + two[1] as usize] += 1.0;
            }
        }
        let entropy = |counts: &[f64]| {
            let all: f64 = counts.iter().sum();
            counts.iter().filter(|count| **count > 0.0).map(|count| -count / all * (count / all).ln()).sum::<f64>()
        };
        let before: Vec<f64> = pairs.chunks_exact(32).map(|row| row.iter().sum()).collect();
        let Entropies { bigram, unigram, .. } = words.entropies;
        let counted = entropy(&pairs) - entropy(&before);
        assert!((counted - bigram).abs() < 0.01, "{counted} for {bigram}");
        assert!((entropy(&single) - unigram).abs() < 0.01, "{} for {unigram}", entropy(&single));
    }

    #[test]
    fn each_step_of_learning_pays() {
        for (seed, vocab) in (1..=4).map(|seed| (seed, 256)).chain([(1, 16), (1, 1000)]) {
            let Entropies { floor, bigram, unigram } = Words::new(seed, vocab, 64).unwrap().entropies;
            assert!((vocab as f64).ln() - unigram > 0.15, "{seed} {vocab}: {unigram}");
            assert!(unigram - bigram > 0.05 && bigram - floor > 0.3, "{seed} {vocab}: {unigram} {bigram} {floor}");
        }
    }

    #[test]
    fn pages_depend_on_seed_and_number_only() {
        let words = Words::new(7, 256, 64).unwrap();
        let page = words.page(12);
        assert_eq!(page.len(), 65);
        assert_eq!(page, Words::new(7, 256, 64).unwrap().page(12));
        assert_ne!(page, words.page(13));
        assert_ne!(page, Words::new(8, 256, 64).unwrap().page(12));
        assert!(page.iter().all(|token| *token < 256));
        assert!(matches!(Words::new(7, 15, 64), Err(CorpusError::Vocabulary { needed: 16, .. })));
    }
}
