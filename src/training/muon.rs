//! Muon (Jordan et al., 2024, <https://kellerjordan.github.io/posts/muon/>) on the matrices of a model's blocks, AdamW
//! on the rest: embedding, head and gains of the norms.
//!
//! A matrix's step is its momentum (Nesterov's) orthogonalised by
//! [`newton_schulz`](crate::model::newton_schulz), times `0.2 sqrt(max(rows, columns))`, which gives it about the size
//! of a step of AdamW, with decoupled weight decay (Moonlight, Liu et al., arXiv 2502.16982).

use std::ops::Range;

use super::adamw::{AdamW, Moments};
use crate::model::{Device, ParamLayout, newton_schulz};

/// Root mean square of a value of a step, at a learning rate of 1.
const STEP: f64 = 0.2;

/// Muon's settings, which stay the same from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct Muon {
    /// Weight of the momentum before a step, in the one after it.
    momentum: f64,
    /// Factor of the learning rate for matrices.
    matrix_lr: f64,
    /// Steps the rest. Its weight decay is that of the matrices too, and it clips the gradient of both together.
    adamw: AdamW,
    /// Matrices of the blocks, by their shape.
    shapes: Vec<([usize; 2], Vec<Range<usize>>)>,
    /// The other parameters.
    rest: Vec<Range<usize>>,
}

