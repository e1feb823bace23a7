//! The words behind a corpus of words, the grammar of their classes, and the entropies of both.
//!
//! Words are sequences of letters that a separator ends, so no word is the beginning of another, and what has been read
//! of a word is a node of a tree. The class of the last word and that node are all that there is to know of the past:
//! with them, the entropies of all positions of a page are computed, not estimated.

use std::collections::{BTreeMap, BTreeSet};

use libm::log;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::alias::Alias;
use super::entropies::Entropies;
use crate::random::rng;

/// Words for each token of the vocabulary, and the most in all.
const WORDS_PER_TOKEN: usize = 16;
const MOST_WORDS: usize = 8192;
/// Letters of a word.
const LETTERS: std::ops::RangeInclusive<usize> = 2..=5;
/// Draws of a word before it may be longer.
const TRIES: usize = 50;
/// Probabilities of the two classes that like to follow a class; the rest is spread over all.
const FOLLOWS: [f64; 2] = [0.5, 0.3];

/// A word without its separator.
pub struct Word {
    pub letters: Vec<u32>,
    /// Relative frequency among the words of its class.
    pub weight: f64,
}

/// The words and their grammar.
pub struct Lexicon {
    pub separator: u32,
    /// Words of each class, the most frequent first; weights sum to one.
    pub words: Vec<Vec<Word>>,
    /// `[class][next class]`. All classes are equally frequent, because each is liked by as many as it likes.
    pub transition: Vec<Vec<f64>>,
}

impl Lexicon {
    /// Draws the words and the grammar of a seed.
    pub fn new(seed: u64, vocab_size: usize) -> Self {
        let mut random = rng(seed, "words corpus", 0, 0);
        let classes = if vocab_size >= 128 { 16 } else { 4 };
        let mut tokens: Vec<u32> = (0..vocab_size as u32).collect();
        tokens.shuffle(&mut random);
        let separator = tokens.pop().expect("a vocabulary has tokens");
        let letters = Alias::new(&(0..tokens.len()).map(|rank| 1.0 / (rank + 3) as f64).collect::<Vec<_>>());

        let mut known = BTreeSet::new();
        let mut words: Vec<Vec<Word>> = (0..classes).map(|_| Vec::new()).collect();
        for rank in 0..(WORDS_PER_TOKEN * vocab_size).min(MOST_WORDS) {
            let mut length = random.random_range(LETTERS);
            let mut tries = 0;
            let word = loop {
                let word: Vec<u32> = (0..length).map(|_| tokens[letters.draw(random.random())]).collect();
                if known.insert(word.clone()) {
                    break word;
                }
                tries += 1;
                length += usize::from(tries % TRIES == 0);
            };
            words[rank % classes].push(Word { letters: word, weight: 1.0 / (rank + 1) as f64 });
        }
        for words in &mut words {
            let total: f64 = words.iter().map(|word| word.weight).sum();
            words.iter_mut().for_each(|word| word.weight /= total);
        }

        let mut liked: [Vec<usize>; 2] = [(); 2].map(|()| (0..classes).collect());
        liked.iter_mut().for_each(|order| order.shuffle(&mut random));
        let rest = (1.0 - FOLLOWS.iter().sum::<f64>()) / classes as f64;
        let transition = (0..classes).map(|class| {
            let mut row = vec![rest; classes];
            liked.iter().zip(FOLLOWS).for_each(|(order, part)| row[order[class]] += part);
            row
        });
        Self { separator, words, transition: transition.collect() }
    }

