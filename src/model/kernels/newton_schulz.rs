//! Newton-Schulz iterations on one matrix, on one thread.
//!
//! An iteration is `X <- (a + b G + c G^2) X`, where the Gram matrix `G = X X^T` is of the smaller side. For an oblong
//! matrix the polynomials of all iterations are computed from `G` alone, and `X` is multiplied by their product, which
//! takes half as many operations. For a square one it would take as many, and be less exact: `G` holds the squares of
//! singular values, and in f32 the square of a small one drowns beside that of the largest.

use super::buffer::Buffer;
use super::matrix::{Factor, Matrix, MatrixMut, multiply, multiply_by};
use super::vector::{LANES, load, multiversion, store};

/// An iteration is `X <- a X + b (X X^T) X + c (X X^T)^2 X`.
pub const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Iterations.
pub const ITERATIONS: usize = 5;

/// The smallest Frobenius norm that a matrix is divided by first.
pub const EPSILON: f64 = 1e-7;

/// Rows of a symmetric product that are computed at a time, up to the diagonal.
const STRIP: usize = 16;

/// Replaces a row-major matrix by the result of the iterations on it.
///
/// # Panics
/// If there are not `rows * columns` values.
pub fn newton_schulz(values: &mut [f32], rows: usize, columns: usize) {
    assert_eq!(values.len(), rows * columns, "the values of a matrix");
    let norm = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
    let factor = (1.0 / norm.max(EPSILON)) as f32;
    values.iter_mut().for_each(|value| *value *= factor);

    let mut product = Buffer::new(values.len());
    if rows == columns {
        for _ in 0..ITERATIONS {
            let polynomial = polynomial(&gram(values, rows, columns), rows);
            apply(&polynomial, values, &mut product, rows, columns);
        }
    } else {
        let all = all_polynomials(gram(values, rows, columns), rows.min(columns));
        apply(&all, values, &mut product, rows, columns);
    }
}

/// The Gram matrix of the smaller side.
fn gram(values: &[f32], rows: usize, columns: usize) -> Buffer {
    let matrix = Matrix::new(values, rows, columns);
    let wide = if rows > columns { matrix.transposed() } else { matrix };
    symmetric(rows.min(columns), wide, wide.transposed())
}

/// Multiplies a matrix by a symmetric one on its smaller side.
fn apply(symmetric: &[f32], values: &mut [f32], product: &mut [f32], rows: usize, columns: usize) {
    let size = rows.min(columns);
    let symmetric = Matrix::new(symmetric, size, size);
    let matrix = Matrix::new(values, rows, columns);
    let out = MatrixMut::new(product, rows, columns);
    if rows > columns {
        multiply(out, matrix, symmetric)
    } else {
        multiply(out, symmetric, matrix)
    }
    values.copy_from_slice(product);
}

/// `a + b G + c G^2`.
fn polynomial(gram: &[f32], size: usize) -> Buffer {
    let [a, b, c] = COEFFICIENTS.map(|coefficient| coefficient as f32);
    let mut linear = Buffer::new(size * size);
    scaled(&mut linear, gram, c);
    (0..size).for_each(|at| linear[at * (size + 1)] += b);
    let mut polynomial = symmetric(size, Matrix::new(gram, size, size), Matrix::new(&linear, size, size));
    (0..size).for_each(|at| polynomial[at * (size + 1)] += a);
    polynomial
}

/// The product of the polynomials of all iterations, the first of which is on this Gram matrix.
fn all_polynomials(mut gram: Buffer, size: usize) -> Buffer {
    // Polynomials of one matrix commute, so their products are symmetric.
    let times = |a: &[f32], b: &[f32]| symmetric(size, Matrix::new(a, size, size), Matrix::new(b, size, size));
    let mut all = polynomial(&gram, size);
    let mut last = all.clone();
    for _ in 1..ITERATIONS {
        gram = times(&times(&gram, &last), &last);
        last = polynomial(&gram, size);
        all = times(&all, &last);
    }
    all
}

multiversion! {
    /// `out = factor * values`.
    fn scaled<V>(out: &mut [f32], values: &[f32], factor: f32) {
        let factor = V::splat(factor);
        for at in (0..values.len()).step_by(LANES) {
            store(load::<V>(values, at, 0.0).multiply(factor), out, at);
        }
    }
}

