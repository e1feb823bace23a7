//! RMSNorm (Zhang and Sennrich, arXiv 1910.07467): `x / sqrt(mean(x^2) + eps) * gain`, a row at a time.

use super::math::dot;
use super::vector::{LANES, load, multiversion, store};

multiversion! {
    /// Writes the normalised rows of `x`, and the factor `1 / sqrt(mean(x^2) + eps)` of each row.
    ///
    /// `x` and `out` are [rows, gain.len()]; `factors` is [rows].
    pub fn forward<V>(x: &[f32], gain: &[f32], epsilon: f32, out: &mut [f32], factors: &mut [f32]) {
        let width = gain.len();
        for ((x, out), factor) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(factors) {
            *factor = 1.0 / (dot::<V>(x, x) / width as f32 + epsilon).sqrt();
            for at in (0..width).step_by(LANES) {
                let scaled = load::<V>(x, at, 0.0).multiply(V::splat(*factor));
                store(scaled.multiply(load(gain, at, 0.0)), out, at);
            }
        }
    }
}

multiversion! {
    /// Adds to `x_grad` and `gain_grad` the gradients of `x` and the gain, given that of the output, `upstream`.
    pub fn backward<V>(
        x: &[f32],
        gain: &[f32],
        factors: &[f32],
        upstream: &[f32],
        x_grad: &mut [f32],
        gain_grad: &mut [f32],
    ) {
        let width = gain.len();
        let rows = x.chunks_exact(width).zip(upstream.chunks_exact(width)).zip(x_grad.chunks_exact_mut(width));
        for (((x, upstream), x_grad), &factor) in rows.zip(factors) {
            let mut products = V::splat(0.0);
            for at in (0..width).step_by(LANES) {
                let (x, upstream) = (load::<V>(x, at, 0.0), load::<V>(upstream, at, 0.0));
                let product = x.multiply(upstream);
                products = product.multiply_add(load(gain, at, 0.0), products);
                store(product.multiply_add(V::splat(factor), load(gain_grad, at, 0.0)), gain_grad, at);
            }
            let along = products.sum() * factor * factor / width as f32;
            for at in (0..width).step_by(LANES) {
                let scaled = load::<V>(upstream, at, 0.0).multiply(load(gain, at, 0.0));
                let across = V::splat(-along).multiply_add(load(x, at, 0.0), scaled);
                store(V::splat(factor).multiply_add(across, load(x_grad, at, 0.0)), x_grad, at);
            }
        }
    }
}
