//! Turns combined coefficients into a step of the model.

use super::vectors::{Row, Vectors};
use crate::training::Basis;
use crate::training::aggregate::exact::round;
use crate::training::dct::{ExactInverse, FUSED_BASELINE, tables};

/// The parameters after a step along the combined coefficients: by their values, or by the signs of the decoded
/// coefficients.
pub fn apply(theta: &[f32], vectors: &Vectors, rate: f64, combine: impl Fn(Row, &mut [f64])) -> Vec<f32> {
    let mut after = theta.to_vec();
    for (tensor, chunks) in vectors.chunks.tensors.iter().enumerate() {
        let mut combined = vec![0.0; chunks.size()];
        let scale = rate * vectors.one(tensor);
        let mut inverse = (vectors.basis == Basis::Dct).then(|| Signs::new(chunks.height, chunks.width));
        let after = &mut after[chunks.range.clone()];
        vectors.each_chunk(tensor, |chunk, row| {
            combine(row, &mut combined);
            let after = &mut after[chunks.corner(chunk)..];
            match &mut inverse {
                None => {
                    for (index, value) in combined.iter().enumerate() {
                        // Round the product before subtracting, so that the two cannot be fused.
                        let update = (value * scale) as f32;
                        after[index / chunks.width * chunks.cols + index % chunks.width] -= update;
                    }
                }
                Some(signs) => {
                    signs.step(&combined, rate as f32, |row, col, step| after[row * chunks.cols + col] -= step)
                }
            }
        });
    }
    after
}

/// Signs of the decoded chunks of one size.
struct Signs {
    inverse: ExactInverse,
    width: usize,
    placed: Vec<f64>,
}

impl Signs {
    fn new(height: usize, width: usize) -> Self {
        Self { inverse: ExactInverse::new(height, width), width, placed: vec![0.0; height * width] }
    }

    /// Passes row, column and signed step of every parameter to `take`.
    fn step(&mut self, coefficients: &[f64], rate: f32, mut take: impl FnMut(usize, usize, f32)) {
        for (index, &value) in coefficients.iter().enumerate() {
            let at = self.inverse.position(index / self.width, index % self.width);
            self.placed[at] = round(value);
        }
        let rescale = |value| round(value * (1.0 / f64::from(1 << tables::EXACT_BITS)));
        self.inverse.run::<FUSED_BASELINE>(&self.placed, rescale, |row, even, odd, sum| {
            for (col, (&even, &odd)) in even.iter().zip(odd).enumerate() {
                let value = if sum { even + odd } else { even - odd };
                let sign = i8::from(value > 0.0) - i8::from(value < 0.0);
                take(row, col, rate * f32::from(sign));
            }
        });
    }
}
