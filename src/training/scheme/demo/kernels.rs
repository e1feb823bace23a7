//! The hot loops: small matrix products of slices, the forward DCT of a chunk, and the inverse from a few coefficients.
//!
//! Everything here is `#[inline(always)]`, so that it is compiled once for the baseline of the target and once, inside a
//! `#[target_feature]` function, for AVX2 with fused multiply-add (`FUSED`). Loops are over arrays of a fixed size, which become registers.

use std::ops::{Add, Mul, Sub};

use super::dct::{Forward, Inverse};

/// f32 for DeMo itself, f64 for whole numbers in exact aggregation.
pub trait Real: Copy + Default + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + 'static {
    /// self * a + b, fused.
    fn mul_add(self, a: Self, b: Self) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
    }
}

impl Real for f64 {
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f64::mul_add(self, a, b)
    }
}

#[inline(always)]
fn multiply_add<T: Real, const FUSED: bool>(a: T, b: T, c: T) -> T {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// The `width` columns from `col` on of a row-major output with rows of `stride`.
#[derive(Clone, Copy)]
struct Columns {
    col: usize,
    width: usize,
    stride: usize,
}

/// `out[i][col + j] = sum over (a, b) of a[i] * b[j]`, for `rows` rows: a product of matrices whose rows are the `a` (transposed) and `b`.
#[inline(always)]
fn product<'a, T: Real, const FUSED: bool, const WIDE: usize>(
    terms: impl Iterator<Item = (&'a [T], &'a [T])> + Clone,
    rows: usize,
    out: &mut [T],
    columns: Columns,
) {
    let mut done = 0;
    while columns.width - done >= WIDE {
        tiles::<T, FUSED, WIDE>(terms.clone(), rows, done, out, columns);
        done += WIDE;
    }
    while columns.width - done >= 4 {
        tiles::<T, FUSED, 4>(terms.clone(), rows, done, out, columns);
        done += 4;
    }
    while columns.width > done {
        tiles::<T, FUSED, 1>(terms.clone(), rows, done, out, columns);
        done += 1;
    }
}

#[inline(always)]
fn tiles<'a, T: Real, const FUSED: bool, const WIDTH: usize>(
    terms: impl Iterator<Item = (&'a [T], &'a [T])> + Clone,
    rows: usize,
    from: usize,
    out: &mut [T],
    columns: Columns,
) {
    let mut done = 0;
    while rows - done >= 4 {
        tile::<T, FUSED, 4, WIDTH>(terms.clone(), done, from, out, columns);
        done += 4;
    }
    while rows > done {
        tile::<T, FUSED, 1, WIDTH>(terms.clone(), done, from, out, columns);
        done += 1;
    }
}

#[inline(always)]
fn tile<'a, T: Real, const FUSED: bool, const HEIGHT: usize, const WIDTH: usize>(
    terms: impl Iterator<Item = (&'a [T], &'a [T])>,
    row: usize,
    from: usize,
    out: &mut [T],
    columns: Columns,
) {
    let mut sums = [[T::default(); WIDTH]; HEIGHT];
    for (a, b) in terms {
        let (a, b): (&[T; HEIGHT], &[T; WIDTH]) = (array(a, row), array(b, from));
        for (sums, &a) in sums.iter_mut().zip(a) {
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum = multiply_add::<T, FUSED>(a, b, *sum);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        out[(row + i) * columns.stride + columns.col + from..][..WIDTH].copy_from_slice(sums);
    }
}

#[inline(always)]
fn array<T, const N: usize>(slice: &[T], at: usize) -> &[T; N] {
    slice[at..].first_chunk().expect("a row holds whole tiles")
}

/// DCT-II of a chunk of `rows.frequency.len() x cols.frequency.len()` values, row-major, which are overwritten; `half_done` is scratch.
/// `out` holds frequencies (`rows.frequency[i]`, `cols.frequency[j]`), row-major.
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

/// The DCT of each of `width` columns, written as rows: two in a row give the 2-D transform without a transposition.
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

/// One coefficient of a chunk.
#[derive(Clone, Copy)]
pub struct Coefficient<T> {
    pub row: u16,
    pub col: u16,
    pub value: T,
}

/// The inverse DCT of chunks of one shape from a few coefficients.
pub struct SparseInverse<T: 'static> {
    rows: &'static Inverse<T>,
    cols: &'static Inverse<T>,
    height: usize,
    width: usize,
    /// Where a frequency's row lies in `partial` and `first_pass`, one more; 0 if it has none.
    slot: Vec<u16>,
    /// Row frequencies that have a coefficient, the even ones and the odd ones: (frequency, slot).
    present: [Vec<(u16, u16)>; 2],
    /// For each slot, half a row from its even column frequencies, then half a row from its odd ones.
    partial: Vec<T>,
    first_pass: Vec<T>,
    /// Half a chunk from the even row frequencies, and from the odd ones.
    halves: [Vec<T>; 2],
}

impl<T: Real> SparseInverse<T> {
    pub fn new(height: usize, width: usize, table: impl Fn(usize) -> &'static Inverse<T>) -> Self {
        let (rows, cols) = (table(height), table(width));
        let half = || vec![T::default(); rows.half * width];
        Self {
            rows,
            cols,
            height,
            width,
            slot: vec![0; height],
            present: [Vec::with_capacity(height), Vec::with_capacity(height)],
            partial: vec![T::default(); 2 * height * cols.half],
            first_pass: vec![T::default(); height * width],
            halves: [half(), half()],
        }
    }

