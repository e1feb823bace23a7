//! RMSNorm (Zhang and Sennrich, arXiv 1910.07467): `x / sqrt(mean(x^2) + eps) * gain`, a row at a time.

use super::simd::{dot, multiply_add, multiversion};

multiversion! {
    /// Writes the normalised rows of `x`, and of each row the factor `1 / sqrt(mean(x^2) + eps)`.
    ///
    /// `x` and `out` are [rows, gain.len()]; `factors` is [rows].
    pub fn forward<FMA>(x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32], factors: &mut [f32]) {
        let width = gain.len();
        for ((x, out), factor) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(factors) {
            *factor = 1.0 / (dot::<FMA>(x, x) / width as f32 + epsilon).sqrt();
            for ((out, &x), &gain) in out.iter_mut().zip(x).zip(gain) {
                *out = x * *factor * gain;
            }
        }
    }
}

multiversion! {
    /// Adds to `x_grad` what the normalised rows' gradient `upstream` means for `x`, and to `gain_grad` what it means for the gain.
    pub fn backward<FMA>(
        x: &[f32],
        gain: &[f32],
        factors: &[f32],
        upstream: &[f32],
        x_grad: &mut [f32],
        gain_grad: &mut [f32],
    ) {
        let width = gain.len();
        let mut scaled = vec![0.0; width];
        let rows = x.chunks_exact(width).zip(upstream.chunks_exact(width)).zip(x_grad.chunks_exact_mut(width));
        for (((x, upstream), x_grad), &factor) in rows.zip(factors) {
            for i in 0..width {
                scaled[i] = upstream[i] * gain[i];
                gain_grad[i] = multiply_add::<FMA>(upstream[i] * factor, x[i], gain_grad[i]);
            }
            let along = dot::<FMA>(&scaled, x) * factor * factor / width as f32;
            for i in 0..width {
                x_grad[i] = multiply_add::<FMA>(factor, multiply_add::<FMA>(-along, x[i], scaled[i]), x_grad[i]);
            }
        }
    }
}
