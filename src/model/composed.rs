//! The parts of a Llama in Burn's own operations: what every device can run, and what the fused kernels are tested
//! against.

use std::sync::Arc;

use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{Int, Tensor, TensorData};

use super::kernels::attention_block::AttentionShape;

/// Rows of `table` by their numbers; as [`fused::embedding`](super::fused::embedding).
pub fn embedding(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids = tokens(ids, &table.device());
    table.select(0, ids)
}

/// `x / sqrt(mean(x^2) + eps) * gain`, for each row of `x` [rows, hidden].
pub fn rms_norm(x: Tensor<2>, gain: Tensor<1>, epsilon: f32) -> Tensor<2> {
    let factors = (x.clone().square().mean_dim(1) + epsilon).sqrt().recip();
    x * factors * gain.unsqueeze()
}

/// `x + attention(norm(x))`; as [`fused::attention_block`](super::fused::attention_block).
pub fn attention_block(
    x: Tensor<2>,
    gain: Tensor<1>,
    qkv: Tensor<2>,
    out: Tensor<2>,
    shape: AttentionShape,
) -> Tensor<2> {
    let heads = shape.heads;
    let [rows, _] = x.dims();
    let sequences = rows / heads.length;
    let projected = rms_norm(x.clone(), gain, shape.epsilon).matmul(qkv.transpose());
    let split = |first: usize, count: usize| {
        let columns = first * heads.size..(first + count) * heads.size;
        let part = projected.clone().slice([0..rows, columns]);
        part.reshape([sequences, heads.length, count, heads.size]).swap_dims(1, 2)
    };
    let query = rotate(split(0, heads.count), &shape);
    let key = share(rotate(split(heads.count, heads.kv_count), &shape), heads.count);
    let value = share(split(heads.count + heads.kv_count, heads.kv_count), heads.count);

    let scores = query.matmul(key.transpose()) / (heads.size as f32).sqrt();
    let scores = scores + causal_mask(heads.length, &x.device());
    let mixed = softmax(scores, 3).matmul(value).swap_dims(1, 2).reshape([rows, heads.mixed()]);
    x + mixed.matmul(out.transpose())
}

/// Turns each head of `x` [sequences, heads, length, size] by its position.
fn rotate(x: Tensor<4>, shape: &AttentionShape) -> Tensor<4> {
    let [sequences, heads, length, size] = x.dims();
    let half = size / 2;
    let table = |values: &[f32]| {
        let data = TensorData::new(values[..length * half].to_vec(), [1, 1, length, half]);
        Tensor::<4>::from_data(data, &x.device())
    };
    let (cosines, sines) = (table(&shape.rotary.cosines), table(&shape.rotary.sines));
    let first = x.clone().slice([0..sequences, 0..heads, 0..length, 0..half]);
    let second = x.slice([0..sequences, 0..heads, 0..length, half..size]);
    let turned = first.clone() * cosines.clone() - second.clone() * sines.clone();
    Tensor::cat(vec![turned, second * cosines + first * sines], 3)
}

/// Repeats key or value heads so that there is one for each of `count` query heads.
fn share(x: Tensor<4>, count: usize) -> Tensor<4> {
    let [sequences, kv_count, length, size] = x.dims();
    let group = count / kv_count;
    let x = x.reshape([sequences, kv_count, 1, length, size]);
    x.expand([sequences, kv_count, group, length, size]).reshape([sequences, count, length, size])
}

/// 0 where a query may look, -1e30 at later keys.
fn causal_mask(length: usize, device: &burn::tensor::Device) -> Tensor<4> {
    let values: Vec<f32> = (0..length * length).map(|at| if at % length > at / length { -1e30 } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, length, length]), device)
}

/// `x + down(swiglu(norm(x)))`; as [`fused::mlp_block`](super::fused::mlp_block).
pub fn mlp_block(x: Tensor<2>, gain: Tensor<1>, gate_up: Tensor<2>, down: Tensor<2>, epsilon: f32) -> Tensor<2> {
    let projected = rms_norm(x.clone(), gain, epsilon).matmul(gate_up.transpose());
    let [gate, up] = projected.chunk(2, 1).try_into().expect("two halves");
    x + (silu(gate) * up).matmul(down.transpose())
}

/// Loss of each row; as [`fused::loss_head`](super::fused::loss_head).
pub fn loss_head(x: Tensor<2>, gain: Tensor<1>, head: Tensor<2>, targets: Arc<[u32]>, epsilon: f32) -> Tensor<1> {
    let targets = tokens(&targets, &x.device()).reshape([targets.len(), 1]);
    let logits = rms_norm(x, gain, epsilon).matmul(head.transpose());
    -log_softmax(logits, 1).gather(1, targets).flatten(0, 1)
}

/// Tokens as a tensor.
fn tokens(tokens: &[u32], device: &burn::tensor::Device) -> Tensor<1, Int> {
    let values: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
    Tensor::from_data(TensorData::new(values, [tokens.len()]), device)
}
