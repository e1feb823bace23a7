//! Text from a model: one token after the other, drawn or the most likely, by the rules of a folder.

use std::collections::BTreeSet;

use rand::RngExt;

use super::Llama;
use crate::random::rng;

/// What is generated with where nobody says it.
pub const TEMPERATURE: f64 = 0.8;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by before one is drawn; 0 takes the most likely token.
    pub temperature: f64,
    /// Of the draws.
    pub seed: u64,
}

/// Which tokens can be chosen, and which of them end a text: what Hugging Face's generation settings say.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Tokens that end a text.
    pub end: Vec<u32>,
    /// Logits of tokens that are there already are divided by it, negative ones multiplied; 1 leaves them.
    pub repetition_penalty: f64,
    /// No so many tokens in a row come twice; 0 for no such rule.
    pub no_repeat_ngram: usize,
    /// The text does not end before it has so many tokens, with the prompt.
    pub least_length: usize,
    /// The text does not end before so many tokens were added.
    pub least_new: usize,
    /// Tokens that are never chosen.
    pub suppressed: Vec<u32>,
    /// Tokens that are not chosen first.
    pub suppressed_first: Vec<u32>,
    /// Where tokens are drawn, only the so many most likely ones are; 0 for all.
    pub top_k: usize,
    /// Where tokens are drawn, only the most likely ones are that have this probability together.
    pub top_p: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            end: Vec::new(),
            repetition_penalty: 1.0,
            no_repeat_ngram: 0,
            least_length: 0,
            least_new: 0,
            suppressed: Vec::new(),
            suppressed_first: Vec::new(),
            top_k: 0,
            top_p: 1.0,
        }
    }
}

/// Goes on with `prompt` for at most `count` tokens and tells them one by one. It stops at a token that ends a text,
/// which is not told, or when `tell` says so.
///
/// A model knows sequences of a certain length: when that is full, it reads the second half of it again and goes on.
///
/// # Panics
/// If the prompt is empty or its tokens are not in the vocabulary.
pub fn generate(
    model: &Llama,
    prompt: &[u32],
    count: usize,
    rules: &Rules,
    sampling: Sampling,
    mut tell: impl FnMut(u32) -> bool,
) {
    assert!(!prompt.is_empty(), "a prompt of at least one token");
    let longest = model.config().sequence_length;
    let mut random = rng(sampling.seed, "generate", 0, 0);
    let mut tokens = prompt.to_vec();
    let mut cache = None;
    let mut unread = tokens[tokens.len().saturating_sub(longest)..].to_vec();
    for added in 0..count {
        let read = model.read(cache.take(), &unread, unread.len());
        let mut logits = model.next_logits(&read).into_data().try_into_vec::<f32>().expect("f32 logits");
        rules.apply(&mut logits, &tokens, added);
        if sampling.temperature > 0.0 {
            rules.narrow(&mut logits, sampling.temperature);
        }
        let token = choose(&logits, sampling.temperature, random.random());
        if rules.end.contains(&token) || !tell(token) {
            return;
        }
        tokens.push(token);
        unread = vec![token];
        if read.cache.length() < longest {
            cache = Some(read.cache);
        } else {
            unread = tokens[tokens.len() - (longest / 2).max(1)..].to_vec();
        }
    }
}