/// `a b`, which is known to be symmetric: computes the part up to the diagonal, and mirrors it.
fn symmetric(size: usize, a: Matrix, b: Matrix) -> Buffer {
    let factor = Factor::new(b);
    let mut out = Buffer::new(size * size);
    for first in (0..size).step_by(STRIP) {
        let rows = STRIP.min(size - first);
        let strip = MatrixMut::strided(&mut out[first * size..], rows, first + rows, size);
        multiply_by(strip, a.rows(first, rows), &factor, 0, false);
    }
    mirror(&mut out, size);
    out
}

/// Copies what is below the diagonal to above it, in blocks that stay in the cache.
fn mirror(values: &mut [f32], size: usize) {
    for first in (0..size).step_by(STRIP) {
        for row in first..size {
            for column in first..row.min(first + STRIP) {
                values[column * size + row] = values[row * size + column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;

    fn normal(seed: u64, count: usize) -> Vec<f32> {
        let mut rng = random::rng(seed, "newton_schulz test", 0, 0);
        (0..count).map(|_| random::normal(&mut rng)).collect()
    }

    /// The iterations as they are defined, in f64.
    fn expected(values: &[f32], rows: usize, columns: usize) -> Vec<f64> {
        let times = |a: &dyn Fn(usize, usize) -> f64, b: &dyn Fn(usize, usize) -> f64, [m, k, n]: [usize; 3]| {
            let value = |at: usize| (0..k).map(|k| a(at / n, k) * b(k, at % n)).sum::<f64>();
            (0..m * n).map(value).collect::<Vec<f64>>()
        };
        let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let mut x: Vec<f64> = values.iter().map(|&value| f64::from(value) / norm.max(EPSILON)).collect();
        let [a, b, c] = COEFFICIENTS;
        for _ in 0..ITERATIONS {
            let at = |r: usize, c: usize| x[r * columns + c];
            let gram = times(&at, &|r, c| at(c, r), [rows, columns, rows]);
            let gram = |r: usize, c: usize| gram[r * rows + c];
            let square = times(&gram, &gram, [rows, rows, rows]);
            let polynomial = |r: usize, k: usize| b * gram(r, k) + c * square[r * rows + k];
            let moved = times(&polynomial, &at, [rows, rows, columns]);
            x = x.iter().zip(moved).map(|(x, moved)| a * x + moved).collect();
        }
        x
    }

    fn assert_close(what: &str, values: &[f32], rows: usize, columns: usize, tolerance: f64) {
        let mut found = values.to_vec();
        newton_schulz(&mut found, rows, columns);
        let expected = expected(values, rows, columns);
        let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            let error = (f64::from(*found) - expected).abs() / largest.max(1e-30);
            assert!(error < tolerance, "{what}, {rows} x {columns}: off by {error:e} of the largest");
        }
    }

    #[test]
    fn iterations_of_matrices_of_all_forms() {
        for (rows, columns) in [(1, 1), (16, 16), (33, 33), (64, 64), (24, 80), (80, 24), (7, 45), (1, 9), (9, 1)] {
            assert_close("normal", &normal(1, rows * columns), rows, columns, 1e-5);
        }
    }

    /// Singular values over four orders of magnitude, as those of a momentum, and a matrix of rank 4. In bf16, as
    /// published, errors are above a hundredth.
    #[test]
    fn small_singular_values_cost_few_digits() {
        for (rows, columns, tolerance) in [(32, 32, 1e-4), (32, 96, 1e-3), (96, 32, 1e-3)] {
            let (tall, wide) = (normal(2, rows * 32), normal(3, 32 * columns));
            for (what, of_direction) in [
                ("decaying", (|k| 10f32.powf(-(k as f32) / 8.0)) as fn(usize) -> f32),
                ("rank 4", |k| f32::from(k < 4)),
            ] {
                let value = |at: usize| {
                    let (row, column) = (at / columns, at % columns);
                    (0..32).map(|k| tall[row * 32 + k] * of_direction(k) * wide[k * columns + column]).sum::<f32>()
                };
                let values: Vec<f32> = (0..rows * columns).map(value).collect();
                assert_close(what, &values, rows, columns, tolerance);
            }
        }
    }

    #[test]
    fn zeros_stay() {
        let mut zeros = vec![0.0; 12];
        newton_schulz(&mut zeros, 3, 4);
        assert_eq!(zeros, [0.0; 12]);
    }
}
