//! Products of matrices that lie in slices with a stride, so that a head of a layer, or the transpose of a weight, needs no copy.
//!
//! The right factor is packed into panels, two registers wide, that stay in the first-level cache while rows of the left factor go past
//! them. A value of the result is one sum in the order of the inner index, started from what was there: the same bits for any size of
//! tile or register.

use super::vector::{Portable, Vector};

/// A matrix in a slice: value `(r, c)` at `r * row_stride + c * column_stride`, one of the strides being 1.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows` x `columns` values without gaps, row-major.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin `row_stride` values apart.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(spans(values.len(), rows, columns, row_stride), "a matrix inside its slice");
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transpose, without moving a value.
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// A matrix to write to, row-major with a stride.
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// `rows` x `columns` values without gaps, row-major.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// Rows that begin `row_stride` values apart.
    pub fn strided(values: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(spans(values.len(), rows, columns, row_stride), "a matrix inside its slice");
        Self { values, rows, columns, row_stride }
    }
}

fn spans(len: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    columns <= row_stride && (rows == 0 || (rows - 1) * row_stride + columns <= len)
}

/// A right factor in panels: 32 columns each, the last padded with zeros to 16 or 32.
pub struct Packed {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
}

/// Columns of a panel: two of the widest registers.
const PANEL: usize = 32;

impl Packed {
    /// Room to pack matrices into, one after the other.
    pub fn empty() -> Self {
        Self { values: Vec::new(), rows: 0, columns: 0 }
    }

    /// Packs `b`.
    pub fn new(b: Matrix) -> Self {
        let mut packed = Self::empty();
        packed.pack(b);
        packed
    }

    /// Packs `b` in the place of what was there.
    pub fn pack(&mut self, b: Matrix) {
        (self.rows, self.columns) = (b.rows, b.columns);
        self.values.clear();
        self.values.resize(b.rows * b.columns.next_multiple_of(PANEL / 2), 0.0);
        for first in (0..b.columns).step_by(PANEL) {
            let (width, columns) = (panel_width(b.columns - first), (b.columns - first).min(PANEL));
            let panel = &mut self.values[first * b.rows..][..width * b.rows];
            if b.column_stride == 1 {
                for (row, out) in panel.chunks_exact_mut(width).enumerate() {
                    let start = row * b.row_stride + first;
                    out[..columns].copy_from_slice(&b.values[start..start + columns]);
                }
            } else {
                for column in 0..columns {
                    let start = (first + column) * b.column_stride;
                    let values = &b.values[start..start + b.rows];
                    for (out, &value) in panel[column..].iter_mut().step_by(width).zip(values) {
                        *out = value;
                    }
                }
            }
        }
    }
}

fn panel_width(columns: usize) -> usize {
    if columns > PANEL / 2 { PANEL } else { PANEL / 2 }
}

/// `out = a b`.
pub fn multiply(out: MatrixMut, a: Matrix, b: Matrix) {
    multiply_packed(out, a, &Packed::new(b), 0, false);
}

/// `out += a b`.
pub fn multiply_onto(out: MatrixMut, a: Matrix, b: Matrix) {
    multiply_packed(out, a, &Packed::new(b), 0, true);
}

/// `out = a b`, or `out += a b` where `add`: of `b` the rows from `first_row` on, as many as `a` has columns, and the first columns, as
/// many as `out` has.
pub fn multiply_packed(out: MatrixMut, a: Matrix, b: &Packed, first_row: usize, add: bool) {
    assert!(
        out.rows == a.rows && out.columns <= b.columns && first_row + a.columns <= b.rows,
        "shapes of a matrix product"
    );
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    let product = Product { out, a, b, first_row, add };
    #[cfg(target_arch = "x86_64")]
    {
        use super::simd::{has_avx2, has_avx512};

        #[target_feature(enable = "avx512f")]
        fn avx512(product: Product) {
            // SAFETY: compiled for the instruction set, as the caller is on such a CPU.
            unsafe { panels::<std::arch::x86_64::__m512>(product) }
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(product: Product) {
            // SAFETY: as above.
            unsafe { panels::<std::arch::x86_64::__m256>(product) }
        }
        if has_avx512() {
            // SAFETY: the CPU has the instruction set.
            return unsafe { avx512(product) };
        }
        if has_avx2() {
            // SAFETY: as above.
            return unsafe { avx2(product) };
        }
    }
    // SAFETY: `Portable` needs no instruction set.
    unsafe { panels::<Portable>(product) }
}

/// A product to do; the constructors of its parts and [`multiply_packed`] have checked that all indices are inside.
struct Product<'a> {
    out: MatrixMut<'a>,
    a: Matrix<'a>,
    b: &'a Packed,
    first_row: usize,
    add: bool,
}

