//! The inverse DCT of a chunk, from a few coefficients or from all.

use super::dct::Inverse;
use super::product::{Columns, Real, multiply_add, product};

/// One coefficient of a chunk.
#[derive(Clone, Copy)]
pub struct Coefficient<T> {
    pub row: u16,
    pub col: u16,
    pub value: T,
}

/// The inverse DCT of chunks of one shape; holds the scratch memory for it.
pub struct InverseDct<T: 'static> {
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

impl<T: Real> InverseDct<T> {
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

    /// Transforms a few coefficients back. `sink` gets each row of the chunk as its number and the even and odd half whose sum (`true`) or
    /// difference (`false`) it is.
    #[inline(always)]
    pub fn sparse<const FUSED: bool, const WIDE: usize>(
        &mut self,
        coefficients: impl Iterator<Item = Coefficient<T>>,
        sink: impl FnMut(usize, &[T], &[T], bool),
    ) {
        self.scatter::<FUSED>(coefficients);
        self.join_columns(|value| value);
        self.back_along_columns::<FUSED, WIDE>(sink);
    }

    /// Transforms a whole chunk of coefficients back, given by column frequency, then row frequency. `between` is applied to every value
    /// after the pass along the rows, before the pass along the columns.
    #[inline(always)]
    pub fn dense<const FUSED: bool, const WIDE: usize>(
        &mut self,
        transposed: &[T],
        between: impl Fn(T) -> T,
        sink: impl FnMut(usize, &[T], &[T], bool),
    ) {
        for row in 0..self.height as u16 {
            self.present[usize::from(row % 2)].push((row, row));
        }
        let (half, stride) = (self.cols.half, 2 * self.cols.half);
        for parity in 0..2 {
            let frequencies = (parity..self.width).step_by(2);
            let terms = frequencies.map(|col| (&transposed[col * self.height..][..self.height], self.cols.vector(col)));
            let columns = Columns { col: parity * half, width: half, stride };
            product::<T, FUSED, WIDE>(terms, self.height, &mut self.partial, columns);
        }
        self.join_columns(between);
        self.back_along_columns::<FUSED, WIDE>(sink);
    }

    #[inline(always)]
    fn back_along_columns<const FUSED: bool, const WIDE: usize>(
        &mut self,
        mut sink: impl FnMut(usize, &[T], &[T], bool),
    ) {
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
