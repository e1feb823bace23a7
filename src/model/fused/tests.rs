//! Tests of the fused operations against Burn's own, forward and backward.

use super::*;
use crate::model::Device;
use crate::model::composed::{self, Pass, Tiles};
use crate::model::device::Precision;
use crate::model::kernels::attention::Heads;
use crate::model::kernels::rotary::Rotary;
use crate::random;
use rand::Rng;

/// A leaf with random values around `centre`, keyed by `name`.
fn leaf<const D: usize>(name: &str, shape: [usize; D], centre: f32) -> Tensor<D> {
    let mut rng = random::rng(5, name, 0, 0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| centre + 0.3 * random::normal(&mut rng)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::Cpu.burn()).autodiff().require_grad()
}

/// The largest difference, relative to the largest expected value.
fn difference(found: TensorData, expected: TensorData) -> f32 {
    let (found, expected) = (found.as_slice::<f32>().unwrap(), expected.as_slice::<f32>().unwrap());
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    found.iter().zip(expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs())) / largest
}

/// The output, and the gradients of the inputs for a random weighting of the output.
fn run<const D: usize>(
    operation: impl Fn(Tensor<2>, Tensor<1>, Tensor<2>, Tensor<2>) -> Tensor<D>,
    shapes: [[usize; 2]; 3],
) -> Vec<TensorData> {
    let (x, gain) = (leaf("x", shapes[0], 0.0), leaf("gain", [shapes[0][1]], 1.0));
    let (first, second) = (leaf("first", shapes[1], 0.0), leaf("second", shapes[2], 0.0));
    let y = operation(x.clone(), gain.clone(), first.clone(), second.clone());
    let weights = leaf("upstream", y.dims(), 0.0).without_autodiff().autodiff();
    let mut grads = (y.clone() * weights).sum().backward();
    let [x, first, second] = [x, first, second].map(|input| input.grad_remove(&mut grads));
    let gain = gain.grad_remove(&mut grads).map(Tensor::into_data);
    let grads = [x, first, second].map(|grad| grad.map(Tensor::into_data));
    [Some(y.into_data()), gain].into_iter().chain(grads).flatten().collect()
}

fn agree(fused: Vec<TensorData>, composed: Vec<TensorData>, case: &str) {
    assert_eq!(fused.len(), composed.len());
    for (index, (fused, composed)) in fused.into_iter().zip(composed).enumerate() {
        let difference = difference(fused, composed);
        assert!(difference < 2e-5, "{case}, value {index}: {difference}");
    }
}

/// A composed pass with a few queries per tile.
fn pass(shape: &AttentionShape) -> Pass {
    Pass::new(shape, 0, Precision::F32, Tiles { queries: 25, ..Tiles::default() }, &Device::Cpu.burn())
}

/// A shape for operations that ignore the heads.
fn no_heads() -> AttentionShape {
    let heads = Heads { count: 1, kv_count: 1, size: 2, length: 1 };
    AttentionShape { heads, rotary: Arc::new(Rotary::new(1, 2, 10_000.0)), epsilon: 1e-5 }
}

#[test]
fn attention_is_the_composed_attention() {
    // Heads, key/value heads, head size, length, sequences, hidden: full and partial blocks of queries, odd sizes,
    // shared keys.
    for case in
        [[4, 4, 16, 64, 2, 64], [4, 2, 16, 33, 3, 40], [6, 1, 6, 70, 1, 24], [2, 2, 8, 1, 5, 16], [3, 3, 10, 31, 2, 30]]
    {
        let [count, kv_count, size, length, sequences, hidden] = case;
        let heads = Heads { count, kv_count, size, length };
        let rotary = Arc::new(Rotary::new(length, size, 10_000.0));
        let shape = AttentionShape { heads, rotary, epsilon: 1e-5 };
        let shapes = [[sequences * length, hidden], [heads.row(), hidden], [hidden, heads.mixed()]];
        let fused = run(|x, g, qkv, out| attention_block(x, g, qkv, out, shape.clone()), shapes);
        let composed = run(|x, g, qkv, out| composed::attention_block(None, x, g, qkv, out, &pass(&shape)).0, shapes);
        agree(fused, composed, &format!("{case:?}"));
    }
}

#[test]
fn embedding_is_the_composed_embedding() {
    let ids: Arc<[u32]> = [3, 0, 3, 6, 1].into();
    let shapes = [[7, 5], [1, 1], [1, 1]];
    let fused = run(|table, _, _, _| super::embedding(table, ids.clone()), shapes);
    let composed = run(|table, _, _, _| composed::embedding(table, &ids), shapes);
    agree(fused, composed, "embedding");
}

#[test]
fn mlp_is_the_composed_mlp() {
    for [rows, hidden, width] in [[64, 64, 192], [33, 24, 50], [1, 7, 3]] {
        let shapes = [[rows, hidden], [2 * width, hidden], [hidden, width]];
        let fused = run(|x, g, gate_up, down| mlp_block(x, g, gate_up, down, 1e-5), shapes);
        let composed = run(|x, g, gate_up, down| composed::mlp_block(x, g, gate_up, down, &pass(&no_heads())), shapes);
        agree(fused, composed, &format!("{rows} x {hidden} x {width}"));
    }
}

#[test]
fn loss_is_the_composed_loss() {
    for [rows, hidden, vocabulary] in [[64, 64, 256], [7, 10, 37]] {
        let mut rng = random::rng(6, "targets", 0, 0);
        let targets: Arc<[u32]> = (0..rows).map(|_| rng.next_u32() % vocabulary as u32).collect();
        let shapes = [[rows, hidden], [vocabulary, hidden], [1, 1]];
        let fused = run(|x, g, head, _| loss_head(x, g, head, targets.clone(), 1e-5), shapes);
        let composed = run(|x, g, head, _| composed::loss_head(x, g, head, &targets, &pass(&no_heads())), shapes);
        agree(fused, composed, &format!("{rows} x {hidden} x {vocabulary}"));
    }
}
