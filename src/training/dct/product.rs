//! Small matrix products of slices: the hot loop under both directions of the DCT.
//!
//! Everything here is `#[inline(always)]`, so that it is compiled once for the baseline of the target and once, inside
//! a `#[target_feature]` function, for AVX2 with fused multiply-add (`FUSED`). Loops are over arrays of a fixed size,
//! which become registers.

use std::ops::{Add, Mul, Sub};

/// f32 for DeMo itself, f64 for the whole numbers of exact aggregation.
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

/// a * b + c, fused or not.
#[inline(always)]
pub fn multiply_add<T: Real, const FUSED: bool>(a: T, b: T, c: T) -> T {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// The `width` columns from `col` on of a row-major output with rows of `stride`.
#[derive(Clone, Copy)]
pub struct Columns {
    pub col: usize,
    pub width: usize,
    pub stride: usize,
}

/// `out[i][col + j] = sum over (a, b) of a[i] * b[j]`, for `rows` rows: a product of matrices whose rows are the `a`
/// (transposed) and `b`.
#[inline(always)]
pub fn product<'a, T: Real, const FUSED: bool, const WIDE: usize>(
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