/// Part of a panel that one pass over rows does.
struct Strip {
    /// First value of the first row that is multiplied.
    values: *const f32,
    /// Values from one row to the next.
    stride: usize,
    /// Where its first column is in the output.
    first: usize,
    /// Columns that exist.
    columns: usize,
}

#[inline(always)]
unsafe fn panels<V: Vector>(mut product: Product) {
    let columns = product.out.columns;
    for panel in (0..columns).step_by(PANEL) {
        let stride = panel_width(product.b.columns - panel);
        let start = panel * product.b.rows + product.first_row * stride;
        let values = product.b.values[start..].as_ptr();
        let end = (panel + stride).min(columns);
        let mut first = panel;
        while first < end {
            // SAFETY: columns from `first` to the end of the panel are inside of the packed values.
            let strip = |columns| unsafe { Strip { values: values.add(first - panel), stride, first, columns } };
            let left = end - first;
            unsafe {
                if left > V::LANES {
                    rows::<V, 2>(&mut product, strip(left.min(2 * V::LANES)));
                    first += 2 * V::LANES;
                } else {
                    rows::<V, 1>(&mut product, strip(left));
                    first += V::LANES;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn rows<V: Vector, const C: usize>(product: &mut Product, strip: Strip) {
    let rows = product.out.rows;
    let mut row = 0;
    unsafe {
        if V::ROWS == 8 {
            while row + 8 <= rows {
                tile::<V, 8, C>(product, &strip, row);
                row += 8;
            }
        }
        while row + 4 <= rows {
            tile::<V, 4, C>(product, &strip, row);
            row += 4;
        }
        while row < rows {
            tile::<V, 1, C>(product, &strip, row);
            row += 1;
        }
    }
}

/// `R` rows by `C` registers of the output, from row `row` on.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const C: usize>(product: &mut Product, strip: &Strip, row: usize) {
    unsafe {
        let a = product.a.values.as_ptr().add(row * product.a.row_stride);
        let (a_row, a_column) = (product.a.row_stride, product.a.column_stride);
        let out_stride = product.out.row_stride;
        let out = product.out.values.as_mut_ptr().add(row * out_stride + strip.first);
        let whole = strip.columns == C * V::LANES;

        let mut sums = [[V::splat(0.0); C]; R];
        if product.add && whole {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(out.add(r * out_stride + c * V::LANES));
                }
            }
        } else if product.add {
            for (r, sums) in sums.iter_mut().enumerate() {
                let mut buffer = [0.0; PANEL];
                std::ptr::copy_nonoverlapping(out.add(r * out_stride), buffer.as_mut_ptr(), strip.columns);
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(buffer.as_ptr().add(c * V::LANES));
                }
            }
        }
        for k in 0..product.a.columns {
            let mut b = [V::splat(0.0); C];
            for (c, b) in b.iter_mut().enumerate() {
                *b = V::load(strip.values.add(k * strip.stride + c * V::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let a = V::splat(*a.add(r * a_row + k * a_column));
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = a.multiply_add(b, *sum);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let out = out.add(r * out_stride);
            if whole {
                for (c, sum) in sums.iter().enumerate() {
                    sum.store(out.add(c * V::LANES));
                }
            } else {
                let mut buffer = [0.0; PANEL];
                for (c, sum) in sums.iter().enumerate() {
                    sum.store(buffer.as_mut_ptr().add(c * V::LANES));
                }
                std::ptr::copy_nonoverlapping(buffer.as_ptr(), out, strip.columns);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_transposes() {
        // a is 2 x 3 inside rows of 4; b is 3 x 2, given as its transpose.
        let a = [1.0, 2.0, 3.0, 99.0, 4.0, 5.0, 6.0];
        let b_transposed = [1.0, 0.0, 2.0, 0.0, 1.0, -1.0];
        let mut out = [10.0, 10.0, 7.0, 10.0, 10.0];
        let (a, b) = (Matrix::strided(&a, 2, 3, 4), Matrix::new(&b_transposed, 2, 3).transposed());
        multiply_onto(MatrixMut::strided(&mut out, 2, 2, 3), a, b);
        assert_eq!(out, [17.0, 9.0, 7.0, 26.0, 9.0]);
        multiply(MatrixMut::strided(&mut out, 2, 2, 3), a, b);
        assert_eq!(out, [7.0, -1.0, 7.0, 16.0, -1.0]);
    }

    /// Values of which products and sums are exact.
    fn whole_numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|i| (i * step % 17) as f32 - 8.0).collect()
    }

    /// Every product of small sizes is right, in every instruction set that this CPU has.
    fn check(rows: usize, inner: usize, columns: usize, run: impl Fn(Product)) {
        let (a, b) = (whole_numbers(rows * inner, 7), whole_numbers(inner * columns, 5));
        for [a_transposed, b_transposed, add] in [[false; 3], [true, false, true], [false, true, true], [true, true, false]] {
            let view = |values, rows, columns, transposed| match transposed {
                true => Matrix::new(values, columns, rows).transposed(),
                false => Matrix::new(values, rows, columns),
            };
            let (a, b) = (view(&a, rows, inner, a_transposed), view(&b, inner, columns, b_transposed));
            let value = |m: Matrix, r: usize, c: usize| m.values[r * m.row_stride + c * m.column_stride];
            let mut out = vec![3.0; rows * columns];
            let packed = Packed::new(b);
            run(Product { out: MatrixMut::new(&mut out, rows, columns), a, b: &packed, first_row: 0, add });
            for (at, &found) in out.iter().enumerate() {
                let (r, c) = (at / columns, at % columns);
                let products = (0..inner).map(|k| value(a, r, k) * value(b, k, c));
                let expected = if add { 3.0 } else { 0.0 } + products.sum::<f32>();
                assert_eq!(found, expected, "{rows} x {inner} x {columns}, at {r}, {c}");
            }
        }
    }

    #[test]
    fn all_sizes_of_tiles() {
        for [rows, inner, columns] in [[1, 1, 1], [8, 4, 32], [13, 5, 16], [4, 3, 17], [23, 9, 40], [9, 2, 63], [3, 0, 5], [5, 7, 7]] {
            check(rows, inner, columns, |p| multiply_packed(p.out, p.a, p.b, p.first_row, p.add));
            // SAFETY: `Portable` needs no instruction set.
            check(rows, inner, columns, |p| unsafe { panels::<Portable>(p) });
            #[cfg(target_arch = "x86_64")]
            if super::super::simd::has_avx2() {
                #[target_feature(enable = "avx2,fma")]
                fn avx2(product: Product) {
                    // SAFETY: compiled for the instruction set.
                    unsafe { panels::<std::arch::x86_64::__m256>(product) }
                }
                // SAFETY: the CPU has the instruction set.
                check(rows, inner, columns, |p| unsafe { avx2(p) });
            }
        }
    }

    #[test]
    fn part_of_a_packed_matrix() {
        let b = whole_numbers(6 * 40, 3);
        let packed = Packed::new(Matrix::new(&b, 6, 40));
        let mut out = vec![0.0; 35];
        multiply_packed(MatrixMut::new(&mut out, 1, 35), Matrix::new(&[1.0, 2.0], 1, 2), &packed, 3, false);
        for (column, &found) in out.iter().enumerate() {
            assert_eq!(found, b[3 * 40 + column] + 2.0 * b[4 * 40 + column]);
        }
    }

    #[test]
    #[should_panic]
    fn views_stay_inside_their_slice() {
        Matrix::strided(&[0.0; 6], 2, 3, 4);
    }
}