impl Rules {
    /// Changes the logits of the token that comes after `tokens`, `added` of which were generated.
    fn apply(&self, logits: &mut [f32], tokens: &[u32], added: usize) {
        if self.repetition_penalty != 1.0 {
            let penalty = self.repetition_penalty as f32;
            for token in tokens.iter().collect::<BTreeSet<_>>() {
                let logit = &mut logits[*token as usize];
                *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
            }
        }
        if self.no_repeat_ngram > 0 && tokens.len() + 1 >= self.no_repeat_ngram {
            let before = &tokens[tokens.len() + 1 - self.no_repeat_ngram..];
            for ngram in tokens.windows(self.no_repeat_ngram).filter(|ngram| ngram.starts_with(before)) {
                logits[ngram[before.len()] as usize] = f32::NEG_INFINITY;
            }
        }
        let too_short = tokens.len() < self.least_length || added < self.least_new;
        let ends = self.end.iter().filter(|_| too_short);
        let first = self.suppressed_first.iter().filter(|_| added == 0);
        for token in ends.chain(&self.suppressed).chain(first) {
            // A file may name tokens that the model does not have.
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// Leaves only the tokens that are drawn from.
    fn narrow(&self, logits: &mut [f32], temperature: f64) {
        let mut order: Vec<f32> = logits.to_vec();
        order.sort_by(|a, b| b.total_cmp(a));
        if self.top_k > 0 && self.top_k < order.len() {
            order.truncate(self.top_k);
        }
        if self.top_p < 1.0 {
            let weights: Vec<f64> =
                order.iter().map(|logit| libm::exp(f64::from(logit - order[0]) / temperature)).collect();
            let all: f64 = weights.iter().sum();
            let mut above = 0.0;
            let kept = weights.iter().take_while(|weight| {
                let kept = above < self.top_p * all;
                above += **weight;
                kept
            });
            let kept = kept.count().max(1);
            order.truncate(kept);
        }
        let least = order.last().copied().unwrap_or(f32::NEG_INFINITY);
        for logit in logits.iter_mut().filter(|logit| **logit < least) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// The token of the largest logit, or the one that `uniform`, in 0..1, falls on.
fn choose(logits: &[f32], temperature: f64, uniform: f64) -> u32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let likeliest = logits.iter().position(|&logit| logit == largest).unwrap_or(0);
    if temperature == 0.0 {
        return likeliest as u32;
    }
    let weights: Vec<f64> = logits.iter().map(|&logit| libm::exp(f64::from(logit - largest) / temperature)).collect();
    let mut left = uniform * weights.iter().sum::<f64>();
    let drawn = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    drawn.unwrap_or(likeliest) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;
    use crate::model::{Device, LlamaConfig, init_theta};

    fn model() -> Llama {
        let settings = ModelSettings { preset: "nano".into(), sequence_length: Some(16), ..Default::default() };
        let config = LlamaConfig::from_settings(&settings).unwrap();
        let theta: Vec<f32> = init_theta(&config, 3).iter().map(|value| value * 10.0).collect();
        Llama::from_flat(&config, &theta, &Device::Cpu)
    }

    fn text(prompt: &[u32], count: usize, sampling: Sampling) -> Vec<u32> {
        let mut tokens = Vec::new();
        generate(&model(), prompt, count, &Rules::default(), sampling, |token| {
            tokens.push(token);
            true
        });
        tokens
    }

    #[test]
    fn the_likeliest_token_is_that_of_the_whole_sequence() {
        let prompt = [7, 100, 3];
        let found = text(&prompt, 13, Sampling { temperature: 0.0, seed: 1 });
        let (model, mut tokens) = (model(), prompt.to_vec());
        for token in &found {
            let logits = model.logits(&tokens, tokens.len()).into_data().try_into_vec::<f32>().unwrap();
            assert_eq!(choose(&logits[logits.len() - 256..], 0.0, 0.5), *token);
            tokens.push(*token);
        }
    }

    #[test]
    fn goes_on_behind_the_longest_sequence() {
        let prompt: Vec<u32> = (0..40).collect();
        assert_eq!(text(&prompt, 50, Sampling { temperature: 1.0, seed: 1 }).len(), 50);
    }

    #[test]
    fn draws_follow_the_seed_and_the_probabilities() {
        let sampling = |seed| Sampling { temperature: 1.0, seed };
        assert_eq!(text(&[1], 20, sampling(1)), text(&[1], 20, sampling(1)));
        assert_ne!(text(&[1], 20, sampling(1)), text(&[1], 20, sampling(2)));
        let logits = [0.0, f32::ln(3.0), f32::NEG_INFINITY];
        let drawn = |temperature, uniform| choose(&logits, temperature, uniform);
        assert_eq!([drawn(1.0, 0.0), drawn(1.0, 0.24), drawn(1.0, 0.26), drawn(1.0, 0.999)], [0, 0, 1, 1]);
        assert_eq!(drawn(0.5, 0.11), 1);
    }

    #[test]
    fn stops_at_the_end_of_a_text_and_when_told() {
        let first = text(&[1], 1, Sampling { temperature: 0.0, seed: 1 })[0];
        let mut told = 0;
        generate(
            &model(),
            &[1],
            5,
            &Rules { end: vec![9, first], ..Rules::default() },
            Sampling { temperature: 0.0, seed: 1 },
            |_| {
                told += 1;
                true
            },
        );
        assert_eq!(told, 0);
        generate(&model(), &[1], 5, &Rules::default(), Sampling { temperature: 0.0, seed: 1 }, |_| {
            told += 1;
            told < 2
        });
        assert_eq!(told, 2);
    }

    #[test]
    fn rules_change_logits_as_transformers_does() {
        let rules = Rules { end: vec![3], ..Rules::default() };
        let after = |rules: &Rules, tokens: &[u32], added| {
            let mut logits = [1.0, -2.0, 4.0, 3.0];
            rules.apply(&mut logits, tokens, added);
            logits
        };
        let none = f32::NEG_INFINITY;
        assert_eq!(after(&rules, &[0, 1, 1], 0), [1.0, -2.0, 4.0, 3.0]);
        let penalty = Rules { repetition_penalty: 2.0, ..rules.clone() };
        assert_eq!(after(&penalty, &[0, 1, 1], 0), [0.5, -4.0, 4.0, 3.0]);
        let ngram = |no_repeat_ngram| Rules { no_repeat_ngram, ..rules.clone() };
        assert_eq!(after(&ngram(2), &[0, 1, 2, 0], 0), [1.0, none, 4.0, 3.0]);
        assert_eq!(after(&ngram(1), &[0, 2], 0), [none, -2.0, none, 3.0]);
        assert_eq!(after(&ngram(3), &[0], 0), [1.0, -2.0, 4.0, 3.0]);
        let least = Rules { least_length: 3, least_new: 2, ..rules.clone() };
        assert_eq!(after(&least, &[0, 1], 2)[3], none);
        assert_eq!(after(&least, &[0, 1, 2], 1)[3], none);
        assert_eq!(after(&least, &[0, 1, 2], 2)[3], 3.0);
        let suppressed = Rules { suppressed: vec![0, 99], suppressed_first: vec![2], ..rules };
        assert_eq!(after(&suppressed, &[1], 0), [none, -2.0, none, 3.0]);
        assert_eq!(after(&suppressed, &[1], 1), [none, -2.0, 4.0, 3.0]);
    }

    #[test]
    fn drawing_is_narrowed_to_the_likeliest() {
        let narrowed = |rules: Rules| {
            let mut logits = [0.1f32.ln(), 0.6f32.ln(), 0.3f32.ln()];
            rules.narrow(&mut logits, 1.0);
            logits.map(|logit| logit.is_finite())
        };
        assert_eq!(narrowed(Rules::default()), [true; 3]);
        assert_eq!(narrowed(Rules { top_k: 2, ..Rules::default() }), [false, true, true]);
        assert_eq!(narrowed(Rules { top_p: 0.5, ..Rules::default() }), [false, true, false]);
        assert_eq!(narrowed(Rules { top_p: 0.7, ..Rules::default() }), [false, true, true]);
        assert_eq!(narrowed(Rules { top_p: 0.0, ..Rules::default() }), [false, true, false]);
    }
}
