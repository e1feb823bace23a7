//! The parts of a Llama in Burn's own operations. Every device can run them, and the fused kernels are tested against
//! them.
//!
//! Large matrix products use factors of the requested [`Precision`]; all else is f32. Attention scores are f32 products
//! too. They are exponentiated, so a rounding error relative to a large score would become one of the whole
//! probability. They are only a few percent of the work.

use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{FloatDType, Int, Tensor, TensorData};

use super::device::Precision;
use super::kernels::attention::Heads;
use super::kernels::attention_block::AttentionShape;

/// What the blocks of a pass share.
#[derive(Clone, Debug)]
pub struct Pass {
    heads: Heads,
    /// Of the angle at each position: [1, 1, length, size / 2].
    cosines: Tensor<4>,
    sines: Tensor<4>,
    epsilon: f32,
    precision: Precision,
    tiles: Tiles,
}

/// How much of a large intermediate result exists at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Queries whose scores are computed together. Keys after the last of them are skipped, so smaller tiles save up to
    /// half of the work.
    pub queries: usize,
    /// Logits computed together, in whole rows.
    pub logits: usize,
}

impl Default for Tiles {
    /// A quarter of a sequence of 2048, and 256 MiB of logits.
    fn default() -> Self {
        Self { queries: 512, logits: 1 << 26 }
    }
}

impl Tiles {
    /// Rows of logits in a tile, for a head with `vocabulary` outputs.
    pub fn rows(&self, vocabulary: usize) -> usize {
        (self.logits / vocabulary).max(1)
    }
}

impl Pass {
    /// A pass over sequences that begin at position `first`.
    pub fn new(
        shape: &AttentionShape,
        first: usize,
        precision: Precision,
        tiles: Tiles,
        device: &burn::tensor::Device,
    ) -> Self {
        let (length, half) = (shape.heads.length, shape.heads.size / 2);
        let table = |values: &[f32]| {
            let values = values[first * half..(first + length) * half].to_vec();
            Tensor::from_data(TensorData::new(values, [1, 1, length, half]), device)
        };
        Self {
            heads: shape.heads,
            cosines: table(&shape.rotary.cosines),
            sines: table(&shape.rotary.sines),
            epsilon: shape.epsilon,
            precision,
            tiles,
        }
    }

    /// Rows whose losses are computed together.
    pub fn loss_rows(&self, vocabulary: usize) -> usize {
        self.tiles.rows(vocabulary)
    }

    /// `x` [rows, in] times the transpose of `weight` [out, in]: [rows, out].
    fn project(&self, x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
        let product = self.precision.factor(x).matmul(self.precision.factor(weight).transpose());
        product.cast(FloatDType::F32)
    }
}

/// Rows of `table` by number, like [`fused::embedding`](super::fused::embedding).
pub fn embedding(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids = tokens(ids, &table.device());
    table.select(0, ids)
}