    /// Transforms back along the rows, applies `between` to every value, transforms back along the columns, and hands each row of the chunk
    /// to `sink` as its number and the even and odd half whose sum (`true`) or difference (`false`) it is.
    #[inline(always)]
    pub fn run<const FUSED: bool, const WIDE: usize>(
        &mut self,
        coefficients: impl Iterator<Item = Coefficient<T>>,
        between: impl Fn(T) -> T,
        mut sink: impl FnMut(usize, &[T], &[T], bool),
    ) {
        self.scatter::<FUSED>(coefficients);
        self.join_columns(between);
        for (present, half) in self.present.iter().zip(&mut self.halves) {
            let first_pass = &self.first_pass;
            let terms = present.iter().map(|&(frequency, slot)| {
                (self.rows.vector(frequency.into()), &first_pass[usize::from(slot) * self.width..][..self.width])
            });
            let columns = Columns { col: 0, width: self.width, stride: self.width };
            product::<T, FUSED, WIDE>(terms, self.rows.half, half, columns);
        }
        let [even, odd] = &self.halves;
        let halves = even.chunks_exact(self.width).zip(odd.chunks_exact(self.width)).enumerate();
        for (row, (even, odd)) in halves {
            sink(row, even, odd, true);
            let mirror = self.height - 1 - row;
            if mirror != row {
                sink(mirror, even, odd, false);
            }
        }
        self.clear();
    }

    /// Adds each coefficient's column vector to the half row of its row frequency and of its column frequency's parity.
    #[inline(always)]
    fn scatter<const FUSED: bool>(&mut self, coefficients: impl Iterator<Item = Coefficient<T>>) {
        let half = self.cols.half;
        for Coefficient { row, col, value } in coefficients {
            let slot = &mut self.slot[usize::from(row)];
            if *slot == 0 {
                let used = self.present[0].len() + self.present[1].len();
                self.present[usize::from(row % 2)].push((row, used as u16));
                self.partial[used * 2 * half..][..2 * half].fill(T::default());
                *slot = used as u16 + 1;
            }
            let at = (2 * (usize::from(*slot) - 1) + usize::from(col % 2)) * half;
            let vector = self.cols.vector(col.into());
            for (sum, &entry) in self.partial[at..][..half].iter_mut().zip(vector) {
                *sum = multiply_add::<T, FUSED>(value, entry, *sum);
            }
        }
    }

    /// Whole rows of the first pass from their even and odd halves.
    #[inline(always)]
    fn join_columns(&mut self, between: impl Fn(T) -> T) {
        let half = self.cols.half;
        let used = self.present[0].len() + self.present[1].len();
        let rows = self.first_pass.chunks_exact_mut(self.width).zip(self.partial.chunks_exact(2 * half));
        for (row, partial) in rows.take(used) {
            let (even, odd) = partial.split_at(half);
            for ((value, &even), &odd) in row.iter_mut().zip(even).zip(odd) {
                *value = between(even + odd);
            }
            for ((value, &even), &odd) in row.iter_mut().rev().zip(even).zip(odd).take(self.width / 2) {
                *value = between(even - odd);
            }
        }
    }

    fn clear(&mut self) {
        for present in &mut self.present {
            for (frequency, _) in present.drain(..) {
                self.slot[usize::from(frequency)] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dct;
    use super::*;

    fn dense(height: usize, width: usize) -> Vec<f32> {
        (0..height * width).map(|i| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    /// Forward, then back from all coefficients.
    fn round_trip<const FUSED: bool>(height: usize, width: usize) {
        let original = dense(height, width);
        let (mut chunk, mut scratch, mut out) = (original.clone(), original.clone(), original.clone());
        let (rows, cols) = (dct::forward(height), dct::forward(width));
        forward::<FUSED>(rows, cols, &mut chunk, &mut scratch, &mut out);
        let energy = |values: &[f32]| values.iter().map(|v| f64::from(v * v)).sum::<f64>();
        assert!((energy(&original) / energy(&out) - 1.0).abs() < 1e-5, "{height} x {width} is not orthonormal");

        let coefficients = out.iter().enumerate().map(|(at, &value)| Coefficient {
            row: rows.frequency[at / width],
            col: cols.frequency[at % width],
            value,
        });
        let mut inverse = SparseInverse::new(height, width, dct::inverse);
        inverse.run::<FUSED, 16>(
            coefficients,
            |value| value,
            |row, even, odd, sum| {
                for (col, (even, odd)) in even.iter().zip(odd).enumerate() {
                    let back = if sum { even + odd } else { even - odd };
                    let expected = original[row * width + col];
                    assert!((back - expected).abs() < 2e-6, "{height} x {width} at ({row}, {col}): {back}, {expected}");
                }
            },
        );
    }

    #[test]
    fn transforms_of_every_shape_return() {
        for (height, width) in [(1, 1), (1, 64), (64, 64), (50, 48), (61, 3), (1, 61), (34, 20), (4, 6), (100, 256)] {
            round_trip::<false>(height, width);
            round_trip::<true>(height, width);
        }
    }
}
