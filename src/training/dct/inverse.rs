//! The inverse DCT of a chunk: from a few f32 coefficients for error feedback, from all of them for exact aggregation.
//!
//! Both passes use the symmetry of the basis. Even and odd frequencies are summed separately, for the first half of the
//! points only; their sum is the first half of the result, their difference the mirrored second half.

use super::product::{Columns, Real, multiply_add, product};
use super::tables::{self, Inverse, by_parity};

/// One coefficient of a chunk.
#[derive(Clone, Copy)]
pub struct Coefficient {
    pub row: u16,
    pub col: u16,
    pub value: f32,
}

/// The inverse DCT of chunks of one shape from few coefficients; holds the scratch memory for it.
pub struct SparseInverse {
    rows: &'static Inverse<f32>,
    cols: &'static Inverse<f32>,
    height: usize,
    width: usize,
    /// Position of a row frequency in `partial` and `first_pass`, plus one; 0 if it has no coefficient.
    slot: Vec<u16>,
    /// Row frequencies with a coefficient, first the even ones, then the odd ones: (frequency, slot).
    present: [Vec<(u16, u16)>; 2],
    /// For each slot, half a row from its even column frequencies, then half a row from its odd ones.
    partial: Vec<f32>,
    first_pass: Vec<f32>,
    /// Half a chunk from the even row frequencies, and from the odd ones.
    halves: [Vec<f32>; 2],
}

impl SparseInverse {
    pub fn new(height: usize, width: usize) -> Self {
        let (rows, cols) = (tables::inverse(height), tables::inverse(width));
        Self {
            rows,
            cols,
            height,
            width,
            slot: vec![0; height],
            present: [Vec::with_capacity(height), Vec::with_capacity(height)],
            partial: vec![0.0; 2 * height * cols.half],
            first_pass: vec![0.0; height * width],
            halves: [(); 2].map(|()| vec![0.0; rows.half * width]),
        }
    }

    /// Transforms back and hands each row of the chunk to `sink`, as [`each_row`] does.
    #[inline(always)]
    pub fn run<const FUSED: bool>(
        &mut self,
        coefficients: impl Iterator<Item = Coefficient>,
        sink: impl FnMut(usize, &[f32], &[f32], bool),
    ) {
        self.scatter::<FUSED>(coefficients);
        join_columns(&mut self.first_pass, &self.partial, self.width, |value| value);
        for (present, half) in self.present.iter().zip(&mut self.halves) {
            let first_pass = &self.first_pass;
            let terms = present.iter().map(|&(frequency, slot)| {
                (self.rows.vector(frequency.into()), &first_pass[usize::from(slot) * self.width..][..self.width])
            });
            let columns = Columns { col: 0, width: self.width, stride: self.width };
            product::<f32, FUSED, 16>(terms, self.rows.half, half, columns);
        }
        each_row(&self.halves, self.height, self.width, sink);
        for (frequency, _) in self.present.iter_mut().flat_map(|present| present.drain(..)) {
            self.slot[usize::from(frequency)] = 0;
        }
    }

    /// Adds each coefficient's column vector to the half row of its row frequency and of its column frequency's parity.
    #[inline(always)]
    fn scatter<const FUSED: bool>(&mut self, coefficients: impl Iterator<Item = Coefficient>) {
        let half = self.cols.half;
        for Coefficient { row, col, value } in coefficients {
            let slot = &mut self.slot[usize::from(row)];
            if *slot == 0 {
                let used = self.present[0].len() + self.present[1].len();
                self.present[usize::from(row % 2)].push((row, used as u16));
                self.partial[used * 2 * half..][..2 * half].fill(0.0);
                *slot = used as u16 + 1;
            }
            let at = (2 * (usize::from(*slot) - 1) + usize::from(col % 2)) * half;
            let vector = self.cols.vector(col.into());
            for (sum, &entry) in self.partial[at..][..half].iter_mut().zip(vector) {
                *sum = multiply_add::<f32, FUSED>(value, entry, *sum);
            }
        }
    }
}

