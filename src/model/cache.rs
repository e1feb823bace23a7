//! Incremental reading: the model keeps the keys and values of earlier tokens.
//!
//! Generation uses it to read one token at a time, and evaluation to read several answers to the same question. It runs
//! on Burn's operations, so on every device.

use burn::tensor::{Int, Tensor, TensorData};

use super::composed::{self, Past};
use super::{Llama, composed::tokens};

/// Keys and values of the tokens read so far, for sequences of equal length.
#[derive(Clone, Debug)]
pub struct Cache {
    blocks: Vec<Past>,
    length: usize,
}

/// The residual stream of the last tokens read. Losses and logits are computed from it.
pub struct Read {
    /// [sequences x length, hidden]
    x: Tensor<2>,
    /// Tokens read per sequence.
    length: usize,
    pub cache: Cache,
}

impl Cache {
    /// Tokens per sequence.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Sequences by their numbers in this cache. A number may repeat.
    pub fn select(&self, sequences: &[u32]) -> Self {
        let Some(first) = self.blocks.first() else { return self.clone() };
        let sequences: Tensor<1, Int> = tokens(sequences, &first.key.device());
        let blocks = self.blocks.iter().map(|past| Past {
            key: past.key.clone().select(0, sequences.clone()),
            value: past.value.clone().select(0, sequences.clone()),
        });
        Self { blocks: blocks.collect(), length: self.length }
    }
}

impl Llama {
    /// Reads `length` more tokens of each sequence, one sequence after another. Pass no cache for the first ones.
    ///
    /// # Panics
    /// If a token is not in the vocabulary, or a sequence exceeds the model's length.
    pub fn read(&self, cache: Option<Cache>, inputs: &[u32], length: usize) -> Read {
        self.check_inputs(inputs, length);
        let first = cache.as_ref().map_or(0, |cache| cache.length);
        let most = self.config().sequence_length;
        assert!(first + length <= most, "{first} + {length} tokens, but the model reads at most {most}");
        let pass = self.pass_from(first, length);
        let mut x = composed::embedding(self.embedding.val(), inputs);
        let mut pasts = cache.map(|cache| cache.blocks.into_iter());
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (after, past) = block.after(pasts.as_mut().and_then(Iterator::next), x, &pass);
            x = after;
            blocks.push(past);
        }
        Read { x, length, cache: Cache { blocks, length: first + length } }
    }

    /// Logits [sequences, vocabulary] of the next token of each sequence.
    pub fn next_logits(&self, read: &Read) -> Tensor<2> {
        let [rows, _] = read.x.dims();
        let last: Vec<u32> = (1..=rows / read.length).map(|sequence| (sequence * read.length - 1) as u32).collect();
        composed::logits(rows_of(&read.x, &last), self.gain.val(), self.head.val(), &self.pass(1))
    }

    /// The most likely next token of each sequence of `length` tokens, one sequence after another; of equal ones the first.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    pub fn likeliest_next(&self, inputs: &[u32], length: usize) -> Vec<u32> {
        let logits = self.next_logits(&self.read(None, inputs, length));
        let logits: Vec<f32> = logits.into_data().try_into_vec().expect("f32 logits");
        let best = |logits: &[f32]| {
            let best = (0..logits.len()).reduce(|best, at| if logits[at] > logits[best] { at } else { best });
            best.unwrap_or(0) as u32
        };
        logits.chunks(self.config().vocab_size).map(best).collect()
    }

    /// Log-probabilities, in nats, of tokens. For each `(sequence, position, token)`, that of `token` after token
    /// number `position` of the last read.
    ///
    /// # Panics
    /// If there is no such position or token.
    pub fn log_probabilities(&self, read: &Read, asked: &[(usize, usize, u32)]) -> Vec<f32> {
        if asked.is_empty() {
            return Vec::new();
        }
        let (rows, targets): (Vec<u32>, Vec<u32>) = asked
            .iter()
            .map(|&(sequence, position, token)| {
                assert!(position < read.length, "position {position} of {}", read.length);
                ((sequence * read.length + position) as u32, token)
            })
            .unzip();
        self.check_tokens(&targets);
        let losses = self.losses(rows_of(&read.x, &rows), &targets, &self.pass(1));
        let losses: Vec<f32> = losses.into_data().try_into_vec().expect("f32 losses");
        losses.into_iter().map(|loss| -loss).collect()
    }
}

fn rows_of(x: &Tensor<2>, rows: &[u32]) -> Tensor<2> {
    let values: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
    let rows = Tensor::<1, Int>::from_data(TensorData::new(values, [rows.len()]), &x.device());
    x.clone().select(0, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;
    use crate::model::{Device, LlamaConfig, init_theta};

    fn model() -> Llama {
        let settings = ModelSettings { preset: "tiny".into(), num_kv_heads: Some(2), ..Default::default() };
        let config = LlamaConfig::from_settings(&settings).unwrap();
        let theta: Vec<f32> = init_theta(&config, 4).iter().map(|value| value * 8.0).collect();
        Llama::from_flat(&config, &theta, &Device::Cpu)
    }

    fn sequence(seed: u32, length: u32) -> Vec<u32> {
        (0..length).map(|at| (at * at + 7 * at + 13 * seed) % 251).collect()
    }

    fn values(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn reading_in_parts_is_reading_at_once() {
        let model = model();
        let vocabulary = model.config().vocab_size;
        let (a, b) = (sequence(1, 20), sequence(2, 20));
        let whole = values(model.logits(&[a.clone(), b.clone()].concat(), 20));
        let mut cache = None;
        for part in [0..7, 7..8, 8..20] {
            let tokens = [&a[part.clone()], &b[part.clone()]].concat();
            let read = model.read(cache.take(), &tokens, part.len());
            let found = values(model.next_logits(&read));
            let row = |sequence: usize| (sequence * 20 + part.end - 1) * vocabulary;
            let expected = [&whole[row(0)..][..vocabulary], &whole[row(1)..][..vocabulary]].concat();
            close(&found, &expected);
            cache = Some(read.cache);
        }
        assert_eq!(cache.unwrap().length(), 20);
    }

    #[test]
    fn answers_share_the_cache_of_their_question() {
        let model = model();
        let questions = [sequence(3, 9), sequence(4, 9)];
        let answers = [(1u32, sequence(5, 4)), (0, sequence(6, 4)), (1, sequence(7, 4))];
        let read = model.read(None, &questions.concat(), 9);
        let cache = read.cache.select(&answers.each_ref().map(|answer| answer.0));
        let tokens: Vec<u32> = answers.iter().flat_map(|(_, answer)| answer[..3].to_vec()).collect();
        let rest = model.read(Some(cache), &tokens, 3);
        for (index, (question, answer)) in answers.iter().enumerate() {
            let question = &questions[*question as usize];
            let whole = [question.clone(), answer.clone()].concat();
            let losses = model.token_losses(&whole[..12], whole[1..].into(), 12).into_data();
            let expected: Vec<f32> = losses.as_slice::<f32>().unwrap()[8..].iter().map(|loss| -loss).collect();
            let mut found = model.log_probabilities(&read, &[(answers[index].0 as usize, 8, answer[0])]);
            found.extend(model.log_probabilities(&rest, &[0, 1, 2].map(|at| (index, at, answer[at + 1]))));
            close(&found, &expected);
        }
    }
}