    /// Means over the predicted tokens of a page, which begins with a word and has one token more than it predicts.
    pub fn entropies(&self, predicted: usize) -> Entropies {
        let tree = Tree::new(self);
        let (contexts, nodes) = (self.transition.len() + 1, tree.tokens.len());
        // What a context and a node make of each edge: the last context is that of a page's first word.
        let mut chances = vec![0.0; contexts * tree.edges.len()];
        let mut entropy = vec![0.0; contexts * nodes];
        for context in 0..contexts {
            let mass = tree.mass(&self.next_of(context));
            for (at, edge) in tree.edges.iter().enumerate() {
                let chance = mass.edges[at] / mass.nodes[edge.from];
                chances[context * tree.edges.len() + at] = chance;
                if chance > 0.0 {
                    entropy[context * nodes + edge.from] -= chance * log(chance);
                }
            }
        }

        let mut here = vec![0.0; contexts * nodes];
        here[(contexts - 1) * nodes] = 1.0;
        let (mut floor, mut flows) = (0.0, vec![0.0; tree.edges.len()]);
        for position in 0..=predicted {
            if position > 0 {
                floor += here.iter().zip(&entropy).map(|(chance, nats)| chance * nats).sum::<f64>();
            }
            let mut there = vec![0.0; here.len()];
            for context in 0..contexts {
                let chances = &chances[context * tree.edges.len()..];
                for (at, edge) in tree.edges.iter().enumerate() {
                    let flow = here[context * nodes + edge.from] * chances[at];
                    let to = edge.ends.map_or(context * nodes + edge.to, |class| class * nodes);
                    there[to] += flow;
                    if position > 0 {
                        flows[at] += flow;
                    }
                }
            }
            here = there;
        }

        // Which token follows which.
        let (mut first, mut second, mut pairs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (edge, flow) in tree.edges.iter().zip(&flows) {
            let flow = flow / predicted as f64;
            let (from, to) = (tree.tokens[edge.from], edge.token);
            *first.entry(from).or_insert(0.0) += flow;
            *second.entry(to).or_insert(0.0) += flow;
            *pairs.entry((from, to)).or_insert(0.0) += flow;
        }
        let of = |chances: &mut dyn Iterator<Item = &f64>| -> f64 {
            chances.filter(|chance| **chance > 0.0).map(|chance| -chance * log(*chance)).sum()
        };
        Entropies {
            floor: floor / predicted as f64,
            bigram: of(&mut pairs.values()) - of(&mut first.values()),
            unigram: of(&mut second.values()),
        }
    }

    /// Chances of the classes of the next word after a class, or of a page's first word.
    fn next_of(&self, context: usize) -> Vec<f64> {
        let classes = self.transition.len();
        self.transition.get(context).cloned().unwrap_or_else(|| vec![1.0 / classes as f64; classes])
    }
}

/// What may have been read of a word. The root, the first node, is where a word begins.
struct Tree<'a> {
    lexicon: &'a Lexicon,
    /// The token before each node; before the root it is the separator.
    tokens: Vec<u32>,
    /// Those that lead to a node come before those that leave it.
    edges: Vec<Edge>,
}

/// What may be read next.
struct Edge {
    from: usize,
    to: usize,
    token: u32,
    /// The class of the word that it ends, if it ends one.
    ends: Option<usize>,
    /// The place of that word in its class.
    word: usize,
}

/// Chances of what may be read of the next word.
struct Mass {
    nodes: Vec<f64>,
    edges: Vec<f64>,
}

impl<'a> Tree<'a> {
    fn new(lexicon: &'a Lexicon) -> Self {
        let mut tree = Self { lexicon, tokens: vec![lexicon.separator], edges: Vec::new() };
        let mut children: BTreeMap<(usize, u32), usize> = BTreeMap::new();
        for (class, words) in lexicon.words.iter().enumerate() {
            for (number, word) in words.iter().enumerate() {
                let mut node = 0;
                for token in &word.letters {
                    node = *children.entry((node, *token)).or_insert_with(|| {
                        tree.tokens.push(*token);
                        let to = tree.tokens.len() - 1;
                        tree.edges.push(Edge { from: node, to, token: *token, ends: None, word: 0 });
                        to
                    });
                }
                let token = lexicon.separator;
                tree.edges.push(Edge { from: node, to: 0, token, ends: Some(class), word: number });
            }
        }
        tree
    }

    /// The chance of each node and edge within a word, given the chances of its class.
    fn mass(&self, classes: &[f64]) -> Mass {
        let mut mass = Mass { nodes: vec![0.0; self.tokens.len()], edges: vec![0.0; self.edges.len()] };
        // A node's last edges come after the one that leads to it, so from the last one on all sums are complete.
        for (at, edge) in self.edges.iter().enumerate().rev() {
            mass.edges[at] = match edge.ends {
                Some(class) => classes[class] * self.lexicon.words[class][edge.word].weight,
                None => mass.nodes[edge.to],
            };
            mass.nodes[edge.from] += mass.edges[at];
        }
        mass
    }
}
