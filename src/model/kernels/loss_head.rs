//! The end of the model: cross-entropy of `head(norm(x))` against the target of each row, forward and backward.

use super::buffer::Buffer;
use super::matrix::{Matrix, MatrixMut, multiply};
use super::{cross_entropy, rms_norm};

/// The parameters: gain [hidden]; head [vocabulary, hidden].
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    pub gain: &'a [f32],
    pub head: &'a [f32],
}

/// What the forward pass keeps for the backward pass.
#[derive(Clone, Debug)]
pub struct Saved {
    normalised: Buffer,
    factors: Buffer,
    /// Exponentials of the logits, and the factor that turns each row into probabilities.
    exponentials: Buffer,
    normalisers: Buffer,
}

/// Gradients of the input and the parameters, in their shapes.
pub struct Gradients {
    pub x: Vec<f32>,
    pub gain: Vec<f32>,
    pub head: Vec<f32>,
}

/// The loss of each row of `x` [rows, hidden], in nats.
pub fn forward(epsilon: f32, weights: Weights, x: &[f32], targets: &[u32]) -> (Vec<f32>, Saved) {
    let hidden = weights.gain.len();
    let (rows, vocabulary) = (x.len() / hidden, weights.head.len() / hidden);

    let (mut normalised, mut factors) = (Buffer::new(x.len()), Buffer::new(rows));
    rms_norm::forward(x, weights.gain, epsilon, &mut normalised, &mut factors);

    let mut logits = Buffer::new(rows * vocabulary);
    let weight = Matrix::new(weights.head, vocabulary, hidden);
    let out = MatrixMut::new(&mut logits, rows, vocabulary);
    multiply(out, Matrix::new(&normalised, rows, hidden), weight.transposed());

    let (mut losses, mut normalisers) = (vec![0.0; rows], Buffer::new(rows));
    cross_entropy::forward(&mut logits, vocabulary, targets, &mut losses, &mut normalisers);
    (losses, Saved { normalised, factors, exponentials: logits, normalisers })
}

/// Gradients, given those of the losses.
pub fn backward(weights: Weights, x: &[f32], targets: &[u32], saved: Saved, upstream: &[f32]) -> Gradients {
    let hidden = weights.gain.len();
    let (rows, vocabulary) = (x.len() / hidden, weights.head.len() / hidden);

    let mut logit_grad = saved.exponentials;
    cross_entropy::backward(&mut logit_grad, vocabulary, targets, &saved.normalisers, upstream);
    let logit_grad = Matrix::new(&logit_grad, rows, vocabulary);

    let mut head = vec![0.0; weights.head.len()];
    let normalised = Matrix::new(&saved.normalised, rows, hidden);
    multiply(MatrixMut::new(&mut head, vocabulary, hidden), logit_grad.transposed(), normalised);
    let mut normalised_grad = Buffer::new(x.len());
    let weight = Matrix::new(weights.head, vocabulary, hidden);
    multiply(MatrixMut::new(&mut normalised_grad, rows, hidden), logit_grad, weight);

    let (mut x_grad, mut gain) = (vec![0.0; x.len()], vec![0.0; hidden]);
    rms_norm::backward(x, weights.gain, &saved.factors, &normalised_grad, &mut x_grad, &mut gain);
    Gradients { x: x_grad, gain, head }
}
