//! What a gradient takes of a device's memory, by part: block by block, or by the fused kernels of the CPU.
//!
//! A count of what Burn's autodiff keeps and makes of the operations in `composed`, and of what the kernels keep, in
//! bytes a value. `tests/memory.rs` holds it against what is really allocated.

use super::composed::Tiles;
use super::{Device, LlamaConfig, Precision};

/// Bytes on a device while the gradient of one micro-batch is computed, at the moment when there are most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The parameters, in f32.
    pub parameters: u64,
    /// Sums of the gradient, in f32; on the CPU autodiff's gradients of all parameters too.
    pub gradient: u64,
    /// The input of each block; on the CPU everything that the blocks keep for the backward pass.
    pub block_inputs: u64,
    /// Of one block: intermediate results, weights as factors, gradients.
    pub block: u64,
    /// Of the head for as many rows as it takes at a time: the same.
    pub head: u64,
}

impl Memory {
    /// Of a gradient over `sequences` full sequences, as one device computes it.
    pub fn on(device: &Device, config: &LlamaConfig, sequences: usize) -> Self {
        match device {
            Device::Cpu => Self::of_fused_gradient(config, sequences),
            device => Self::of_gradient(config, sequences, device.precision()),
        }
    }

    /// Of a gradient by the fused kernels of the CPU, over `sequences` full sequences.
    pub fn of_fused_gradient(config: &LlamaConfig, sequences: usize) -> Self {
        let (hidden, rows) = (config.hidden_size, sequences * config.sequence_length);
        let f32s = |values: usize| 4 * values as u64;
        // The input, its norm, queries, keys and values, their mixture, two numbers of each head's softmax.
        let attention = 2 * hidden + 2 * config.query_size() + 2 * config.kv_size() + 2 * config.num_heads;
        // The input, its norm, gate and up.
        let mlp = 2 * hidden + 2 * config.intermediate_size;
        let widest = (2 * config.intermediate_size).max(config.query_size() + 2 * config.kv_size());
        Self {
            parameters: f32s(config.layout().total()),
            gradient: f32s(2 * config.layout().total()),
            block_inputs: f32s(rows * (attention + mlp) * config.num_layers),
            // The activated MLP and its gradient; gradients of the output, of the norm and of the input; the largest
            // factor, packed.
            block: f32s(rows * (2 * config.intermediate_size + 3 * hidden + widest)),
            // The logits; the input, its norm and their gradients.
            head: f32s(rows * (config.vocab_size + 4 * hidden)),
        }
    }

    /// Of a gradient block by block, over `sequences` full sequences.
    pub fn of_gradient(config: &LlamaConfig, sequences: usize, precision: Precision) -> Self {
        let (tiles, factor) = (Tiles::default(), precision.bytes());
        let (hidden, length) = (config.hidden_size, config.sequence_length);
        let rows = sequences * length;
        let bytes = |bytes: usize| bytes as u64;
        // A factor in f32 is the parameter itself; gradients are there whole and as the parts that are added up.
        let of_weights = |weights: usize| bytes(weights * (if factor == 4 { 8 } else { 8 + factor }));
        Self {
            parameters: bytes(4 * config.layout().total()),
            gradient: bytes(4 * config.layout().total()),
            block_inputs: bytes(4 * rows * hidden * config.num_layers),
            block: bytes(block_results(config, sequences, factor, tiles)) + of_weights(block_weights(config)),
            // The logits, their logarithms of probabilities, and the gradient of either.
            head: bytes(12 * rows.min(tiles.rows(config.vocab_size)) * config.vocab_size)
                + of_weights(config.vocab_size * hidden),
        }
    }

    /// All of it. A block and the head are never there at the same time, or take the same memory.
    pub fn total(&self) -> u64 {
        self.parameters + self.gradient + self.block_inputs + self.block.max(self.head)
    }
}

/// Weights of a block's matrix products.
fn block_weights(config: &LlamaConfig) -> usize {
    let attention = 2 * config.query_size() + 2 * config.kv_size();
    config.hidden_size * (attention + 3 * config.intermediate_size)
}

/// Bytes of a block's intermediate results, the input not included.
fn block_results(config: &LlamaConfig, sequences: usize, factor: usize, tiles: Tiles) -> usize {
    let length = config.sequence_length;
    let rows = sequences * length;
    let pairs = |(queries, keys)| sequences * config.num_heads * queries * keys;
    let tile = |first: usize| (tiles.queries.min(length - first), length.min(first + tiles.queries));
    let last_scores = pairs((tiles.queries.min(length), length));
    let scores: usize = (0..length).step_by(tiles.queries).map(|first| pairs(tile(first))).sum();

    // Of the first half: its norm, the product of that by its factors, the stream after it, the gradient that comes in.
    let stream = 20 * rows * config.hidden_size;
    // Queries, keys, values and the mixture of these.
    let heads = 16 * rows * config.query_size();
    // Scores less their largest, their exponentials, and probabilities as factors.
    let kept_scores = (8 + factor) * scores;
    // Gradients of the scores and of the exponentials, for the last tile, when all others are still kept.
    let scores_backwards = 8 * last_scores;
    // Of the second half: as of the stream before; gate, its sigmoid, their product, up, the product of these as a
    // factor; and the gradients of two of them.
    let mlp = 16 * rows * config.hidden_size + (16 + factor + 8) * rows * config.intermediate_size;
    // The second half is gone when the backward pass comes to the first.
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
        // With room for a momentum and half a dozen replicas on 80 GB.
        assert!((16_000_000_000..20_000_000_000).contains(&memory.total()), "{memory:?}");
        // Autodiff over the whole model would keep this of every block.
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
