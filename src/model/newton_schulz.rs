//! Orthogonalises matrices by Newton-Schulz iterations, on the CPU or on another device.
//!
//! A matrix `U S V^T` becomes `U f(S) V^T`, where `f` takes all but very small singular values to between 0.7 and 1.2.
//! The quintic and its coefficients are those of Muon (Jordan et al., 2024,
//! <https://kellerjordan.github.io/posts/muon/>). They are published in bf16; ours are in f32.

use burn::tensor::{Tensor, TensorData};

use super::Device;
use super::kernels::newton_schulz::{COEFFICIENTS, EPSILON, ITERATIONS, newton_schulz as on_host};

/// The most values that another device works on at a time, unless one matrix has more.
const AT_A_TIME: usize = 1 << 24;

/// Number of matrices of this size that are worked on at a time.
pub fn batch(device: &Device, values: usize) -> usize {
    match device {
        Device::Cpu => 1,
        _ => (AT_A_TIME / values.max(1)).max(1),
    }
}

/// Floating-point operations of the iterations on one matrix, as they are defined.
pub fn flops([rows, columns]: [usize; 2]) -> f64 {
    let (small, large) = (rows.min(columns) as f64, rows.max(columns) as f64);
    // The Gram matrix, its square, and the product with the matrix.
    ITERATIONS as f64 * (4.0 * small * small * large + 2.0 * small.powi(3))
}

/// f32 values on the device and on the host while matrices of this shape are worked on, themselves included.
pub fn scratch_values(device: &Device, matrices: usize, [rows, columns]: [usize; 2]) -> [usize; 2] {
    let (matrix, gram) = (rows * columns, rows.min(columns).pow(2));
    match device {
        // The product and a packed factor; the Gram matrix, two polynomials, their product and one in between.
        Device::Cpu => [0, 3 * matrix + 5 * gram],
        device => {
            // The matrices twice and a product; the Gram matrix, its square and both scaled.
            let at_a_time = batch(device, matrix).min(matrices);
            [at_a_time * (3 * matrix + 4 * gram), at_a_time * matrix]
        }
    }
}

/// Replaces row-major matrices of one shape, one after another in `values`, by their orthogonalised forms.
///
/// # Panics
/// If the values are not a whole number of matrices.
pub fn newton_schulz(device: &Device, values: &mut [f32], [rows, columns]: [usize; 2]) {
    assert!(values.len().is_multiple_of(rows * columns), "whole matrices");
    match device {
        Device::Cpu => values.chunks_exact_mut(rows * columns).for_each(|matrix| on_host(matrix, rows, columns)),
        device => {
            let parts = values.chunks_mut(batch(device, rows * columns) * rows * columns);
            parts.for_each(|part| on_device(&device.burn(), part, [rows, columns]));
        }
    }
}

/// The iterations on several matrices at once.
fn on_device(device: &burn::tensor::Device, values: &mut [f32], [rows, columns]: [usize; 2]) {
    let shape = [values.len() / (rows * columns), rows, columns];
    let matrices = Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), device);
    let is_tall = rows > columns;
    let mut x = if is_tall { matrices.transpose() } else { matrices };
    let norms = x.clone().powi_scalar(2).sum_dim(2).sum_dim(1).sqrt();
    x = x / norms.clamp_min(EPSILON);
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let gram = x.clone().matmul(x.clone().transpose());
        let polynomial = gram.clone().mul_scalar(b) + gram.clone().matmul(gram).mul_scalar(c);
        x = x.clone().mul_scalar(a) + polynomial.matmul(x);
    }
    let result = if is_tall { x.transpose() } else { x }.into_data();
    values.copy_from_slice(result.as_slice::<f32>().expect("f32 values"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    #[test]
    fn devices_agree() {
        for shape in [[16, 16], [16, 48], [48, 16]] {
            let mut rng = random::rng(1, "newton_schulz test", 0, 0);
            let values: Vec<f32> = (0..3 * shape[0] * shape[1]).map(|_| random::normal(&mut rng)).collect();
            let mut expected = values.clone();
            newton_schulz(&Device::Cpu, &mut expected, shape);
            for device in Device::UNFUSED {
                let mut found = values.clone();
                newton_schulz(device, &mut found, shape);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-5, "{found} and {expected} on {device}");
                }
            }
        }
    }

    /// The result has singular values near 1: its Gram matrix is near the identity.
    #[test]
    fn singular_values_come_near_one() {
        let mut rng = random::rng(2, "newton_schulz test", 0, 0);
        let mut values: Vec<f32> = (0..8 * 64).map(|_| random::normal(&mut rng)).collect();
        newton_schulz(&Device::Cpu, &mut values, [8, 64]);
        for (row, of_row) in values.chunks_exact(64).enumerate() {
            for (other, of_other) in values.chunks_exact(64).enumerate() {
                let product: f32 = of_row.iter().zip(of_other).map(|(a, b)| a * b).sum();
                let expected = if row == other { 1.0 } else { 0.0 };
                assert!((product - expected).abs() < 0.5, "{row}, {other}: {product}");
            }
        }
    }
}
