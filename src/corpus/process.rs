//! The random process behind synthetic pages, and its entropies.
//!
//! Every token belongs to a class, and a class has three coordinates `(a, b, h)`. The classes of the last token,
//! `last`, and of the one before it, `before`, determine the class of the next token:
//!
//! | coordinate | follows | so it can be learned by a model that |
//! |---|---|---|
//! | `a` | `last` | knows bigrams |
//! | `b` | `before` | looks one token further back |
//! | `h` | both together, neither alone | combines the two |
//!
//! Each coordinate follows its rule with probability [`FOLLOWS`] and is uniformly random otherwise. Within a class,
//! tokens follow Zipf's law, which a model learns first. The tables are drawn from the seed. They are small (at most 32
//! classes), so a million tokens suffice to learn them. Classes are a Markov chain of order two. Its stationary
//! distribution is computed, not estimated, and so is every entropy below.

use libm::log;
use rand::seq::SliceRandom;

use crate::random::rng;

/// Probability with which a coordinate follows its rule.
const FOLLOWS: f64 = 0.93;

/// The process for one vocabulary; see the module.
pub struct Process {
    /// Classes; a power of two.
    pub classes: usize,
    /// Tokens of each class, the most frequent first.
    pub members: Vec<Vec<u32>>,
    /// Probabilities of the tokens of each class, in the same order.
    pub member_weights: Vec<Vec<f64>>,
    /// `[before][last][next]`, row-major: probability of the next class.
    pub transition: Vec<f64>,
    /// `[before][last]`: frequency of a pair of classes.
    pub pairs: Vec<f64>,
    /// Frequency of each class.
    pub marginal: Vec<f64>,
}

impl Process {
    /// Draws the tables for at least 16 tokens.
    pub fn new(seed: u64, vocab_size: usize) -> Self {
        let mut random = rng(seed, "synthetic corpus", 0, 0);
        // The coordinates a and b each have this many values; h has two.
        let side = if vocab_size >= 128 { 4 } else { 2 };
        let classes = side * side * 2;

        let mut tokens: Vec<u32> = (0..vocab_size as u32).collect();
        tokens.shuffle(&mut random);
        let members: Vec<Vec<u32>> =
            (0..classes).map(|class| tokens.iter().skip(class).step_by(classes).copied().collect()).collect();
        let member_weights = members.iter().map(|members| zipf(members.len())).collect();

        // The rules. Among the classes, every pair of values of a's and b's rules is equally frequent, so that neither
        // tells anything about the other.
        let mut rule: Vec<usize> = (0..classes).collect();
        rule.shuffle(&mut random);
        let mut phase_last: Vec<usize> = (0..classes).map(|class| class % 4).collect();
        let mut phase_before = phase_last.clone();
        phase_last.shuffle(&mut random);
        phase_before.shuffle(&mut random);

        let follow = |value: usize, wanted: usize, values: usize| {
            let stray = (1.0 - FOLLOWS) / values as f64;
            if value == wanted { FOLLOWS + stray } else { stray }
        };
        let mut transition = Vec::with_capacity(classes * classes * classes);
        for before in 0..classes {
            for last in 0..classes {
                let a_wanted = rule[last] / 2 % side;
                let b_wanted = rule[before] / 2 / side;
                let h_wanted = (phase_last[last] + phase_before[before]) % 4 / 2;
                for next in 0..classes {
                    let (a, b, h) = (next / 2 % side, next / 2 / side, next % 2);
                    transition.push(follow(a, a_wanted, side) * follow(b, b_wanted, side) * follow(h, h_wanted, 2));
                }
            }
        }
        let pairs = stationary(&transition, classes);
        let marginal =
            (0..classes).map(|last| (0..classes).map(|before| pairs[before * classes + last]).sum()).collect();
        Self { classes, members, member_weights, transition, pairs, marginal }
    }

    /// Nats a token for a model that knows only token frequencies.
    pub fn unigram(&self) -> f64 {
        entropy(&self.marginal) + self.within_class()
    }

    /// Nats a token given the previous token.
    pub fn bigram(&self) -> f64 {
        entropy(&self.pairs) - entropy(&self.marginal) + self.within_class()
    }

    /// Nats a token given the two previous tokens, which is the entropy rate.
    pub fn rate(&self) -> f64 {
        let rows = self.transition.chunks_exact(self.classes);
        self.pairs.iter().zip(rows).map(|(pair, row)| pair * entropy(row)).sum::<f64>() + self.within_class()
    }

    /// Nats a token given its class.
    fn within_class(&self) -> f64 {
        self.marginal.iter().zip(&self.member_weights).map(|(class, weights)| class * entropy(weights)).sum()
    }
}

/// Probabilities by rank: the inverse square of the rank.
fn zipf(count: usize) -> Vec<f64> {
    let weight = |rank: usize| 1.0 / ((rank + 1) * (rank + 1)) as f64;
    let total: f64 = (0..count).map(weight).sum();
    (0..count).map(|rank| weight(rank) / total).collect()
}

/// Entropy of a distribution in nats.
fn entropy(probabilities: &[f64]) -> f64 {
    probabilities.iter().filter(|p| **p > 0.0).map(|p| -p * log(*p)).sum()
}

/// The stationary distribution over pairs of classes. Every class can follow any pair, so it is unique, and steps from
/// any distribution lead to it.
fn stationary(transition: &[f64], classes: usize) -> Vec<f64> {
    let mut pairs = vec![1.0 / (classes * classes) as f64; classes * classes];
    loop {
        let mut stepped = vec![0.0; pairs.len()];
        for (at, (pair, row)) in pairs.iter().zip(transition.chunks_exact(classes)).enumerate() {
            let last = at % classes;
            for (next, probability) in row.iter().enumerate() {
                stepped[last * classes + next] += pair * probability;
            }
        }
        let moved: f64 = pairs.iter().zip(&stepped).map(|(old, new)| (old - new).abs()).sum();
        pairs = stepped;
        if moved < 1e-13 {
            return pairs;
        }
    }
}
