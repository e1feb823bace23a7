//! An endless supply of pages from the seed, with known entropy.

use rand::Rng;

use super::alias::Alias;
use super::entropies::Entropies;
use super::error::CorpusError;
use super::page::PageId;
use super::process::Process;
use crate::random::rng;

/// Number of training pages; held-out pages are numbered from here on.
pub const TRAIN_PAGES: u64 = 1 << 40;

/// The smallest vocabulary in which the classes of the process differ.
pub const MIN_VOCABULARY: usize = 16;

/// A [`Process`] set up for fast drawing.
pub struct Synthetic {
    seed: u64,
    sequence_length: usize,
    classes: usize,
    /// Draws the first pair of classes.
    start: Alias,
    /// Draws the next class, for each pair.
    next: Vec<Alias>,
    /// Draws the token, for each class.
    member: Vec<Alias>,
    members: Vec<Vec<u32>>,
    pub entropies: Entropies,
}

impl Synthetic {
    pub fn new(seed: u64, vocab_size: usize, sequence_length: usize) -> Result<Self, CorpusError> {
        if vocab_size < MIN_VOCABULARY {
            let what = "the synthetic corpus".to_string();
            return Err(CorpusError::Vocabulary { got: vocab_size, needed: MIN_VOCABULARY, what });
        }
        let process = Process::new(seed, vocab_size);
        Ok(Self {
            seed,
            sequence_length,
            classes: process.classes,
            start: Alias::new(&process.pairs),
            next: process.transition.chunks_exact(process.classes).map(Alias::new).collect(),
            member: process.member_weights.iter().map(|weights| Alias::new(weights)).collect(),
            entropies: Entropies {
                floor: floor(&process, sequence_length),
                bigram: process.bigram(),
                unigram: process.unigram(),
            },
            members: process.members,
        })
    }

    /// The training or held-out page with this number.
    pub fn page(&self, page: PageId) -> Vec<u32> {
        let mut random = rng(self.seed, "synthetic page", page, 0);
        let start = self.start.draw(random.next_u32());
        let (mut class, mut upcoming) = (start / self.classes, start % self.classes);
        (0..=self.sequence_length)
            .map(|_| {
                let bits = random.next_u64();
                let token = self.members[class][self.member[class].draw(bits as u32)];
                let following = self.next[class * self.classes + upcoming].draw((bits >> 32) as u32);
                (class, upcoming) = (upcoming, following);
                token
            })
            .collect()
    }

    pub fn held_out(&self, pages: usize) -> Vec<Vec<u32>> {
        (0..pages as u64).map(|page| self.page(TRAIN_PAGES + page)).collect()
    }
}

/// Mean entropy of a page's predicted tokens, each given the tokens before it. A page begins in the stationary
/// distribution, so its first predicted token has the entropy given one token, the others the entropy given two.
fn floor(process: &Process, sequence_length: usize) -> f64 {
    let (rate, bigram) = (process.rate(), process.bigram());
    rate + (bigram - rate) / sequence_length as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// -log p of the pages' predicted tokens under the true process, nats a token.
    fn true_loss(process: &Process, synthetic: &Synthetic, pages: u64) -> f64 {
        let n = process.classes;
        let vocab = process.members.iter().map(Vec::len).sum();
        let mut of_token = vec![(0, 0.0); vocab];
        for (class, (members, weights)) in process.members.iter().zip(&process.member_weights).enumerate() {
            members.iter().zip(weights).for_each(|(token, weight)| of_token[*token as usize] = (class, *weight));
        }
        let (mut total, mut count) = (0.0, 0);
        for page in (0..pages).map(|page| synthetic.page(page)) {
            let known: Vec<(usize, f64)> = page.iter().map(|token| of_token[*token as usize]).collect();
            let (first, second) = (known[0], known[1]);
            total -= (process.pairs[first.0 * n + second.0] / process.marginal[first.0] * second.1).ln();
            for three in known.windows(3) {
                total -= (process.transition[(three[0].0 * n + three[1].0) * n + three[2].0] * three[2].1).ln();
            }
            count += page.len() - 1;
        }
        total / count as f64
    }

    /// Cross-entropy of counted bigrams with themselves, over many tokens: an estimate from below of a token's entropy
    /// given the previous one.
    fn counted_bigram(synthetic: &Synthetic, vocab: usize, pages: u64) -> f64 {
        let mut counts = vec![0u32; vocab * vocab];
        for page in (0..pages).map(|page| synthetic.page(page)) {
            page.windows(2).for_each(|two| counts[two[0] as usize * vocab + two[1] as usize] += 1);
        }
        let all: f64 = counts.iter().map(|c| f64::from(*c)).sum();
        let row_entropy = |row: &[u32]| {
            let total: f64 = row.iter().map(|c| f64::from(*c)).sum();
            row.iter().filter(|c| **c > 0).map(|c| -f64::from(*c) * (f64::from(*c) / total).ln()).sum::<f64>()
        };
        counts.chunks_exact(vocab).map(row_entropy).sum::<f64>() / all
    }

    #[test]
    fn the_floor_is_the_loss_of_the_true_process() {
        for (seed, vocab, length) in [(1, 256, 64), (2, 16, 1), (3, 100, 5), (4, 1000, 33)] {
            let synthetic = Synthetic::new(seed, vocab, length).unwrap();
            let pages = 400_000 / (length as u64 + 1);
            let loss = true_loss(&Process::new(seed, vocab), &synthetic, pages);
            assert!(
                (loss - synthetic.entropies.floor).abs() < 0.015,
                "{vocab} {length}: {loss} for {}",
                synthetic.entropies.floor
            );
        }
    }

    #[test]
    fn the_bigram_entropy_is_what_counting_finds() {
        let synthetic = Synthetic::new(5, 32, 64).unwrap();
        let counted = counted_bigram(&synthetic, 32, 20_000);
        assert!((counted - synthetic.entropies.bigram).abs() < 0.01, "{counted} for {}", synthetic.entropies.bigram);
    }

    #[test]
    fn each_step_of_learning_pays() {
        for (seed, vocab) in (1..=8).map(|seed| (seed, 256)).chain([(1, 16), (1, 1000)]) {
            let Entropies { floor, bigram, unigram } = Synthetic::new(seed, vocab, 64).unwrap().entropies;
            let step: f64 = if vocab < 128 { 0.3 } else { 1.0 };
            assert!((vocab as f64).ln() - unigram > 0.15);
            assert!(unigram - bigram > step.min(0.7), "{seed} {vocab}");
            assert!(bigram - floor > step, "{seed} {vocab}");
        }
    }

    #[test]
    fn pages_depend_on_seed_and_number_only() {
        let synthetic = Synthetic::new(7, 256, 64).unwrap();
        let page = synthetic.page(12);
        assert_eq!(page.len(), 65);
        assert_eq!(page, Synthetic::new(7, 256, 64).unwrap().page(12));
        assert_ne!(page, synthetic.page(13));
        assert_ne!(page, Synthetic::new(8, 256, 64).unwrap().page(12));
        assert!(page.iter().all(|token| *token < 256));
        assert!(matches!(Synthetic::new(7, 15, 64), Err(CorpusError::Vocabulary { needed: 16, .. })));
    }
}
