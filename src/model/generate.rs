//! Text from a model: one token after the other, drawn or the most likely.

use rand::RngExt;

use super::Llama;
use crate::random::rng;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// What logits are divided by before one is drawn; 0 takes the most likely token.
    pub temperature: f64,
    /// Of the draws.
    pub seed: u64,
}

/// Goes on with `prompt` for at most `count` tokens, which are told one by one; stops at `end`, which is not told, or when
/// `tell` says so.
///
/// A model knows sequences of a certain length: when that is full, it reads the second half of it again and goes on.
///
/// # Panics
/// If the prompt is empty or its tokens are not in the vocabulary.
pub fn generate(
    model: &Llama,
    prompt: &[u32],
    count: usize,
    end: Option<u32>,
    sampling: Sampling,
    mut tell: impl FnMut(u32) -> bool,
) {
    assert!(!prompt.is_empty(), "a prompt of at least one token");
    let longest = model.config().sequence_length;
    let mut random = rng(sampling.seed, "generate", 0, 0);
    let mut tokens = prompt.to_vec();
    let mut cache = None;
    let mut unread = tokens[tokens.len().saturating_sub(longest)..].to_vec();
    for _ in 0..count {
        let read = model.read(cache.take(), &unread, unread.len());
        let logits = model.next_logits(&read).into_data().try_into_vec::<f32>().expect("f32 logits");
        let token = choose(&logits, sampling.temperature, random.random());
        if end == Some(token) || !tell(token) {
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
        generate(&model(), prompt, count, None, sampling, |token| {
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
        generate(&model(), &[1], 5, Some(first), Sampling { temperature: 0.0, seed: 1 }, |_| {
            told += 1;
            true
        });
        assert_eq!(told, 0);
        generate(&model(), &[1], 5, None, Sampling { temperature: 0.0, seed: 1 }, |_| {
            told += 1;
            told < 2
        });
        assert_eq!(told, 2);
    }
}