/// The exact inverse DCT of chunks of one shape, in whole numbers; holds the scratch memory for it.
pub struct ExactInverse {
    rows: &'static Inverse<f64>,
    cols: &'static Inverse<f64>,
    height: usize,
    width: usize,
    /// For each row frequency, half a row from the even column frequencies, then half a row from the odd ones.
    partial: Vec<f64>,
    first_pass: Vec<f64>,
    /// Half a chunk from the even row frequencies, and from the odd ones.
    halves: [Vec<f64>; 2],
}

impl ExactInverse {
    pub fn new(height: usize, width: usize) -> Self {
        let (rows, cols) = (tables::exact_inverse(height), tables::exact_inverse(width));
        Self {
            rows,
            cols,
            height,
            width,
            partial: vec![0.0; 2 * height * cols.half],
            first_pass: vec![0.0; height * width],
            halves: [(); 2].map(|()| vec![0.0; rows.half * width]),
        }
    }

    /// Index of the coefficient of these frequencies in the input of [`run`](Self::run).
    pub fn position(&self, row: usize, col: usize) -> usize {
        by_parity(col, self.width) * self.height + by_parity(row, self.height)
    }

    /// Transforms back along the rows, applies `between` to every value, transforms back along the columns, and hands
    /// each row of the chunk to `sink`, as [`each_row`] does.
    #[inline(always)]
    pub fn run<const FUSED: bool>(
        &mut self,
        coefficients: &[f64],
        between: impl Fn(f64) -> f64,
        sink: impl FnMut(usize, &[f64], &[f64], bool),
    ) {
        let Self { rows, cols, height, width, .. } = *self;
        let (even, odd) = coefficients.split_at(cols.half * height);
        for (parity, coefficients) in [even, odd].into_iter().enumerate() {
            let terms = coefficients.chunks_exact(height).zip(cols.of_parity(parity));
            let columns = Columns { col: parity * cols.half, width: cols.half, stride: 2 * cols.half };
            product::<f64, FUSED, 8>(terms, height, &mut self.partial, columns);
        }
        join_columns(&mut self.first_pass, &self.partial, width, between);
        let (even, odd) = self.first_pass.split_at(rows.half * width);
        for (parity, first_pass) in [even, odd].into_iter().enumerate() {
            let terms = rows.of_parity(parity).zip(first_pass.chunks_exact(width));
            let columns = Columns { col: 0, width, stride: width };
            product::<f64, FUSED, 8>(terms, rows.half, &mut self.halves[parity], columns);
        }
        each_row(&self.halves, height, width, sink);
    }
}

/// Whole rows of the first pass from their even and odd halves, `between` applied.
#[inline(always)]
fn join_columns<T: Real>(first_pass: &mut [T], partial: &[T], width: usize, between: impl Fn(T) -> T) {
    let half = width.div_ceil(2);
    for (row, partial) in first_pass.chunks_exact_mut(width).zip(partial.chunks_exact(2 * half)) {
        let (even, odd) = partial.split_at(half);
        for ((value, &even), &odd) in row.iter_mut().zip(even).zip(odd) {
            *value = between(even + odd);
        }
        for ((value, &even), &odd) in row.iter_mut().rev().zip(even).zip(odd).take(width / 2) {
            *value = between(even - odd);
        }
    }
}

/// Hands each row of a chunk to `sink`: its number, its even and odd halves, and whether it is their sum (`true`) or
/// their difference (`false`).
#[inline(always)]
fn each_row<T>(halves: &[Vec<T>; 2], height: usize, width: usize, mut sink: impl FnMut(usize, &[T], &[T], bool)) {
    let [even, odd] = halves;
    for (row, (even, odd)) in even.chunks_exact(width).zip(odd.chunks_exact(width)).enumerate() {
        sink(row, even, odd, true);
        let mirror = height - 1 - row;
        if mirror != row {
            sink(mirror, even, odd, false);
        }
    }
}
