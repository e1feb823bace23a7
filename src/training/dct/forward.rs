//! The forward DCT of a chunk.

use super::product::{Columns, product};
use super::tables::Forward;

/// DCT-II of a chunk of `rows.frequency.len() x cols.frequency.len()` values, row-major. The input is overwritten, and
/// `half_done` is scratch. `out` holds frequencies (`rows.frequency[i]`, `cols.frequency[j]`), row-major.
#[inline(always)]
pub fn forward<const FUSED: bool>(
    rows: &Forward,
    cols: &Forward,
    chunk: &mut [f32],
    half_done: &mut [f32],
    out: &mut [f32],
) {
    let (height, width) = (rows.frequency.len(), cols.frequency.len());
    transform_transposed::<FUSED>(rows, chunk, width, half_done);
    transform_transposed::<FUSED>(cols, half_done, height, out);
}

/// The DCT of each of `width` columns, written as rows: applied twice, it gives the 2-D transform without a
/// transposition.
#[inline(always)]
fn transform_transposed<const FUSED: bool>(dct: &Forward, columns: &mut [f32], width: usize, out: &mut [f32]) {
    let stride = dct.frequency.len();
    let (mut left, mut col) = (stride, 0);
    for stage in &dct.stages {
        let at = Columns { col, width: stage.points, stride };
        let table = stage.table.chunks_exact(stage.points);
        if stage.folds {
            fold(&mut columns[..left * width], width);
            let differences = columns[..left * width].rchunks_exact(width);
            product::<f32, FUSED, 16>(differences.zip(table), width, out, at);
        } else {
            product::<f32, FUSED, 16>(columns.chunks_exact(width).zip(table), width, out, at);
        }
        (left, col) = (stage.points, col + stage.points);
    }
}

/// Rows i and n - 1 - i become their sum and their difference.
#[inline(always)]
fn fold(rows: &mut [f32], width: usize) {
    let (top, bottom) = rows.split_at_mut(rows.len() / 2);
    for (first, last) in top.chunks_exact_mut(width).zip(bottom.rchunks_exact_mut(width)) {
        let (first, first_rest) = first.as_chunks_mut::<8>();
        let (last, last_rest) = last.as_chunks_mut::<8>();
        for (first, last) in first.iter_mut().zip(last) {
            fold_arrays(first, last);
        }
        for (first, last) in first_rest.iter_mut().zip(last_rest) {
            fold_arrays(std::array::from_mut(first), std::array::from_mut(last));
        }
    }
}

#[inline(always)]
fn fold_arrays<const N: usize>(first: &mut [f32; N], last: &mut [f32; N]) {
    let (a, b) = (*first, *last);
    *first = std::array::from_fn(|i| a[i] + b[i]);
    *last = std::array::from_fn(|i| a[i] - b[i]);
}

#[cfg(test)]
mod tests {
    use super::super::inverse::{Coefficient, SparseInverse};
    use super::super::tables;
    use super::*;

    fn dense(height: usize, width: usize) -> Vec<f32> {
        (0..height * width).map(|i| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    /// Forward, then back from all coefficients.
    fn round_trip<const FUSED: bool>(height: usize, width: usize) {
        let original = dense(height, width);
        let (mut chunk, mut scratch, mut out) = (original.clone(), original.clone(), original.clone());
        let (rows, cols) = (tables::forward(height), tables::forward(width));
        forward::<FUSED>(rows, cols, &mut chunk, &mut scratch, &mut out);
        let energy = |values: &[f32]| values.iter().map(|v| f64::from(v * v)).sum::<f64>();
        assert!((energy(&original) / energy(&out) - 1.0).abs() < 1e-5, "{height} x {width} is not orthonormal");

        let coefficients = out.iter().enumerate().map(|(at, &value)| Coefficient {
            row: rows.frequency[at / width],
            col: cols.frequency[at % width],
            value,
        });
        let mut inverse = SparseInverse::new(height, width);
        inverse.run::<FUSED>(coefficients, |row, even, odd, sum| {
            for (col, (even, odd)) in even.iter().zip(odd).enumerate() {
                let back = if sum { even + odd } else { even - odd };
                let expected = original[row * width + col];
                assert!((back - expected).abs() < 2e-6, "{height} x {width} at ({row}, {col}): {back}, {expected}");
            }
        });
    }

    #[test]
    fn transforms_of_every_shape_return() {
        for (height, width) in [(1, 1), (1, 64), (64, 64), (50, 48), (61, 3), (1, 61), (34, 20), (4, 6), (100, 256)] {
            round_trip::<false>(height, width);
            round_trip::<true>(height, width);
        }
    }
}