/// `x / sqrt(mean(x^2) + eps) * gain`, for each row of `x` [rows, hidden].
pub fn rms_norm(x: Tensor<2>, gain: Tensor<1>, epsilon: f32) -> Tensor<2> {
    let factors = (x.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    x * factors * gain.unsqueeze()
}

/// Keys and values of the tokens before those of a pass: [sequences, key heads, tokens, size].
#[derive(Clone, Debug)]
pub struct Past {
    pub key: Tensor<4>,
    pub value: Tensor<4>,
}

/// `x + attention(norm(x))`, like [`fused::attention_block`](super::fused::attention_block). The sequences may continue
/// a past; returns the past for the next tokens too.
pub fn attention_block(
    past: Option<Past>,
    x: Tensor<2>,
    gain: Tensor<1>,
    qkv: Tensor<2>,
    out: Tensor<2>,
    pass: &Pass,
) -> (Tensor<2>, Past) {
    let heads = pass.heads;
    let [rows, _] = x.dims();
    let sequences = rows / heads.length;
    let normalised = rms_norm(x.clone(), gain, pass.epsilon);
    // Slices the weights, not the product: otherwise the backward pass would assemble a gradient of the whole product.
    let project = |first: usize, count: usize| {
        let weight = qkv.clone().slice_dim(0, first * heads.size..(first + count) * heads.size);
        let product = pass.project(normalised.clone(), weight);
        product.reshape([sequences, heads.length, count, heads.size]).swap_dims(1, 2)
    };
    let query = rotate(project(0, heads.count), pass) / (heads.size as f32).sqrt();
    let key = rotate(project(heads.count, heads.kv_count), pass);
    let value = project(heads.count + heads.kv_count, heads.kv_count);
    let whole = match past {
        Some(past) => Past { key: Tensor::cat(vec![past.key, key], 2), value: Tensor::cat(vec![past.value, value], 2) },
        None => Past { key, value },
    };
    let [key, value] = [&whole.key, &whole.value].map(|x| share(x.clone(), heads.count));
    let mixed = attention(query, key, value, pass).swap_dims(1, 2).reshape([rows, heads.mixed()]);
    (x + pass.project(mixed, out), whole)
}

/// Causal attention: each query's mean of the values up to its own, weighted by `softmax(query . key)`. All shapes are
/// [sequences, heads, length, size]. Keys and values may be longer, with earlier tokens in front.
fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, pass: &Pass) -> Tensor<4> {
    let ([_, _, length, _], [_, _, keys, _]) = (query.dims(), key.dims());
    let past = keys - length;
    let value = pass.precision.factor(value);
    let tile = |first: usize| {
        let last = length.min(first + pass.tiles.queries);
        let mask = causal_mask(past + first, past + last, &query.device());
        let query = query.clone().slice_dim(2, first..last);
        let [key, value] = [&key, &value].map(|x| x.clone().slice_dim(2, 0..past + last));
        let scores = query.matmul(key.transpose()) + mask;
        pass.precision.factor(softmax(scores, 3)).matmul(value).cast(FloatDType::F32)
    };
    Tensor::cat((0..length).step_by(pass.tiles.queries).map(tile).collect(), 2)
}

/// Rotates each head of `x` [sequences, heads, length, size] by its position.
fn rotate(x: Tensor<4>, pass: &Pass) -> Tensor<4> {
    let [first, second] = x.chunk(2, 3).try_into().expect("two halves");
    let (cosines, sines) = (pass.cosines.clone(), pass.sines.clone());
    let turned = first.clone() * cosines.clone() - second.clone() * sines.clone();
    Tensor::cat(vec![turned, second * cosines + first * sines], 3)
}

/// Repeats key or value heads, to have one for each of `count` query heads.
fn share(x: Tensor<4>, count: usize) -> Tensor<4> {
    let [sequences, kv_count, length, size] = x.dims();
    if kv_count == count {
        return x;
    }
    let group = count / kv_count;
    let x = x.reshape([sequences, kv_count, 1, length, size]);
    x.expand([sequences, kv_count, group, length, size]).reshape([sequences, count, length, size])
}

/// 0 for keys that a query of `first..last` may see, -1e30 for later keys: [1, 1, last - first, last].
fn causal_mask(first: usize, last: usize, device: &burn::tensor::Device) -> Tensor<4> {
    Tensor::<2>::full([last - first, last], -1e30, device).triu(first as i64 + 1).unsqueeze()
}

/// `x + down(swiglu(norm(x)))`, like [`fused::mlp_block`](super::fused::mlp_block).
pub fn mlp_block(x: Tensor<2>, gain: Tensor<1>, gate_up: Tensor<2>, down: Tensor<2>, pass: &Pass) -> Tensor<2> {
    let normalised = rms_norm(x.clone(), gain, pass.epsilon);
    let halves: [Tensor<2>; 2] = gate_up.chunk(2, 0).try_into().expect("two halves");
    let [gate, up] = halves.map(|weight| pass.project(normalised.clone(), weight));
    x + pass.project(silu(gate) * up, down)
}

/// `head(norm(x))`: [rows, vocabulary].
pub fn logits(x: Tensor<2>, gain: Tensor<1>, head: Tensor<2>, pass: &Pass) -> Tensor<2> {
    pass.project(rms_norm(x, gain, pass.epsilon), head)
}

/// The loss of each row, like [`fused::loss_head`](super::fused::loss_head).
pub fn loss_head(x: Tensor<2>, gain: Tensor<1>, head: Tensor<2>, targets: &[u32], pass: &Pass) -> Tensor<1> {
    let targets = tokens(targets, &x.device()).reshape([targets.len(), 1]);
    -log_softmax(logits(x, gain, head, pass), 1).gather(1, targets).flatten(0, 1)
}

/// Tokens as a tensor.
pub fn tokens(tokens: &[u32], device: &burn::tensor::Device) -> Tensor<1, Int> {
    let values: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    Tensor::from_data(TensorData::new(values, [tokens.len()]), device)
}
