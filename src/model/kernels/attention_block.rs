//! The first half of a transformer block, `x + attention(norm(x))`, forward and backward.

use std::sync::Arc;

use super::attention::{self, Heads, Sum};
use super::buffer::Buffer;
use super::matrix::{Matrix, MatrixMut, multiply, multiply_onto};
use super::rms_norm;
use super::rotary::Rotary;

/// What stays the same for batches of one sequence length.
#[derive(Clone, Debug)]
pub struct AttentionShape {
    /// Heads, and the length of the sequences in a batch.
    pub heads: Heads,
    /// Angles for at least as many positions.
    pub rotary: Arc<Rotary>,
    /// Epsilon that RMSNorm adds to the mean square.
    pub epsilon: f32,
}

/// The parameters: gain [hidden]; qkv [row, hidden]; out [hidden, count x size].
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    pub gain: &'a [f32],
    pub qkv: &'a [f32],
    pub out: &'a [f32],
}

/// What the forward pass keeps for the backward pass.
#[derive(Clone, Debug)]
pub struct Saved {
    normalised: Buffer,
    factors: Buffer,
    qkv: Buffer,
    mixed: Buffer,
    sums: Vec<Sum>,
}

/// Gradients of the input and the parameters, in their shapes.
pub struct Gradients {
    pub x: Vec<f32>,
    pub gain: Vec<f32>,
    pub qkv: Vec<f32>,
    pub out: Vec<f32>,
}

/// The output for `x` [rows, hidden], in the same shape.
pub fn forward(shape: &AttentionShape, weights: Weights, x: &[f32]) -> (Vec<f32>, Saved) {
    let heads = shape.heads;
    let (hidden, row, width) = (weights.gain.len(), heads.row(), heads.mixed());
    let rows = x.len() / hidden;

    let (mut normalised, mut factors) = (Buffer::new(x.len()), Buffer::new(rows));
    rms_norm::forward(x, weights.gain, shape.epsilon, &mut normalised, &mut factors);

    let mut qkv = Buffer::new(rows * row);
    let weight = Matrix::new(weights.qkv, row, hidden);
    multiply(MatrixMut::new(&mut qkv, rows, row), Matrix::new(&normalised, rows, hidden), weight.transposed());
    shape.rotary.apply(&mut qkv, row, heads.count + heads.kv_count, heads.length);

    let (mut mixed, mut sums) = (Buffer::new(rows * width), vec![Sum::default(); rows * heads.count]);
    attention::forward(heads, &qkv, &mut mixed, &mut sums);

    let mut y = x.to_vec();
    let weight = Matrix::new(weights.out, hidden, width);
    multiply_onto(MatrixMut::new(&mut y, rows, hidden), Matrix::new(&mixed, rows, width), weight.transposed());
    (y, Saved { normalised, factors, qkv, mixed, sums })
}

/// Gradients, given that of the output.
pub fn backward(shape: &AttentionShape, weights: Weights, x: &[f32], saved: &Saved, upstream: &[f32]) -> Gradients {
    let heads = shape.heads;
    let (hidden, row, width) = (weights.gain.len(), heads.row(), heads.mixed());
    let rows = x.len() / hidden;
    let upstream_matrix = Matrix::new(upstream, rows, hidden);

    let mut out = vec![0.0; weights.out.len()];
    let mixed = Matrix::new(&saved.mixed, rows, width);
    multiply(MatrixMut::new(&mut out, hidden, width), upstream_matrix.transposed(), mixed);
    let mut mixed_grad = Buffer::new(rows * width);
    let weight = Matrix::new(weights.out, hidden, width);
    multiply(MatrixMut::new(&mut mixed_grad, rows, width), upstream_matrix, weight);

    let mut qkv_grad = Buffer::zeroed(rows * row);
    attention::backward(heads, &saved.qkv, &saved.mixed, &saved.sums, &mixed_grad, &mut qkv_grad);
    shape.rotary.revert(&mut qkv_grad, row, heads.count + heads.kv_count, heads.length);

    let mut qkv = vec![0.0; weights.qkv.len()];
    let qkv_grad = Matrix::new(&qkv_grad, rows, row);
    let normalised = Matrix::new(&saved.normalised, rows, hidden);
    multiply(MatrixMut::new(&mut qkv, row, hidden), qkv_grad.transposed(), normalised);
    let mut normalised_grad = Buffer::new(x.len());
    multiply(MatrixMut::new(&mut normalised_grad, rows, hidden), qkv_grad, Matrix::new(weights.qkv, row, hidden));

    let (mut x_grad, mut gain) = (upstream.to_vec(), vec![0.0; hidden]);
    rms_norm::backward(x, weights.gain, &saved.factors, &normalised_grad, &mut x_grad, &mut gain);
    Gradients { x: x_grad, gain, qkv, out }
}