impl Muon {
    /// Muon for a model of this layout.
    pub fn new(momentum: f64, matrix_lr: f64, adamw: AdamW, layout: &ParamLayout) -> Self {
        let mut shapes: Vec<([usize; 2], Vec<Range<usize>>)> = Vec::new();
        let mut rest: Vec<Range<usize>> = Vec::new();
        for tensor in &layout.tensors {
            if !tensor.is_block_matrix() {
                rest.push(tensor.range.clone());
                continue;
            }
            let shape = tensor.matrix();
            match shapes.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, ranges)) => ranges.push(tensor.range.clone()),
                None => shapes.push((shape, vec![tensor.range.clone()])),
            }
        }
        Self { momentum, matrix_lr, adamw, shapes, rest }
    }

    /// Shapes of the matrices, and how many there are of each.
    pub fn shapes(&self) -> impl Iterator<Item = ([usize; 2], usize)> {
        self.shapes.iter().map(|(shape, ranges)| (*shape, ranges.len()))
    }

    /// Number of parameters that have a second moment.
    pub fn second_moments(&self) -> usize {
        self.rest.iter().map(Range::len).sum()
    }

    /// One step of `theta` at this learning rate. The first moments hold the momentum of matrices; the second ones are
    /// those of the rest, one after another.
    ///
    /// # Panics
    /// If the moments or the gradient are not of this model.
    pub fn step(&self, device: &Device, moments: &mut Moments, theta: &mut [f32], gradient: &[f32], lr: f64) {
        assert_eq!(gradient.len(), theta.len(), "one a parameter");
        assert_eq!(moments.moment_1.len(), theta.len(), "one a parameter");
        assert_eq!(moments.moment_2.len(), self.second_moments(), "one a parameter of the rest");
        let clip = self.adamw.clip(gradient);
        self.adamw.step_parts(clip, moments, &self.rest, theta, gradient, lr);
        for (shape, ranges) in &self.shapes {
            let size = shape[0] * shape[1];
            for ranges in ranges.chunks(newton_schulz::batch(device, size)) {
                let mut updates = vec![0.0; ranges.len() * size];
                for (range, update) in ranges.iter().zip(updates.chunks_exact_mut(size)) {
                    self.accumulate(&mut moments.moment_1[range.clone()], &gradient[range.clone()], clip, update);
                }
                newton_schulz::newton_schulz(device, &mut updates, *shape);
                for (range, update) in ranges.iter().zip(updates.chunks_exact(size)) {
                    self.apply(&mut theta[range.clone()], update, *shape, lr);
                }
            }
        }
    }

    /// Adds a gradient to the momentum. Leaves in `update` what Nesterov's rule looks ahead to.
    fn accumulate(&self, momentum: &mut [f32], gradient: &[f32], clip: f32, update: &mut [f32]) {
        let (keep, add) = (self.momentum as f32, (1.0 - self.momentum) as f32);
        for ((momentum, &gradient), update) in momentum.iter_mut().zip(gradient).zip(update) {
            let added = add * (gradient * clip);
            *momentum = keep * *momentum + added;
            *update = keep * *momentum + added;
        }
    }

    fn apply(&self, theta: &mut [f32], update: &[f32], [rows, columns]: [usize; 2], lr: f64) {
        let lr = lr * self.matrix_lr;
        let size = (lr * STEP * (rows.max(columns) as f64).sqrt()) as f32;
        let keep = (1.0 - lr * self.adamw.weight_decay) as f32;
        theta.iter_mut().zip(update).for_each(|(theta, update)| *theta = *theta * keep - size * update);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn layout() -> ParamLayout {
        let named = |name: &str, shape: &[usize]| (name.to_string(), shape.to_vec());
        ParamLayout::new([
            named("model.embed_tokens.weight", &[8, 16]),
            named("model.layers.0.self_attn.q_proj.weight", &[16, 16]),
            named("model.layers.0.input_layernorm.weight", &[16]),
            named("model.layers.0.mlp.up_proj.weight", &[48, 16]),
            named("model.layers.1.self_attn.q_proj.weight", &[16, 16]),
            named("lm_head.weight", &[8, 16]),
        ])
    }

    const ADAMW: AdamW = AdamW { beta1: 0.9, beta2: 0.95, weight_decay: 0.1, clip_norm: 1.0 };

    fn normal(purpose: &str, step: u64) -> Vec<f32> {
        let mut rng = random::rng(4, purpose, 0, step);
        (0..layout().total()).map(|_| random::normal(&mut rng)).collect()
    }

    /// Embedding, norms and head move as AdamW moves them, and matrices by steps of Muon's size, on every device.
    #[test]
    fn matrices_alone_are_orthogonalised() {
        let (layout, devices) = (layout(), [&[Device::Cpu], Device::UNFUSED].concat());
        for device in devices {
            let muon = Muon::new(0.95, 2.0, AdamW { weight_decay: 0.0, ..ADAMW }, &layout);
            assert_eq!(muon.shapes().collect::<Vec<_>>(), [([16, 16], 2), ([48, 16], 1)]);
            let mut moments = Moments::of_sizes(layout.total(), muon.second_moments());
            let mut of_adamw = Moments::new(layout.total());
            let (mut theta, mut expected) = (normal("theta", 0), normal("theta", 0));
            for step in 0..4 {
                let (before, gradient) = (theta.clone(), normal("gradient", step));
                muon.step(&device, &mut moments, &mut theta, &gradient, 1e-2);
                AdamW { weight_decay: 0.0, ..ADAMW }.step(&mut of_adamw, &mut expected, &gradient, 1e-2);
                for tensor in &layout.tensors {
                    let range = tensor.range.clone();
                    if !tensor.is_block_matrix() {
                        assert_eq!(theta[range.clone()], expected[range], "{}, step {step}", tensor.name);
                        continue;
                    }
                    let moved = before[range.clone()].iter().zip(&theta[range]).map(|(a, b)| f64::from(a - b).powi(2));
                    let size = (moved.sum::<f64>() / tensor.matrix().iter().product::<usize>() as f64).sqrt();
                    // All singular values are about 1 of as many as the smaller side, so the root mean square is known.
                    assert!((0.6..1.3).contains(&(size / (1e-2 * 2.0 * STEP))), "{}: {size}", tensor.name);
                }
            }
        }
    }

    #[test]
    fn weight_decay_is_of_the_parameters_alone() {
        let (layout, mut theta) = (layout(), normal("theta", 0));
        let muon = Muon::new(0.95, 2.0, ADAMW, &layout);
        let mut moments = Moments::of_sizes(layout.total(), muon.second_moments());
        let before = theta.clone();
        muon.step(&Device::Cpu, &mut moments, &mut theta, &vec![0.0; layout.total()], 1e-2);
        for tensor in &layout.tensors {
            let lr = if tensor.is_block_matrix() { 2e-2 } else { 1e-2 };
            for at in tensor.range.clone() {
                let expected = f64::from(before[at]) * (1.0 - lr * 0.1);
                assert!((f64::from(theta[at]) - expected).abs() < 1e-6, "{}", tensor.name);
            }
        }
    }
}
