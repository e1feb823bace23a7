//! Memory that a gradient takes on a device, by part: computed block by block, or by the fused CPU kernels.
//!
//! It counts the bytes that Burn's autodiff keeps and makes for the operations in `composed`, and those that the
//! kernels keep. `tests/memory.rs` compares the counts with actual allocations.

use super::composed::Tiles;
use super::{Device, LlamaConfig, Precision};

/// Bytes on a device at the peak of computing the gradient of one micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The parameters, in f32.
    pub parameters: u64,
    /// Sums of the gradient in f32. On the CPU also autodiff's gradients of all parameters.
    pub gradient: u64,
    /// The input of each block. On the CPU all that the blocks keep for the backward pass.
    pub block_inputs: u64,
    /// Intermediate results, weights as factors and gradients of one block.
    pub block: u64,
    /// The same for the head, for as many rows as it takes at a time.
    pub head: u64,
}

impl Memory {
    /// Memory of a gradient over `sequences` full sequences on `device`.
    pub fn on(device: &Device, config: &LlamaConfig, sequences: usize) -> Self {
        match device {
            Device::Cpu => Self::of_fused_gradient(config, sequences),
            device => Self::of_gradient(config, sequences, device.precision()),
        }
    }

    /// Memory of a gradient by the fused CPU kernels, over `sequences` full sequences.
    pub fn of_fused_gradient(config: &LlamaConfig, sequences: usize) -> Self {
        let (hidden, rows) = (config.hidden_size, sequences * config.sequence_length);
        let f32s = |values: usize| 4 * values as u64;
        // The input, its norm, queries, keys and values, the attention output, and two numbers per head of the softmax.
        let attention = 2 * hidden + 2 * config.query_size() + 2 * config.kv_size() + 2 * config.num_heads;
        // The input, its norm, gate and up.
        let mlp = 2 * hidden + 2 * config.intermediate_size;
        let widest = (2 * config.intermediate_size).max(config.query_size() + 2 * config.kv_size());
        Self {
            parameters: f32s(config.layout().total()),
            gradient: f32s(2 * config.layout().total()),
            block_inputs: f32s(rows * (attention + mlp) * config.num_layers),
            // The activated MLP and its gradient; gradients of output, norm and input; the largest packed factor.
            block: f32s(rows * (2 * config.intermediate_size + 3 * hidden + widest)),
            // The logits; the input, its norm and their gradients.
            head: f32s(rows * (config.vocab_size + 4 * hidden)),
        }
    }

    /// Memory of a gradient block by block, over `sequences` full sequences.
    pub fn of_gradient(config: &LlamaConfig, sequences: usize, precision: Precision) -> Self {
        let (tiles, factor) = (Tiles::default(), precision.bytes());
        let (hidden, length) = (config.hidden_size, config.sequence_length);
        let rows = sequences * length;
        let bytes = |bytes: usize| bytes as u64;
        // A factor in f32 is the parameter itself. Gradients exist as a whole and as the parts added up.
        let of_weights = |weights: usize| bytes(weights * (if factor == 4 { 8 } else { 8 + factor }));
        Self {
            parameters: bytes(4 * config.layout().total()),
            gradient: bytes(4 * config.layout().total()),
            block_inputs: bytes(4 * rows * hidden * config.num_layers),
            block: bytes(block_results(config, sequences, factor, tiles)) + of_weights(block_weights(config)),
            // The logits, their log-probabilities, and the gradients of both.
            head: bytes(12 * rows.min(tiles.rows(config.vocab_size)) * config.vocab_size)
                + of_weights(config.vocab_size * hidden),
        }
    }

    /// The total. A block and the head never exist at the same time, or reuse the same memory, so only the larger
    /// counts.
    pub fn total(&self) -> u64 {
        self.parameters + self.gradient + self.block_inputs + self.block.max(self.head)
    }
}

/// Weights of a block's matrix products.
fn block_weights(config: &LlamaConfig) -> usize {
    let attention = 2 * config.query_size() + 2 * config.kv_size();
    config.hidden_size * (attention + 3 * config.intermediate_size)
}

/// Bytes of a block's intermediate results, without its input.
fn block_results(config: &LlamaConfig, sequences: usize, factor: usize, tiles: Tiles) -> usize {
    let length = config.sequence_length;
    let rows = sequences * length;
    let pairs = |(queries, keys)| sequences * config.num_heads * queries * keys;
    let tile = |first: usize| (tiles.queries.min(length - first), length.min(first + tiles.queries));
    let last_scores = pairs((tiles.queries.min(length), length));
    let scores: usize = (0..length).step_by(tiles.queries).map(|first| pairs(tile(first))).sum();

    // First half: the norm, the norm times its factors, the stream after it, and the incoming gradient.
    let stream = 20 * rows * config.hidden_size;
    // Queries, keys, values and the attention output.
    let heads = 16 * rows * config.query_size();
    // Scores less their maximum, their exponentials, and probabilities as factors.
    let kept_scores = (8 + factor) * scores;
    // Gradients of the scores and of the exponentials for the last tile, while all other tiles are still kept.
    let scores_backwards = 8 * last_scores;
    // Second half: as much of the stream as before; gate, its sigmoid, their product, up, and the product of these as a
    // factor; the gradients of two of them.
    let mlp = 16 * rows * config.hidden_size + (16 + factor + 8) * rows * config.intermediate_size;
    // The second half is freed before the backward pass reaches the first.
    stream + heads + kept_scores + mlp.max(scores_backwards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;

    #[test]
    fn templar_1b_fits_a_device_with_micro_batches_of_six() {
        let settings = ModelSettings { preset: "templar-1b".into(), ..Default::default() };
        let config = LlamaConfig::from_settings(&settings).unwrap();
        let memory = Memory::of_gradient(&config, 6, Precision::Bf16);
        assert_eq!(memory.parameters, 4 * 1_204_881_408);
        assert_eq!(memory.block_inputs, 16 * 6 * 2048 * 2048 * 4);
        // This leaves room for a momentum and half a dozen replicas on 80 GB.
        assert!((16_000_000_000..20_000_000_000).contains(&memory.total()), "{memory:?}");
        // Autodiff over the whole model would keep this much for every block.
        assert!(config.num_layers as u64 * memory.block > 80_000_000_000, "{memory:?}");
    }

    #[test]
    fn a_longer_sequence_costs_more_than_its_length() {
        let of = |length| {
            let settings = ModelSettings { sequence_length: Some(length), ..Default::default() };
            let config = LlamaConfig::from_settings(&settings).unwrap();
            Memory::of_gradient(&config, 1, Precision::F32).block
        };
        assert!(of(8192) > 3 * of(4096));
    }
}
