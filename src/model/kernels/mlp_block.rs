//! The second half of a transformer block, `x + down(swiglu(norm(x)))`, forward and backward.

use super::buffer::Buffer;
use super::matrix::{Matrix, MatrixMut, multiply, multiply_onto};
use super::{rms_norm, swiglu};

/// The parameters: gain [hidden]; gate_up [2 intermediate, hidden]; down [hidden, intermediate].
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    pub gain: &'a [f32],
    pub gate_up: &'a [f32],
    pub down: &'a [f32],
}

/// What the forward pass keeps for the backward pass.
#[derive(Clone, Debug)]
pub struct Saved {
    normalised: Buffer,
    factors: Buffer,
    gate_up: Buffer,
}

/// Gradients of the input and the parameters, in their shapes.
pub struct Gradients {
    pub x: Vec<f32>,
    pub gain: Vec<f32>,
    pub gate_up: Vec<f32>,
    pub down: Vec<f32>,
}

/// The output for `x` [rows, hidden], in the same shape.
pub fn forward(epsilon: f32, weights: Weights, x: &[f32]) -> (Vec<f32>, Saved) {
    let hidden = weights.gain.len();
    let (rows, width) = (x.len() / hidden, weights.down.len() / hidden);

    let (mut normalised, mut factors) = (Buffer::new(x.len()), Buffer::new(rows));
    rms_norm::forward(x, weights.gain, epsilon, &mut normalised, &mut factors);

    let mut gate_up = Buffer::new(rows * 2 * width);
    let weight = Matrix::new(weights.gate_up, 2 * width, hidden);
    let out = MatrixMut::new(&mut gate_up, rows, 2 * width);
    multiply(out, Matrix::new(&normalised, rows, hidden), weight.transposed());

    let mut activated = Buffer::new(rows * width);
    swiglu::forward(&gate_up, width, &mut activated);

    let mut y = x.to_vec();
    let weight = Matrix::new(weights.down, hidden, width);
    multiply_onto(MatrixMut::new(&mut y, rows, hidden), Matrix::new(&activated, rows, width), weight.transposed());
    (y, Saved { normalised, factors, gate_up })
}

/// Gradients, given that of the output.
pub fn backward(weights: Weights, x: &[f32], saved: Saved, upstream: &[f32]) -> Gradients {
    let hidden = weights.gain.len();
    let (rows, width) = (x.len() / hidden, weights.down.len() / hidden);
    let upstream_matrix = Matrix::new(upstream, rows, hidden);

    let mut activated_grad = Buffer::new(rows * width);
    let weight = Matrix::new(weights.down, hidden, width);
    multiply(MatrixMut::new(&mut activated_grad, rows, width), upstream_matrix, weight);

    let (mut gate_up_grad, mut activated) = (saved.gate_up, Buffer::new(rows * width));
    swiglu::backward(&mut gate_up_grad, width, &activated_grad, &mut activated);

    let mut down = vec![0.0; weights.down.len()];
    let out = MatrixMut::new(&mut down, hidden, width);
    multiply(out, upstream_matrix.transposed(), Matrix::new(&activated, rows, width));

    let mut gate_up = vec![0.0; weights.gate_up.len()];
    let gate_up_grad = Matrix::new(&gate_up_grad, rows, 2 * width);
    let normalised = Matrix::new(&saved.normalised, rows, hidden);
    multiply(MatrixMut::new(&mut gate_up, 2 * width, hidden), gate_up_grad.transposed(), normalised);
    let mut normalised_grad = Buffer::new(x.len());
    let weight = Matrix::new(weights.gate_up, 2 * width, hidden);
    multiply(MatrixMut::new(&mut normalised_grad, rows, hidden), gate_up_grad, weight);

    let (mut x_grad, mut gain) = (upstream.to_vec(), vec![0.0; hidden]);
    rms_norm::backward(x, weights.gain, &saved.factors, &normalised_grad, &mut x_grad, &mut gain);
    Gradients { x: x_grad, gain, gate_up, down }
}
