//! SwiGLU (Shazeer, arXiv 2002.05202): `silu(gate) * up`, from rows that hold gate and up side by side.

use super::simd::{exp, multiply_add, multiversion};

multiversion! {
    /// `out` [rows, width] from `gate_up` [rows, 2 width].
    pub fn forward<FMA>(gate_up: &[f32], width: usize, out: &mut [f32]) {
        for (row, out) in gate_up.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (gate, up) = row.split_at(width);
            for i in 0..width {
                out[i] = up[i] * gate[i] / (1.0 + exp::<FMA>(-gate[i]));
            }
        }
    }
}

multiversion! {
    /// Turns `gate_up` into its gradient, given that of the output, and writes the output again.
    pub fn backward<FMA>(gate_up: &mut [f32], width: usize, upstream: &[f32], out: &mut [f32]) {
        let rows = gate_up.chunks_exact_mut(2 * width).zip(upstream.chunks_exact(width)).zip(out.chunks_exact_mut(width));
        for ((row, upstream), out) in rows {
            let (gate, up) = row.split_at_mut(width);
            for i in 0..width {
                let sigmoid = 1.0 / (1.0 + exp::<FMA>(-gate[i]));
                let silu = gate[i] * sigmoid;
                let slope = multiply_add::<FMA>(silu, 1.0 - sigmoid, sigmoid);
                out[i] = silu * up[i];
                gate[i] = upstream[i] * up[i] * slope;
                up[i] = upstream[i] * silu;
            }
        }
    }
}
