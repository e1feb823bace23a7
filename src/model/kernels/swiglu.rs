//! SwiGLU (Shazeer, arXiv 2002.05202): `silu(gate) * up`, on rows that hold gate, then up.

use super::math::sigmoid;
use super::vector::{LANES, load, multiversion, store};

multiversion! {
    /// Writes `out` [rows, width] from `gate_up` [rows, 2 width].
    pub fn forward<V>(gate_up: &[f32], width: usize, out: &mut [f32]) {
        for (row, out) in gate_up.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (gates, ups) = row.split_at(width);
            for at in (0..width).step_by(LANES) {
                let gate = load::<V>(gates, at, 0.0);
                store(gate.multiply(sigmoid(gate)).multiply(load(ups, at, 0.0)), out, at);
            }
        }
    }
}

multiversion! {
    /// Turns `gate_up` into its gradient, given that of the output, and recomputes the output.
    pub fn backward<V>(gate_up: &mut [f32], width: usize, upstream: &[f32], out: &mut [f32]) {
        let rows = gate_up.chunks_exact_mut(2 * width).zip(upstream.chunks_exact(width));
        for ((row, upstream), out) in rows.zip(out.chunks_exact_mut(width)) {
            let (gates, ups) = row.split_at_mut(width);
            for at in (0..width).step_by(LANES) {
                let (gate, up) = (load::<V>(gates, at, 0.0), load::<V>(ups, at, 0.0));
                let upstream = load::<V>(upstream, at, 0.0);
                let sigmoid = sigmoid(gate);
                let silu = gate.multiply(sigmoid);
                let slope = silu.multiply_add(V::splat(1.0).subtract(sigmoid), sigmoid);
                store(silu.multiply(up), out, at);
                store(upstream.multiply(up).multiply(slope), gates, at);
                store(upstream.multiply(silu), ups, at);
            }
        }
    }
}
