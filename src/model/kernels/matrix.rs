//! Products of matrices that are strided views of slices, so that a head of a layer, or the transpose of a weight,
//! needs no copy.
//!
//! The right factor is read in panels, two vectors wide, that stay in the cache while the rows of the left factor pass.
//! Each value of the result is one sum in the order of the inner index, so its bits do not depend on the size of tiles
//! or registers.

use super::buffer::Buffer;
use super::vector::{LANES, Vector, multiversion};

/// A view of a matrix: value `(r, c)` is at `r * row_stride + c * column_stride`. One of the strides is 1.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A contiguous row-major matrix.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// A matrix whose rows begin `row_stride` values apart.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(spans(values.len(), rows, columns, row_stride), "a matrix inside its slice");
        Self { values, rows, columns, row_stride, column_stride: 1 }
    }

    /// `count` of its rows, from `first` on.
    pub fn rows(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.rows, "rows of the matrix");
        Self { values: &self.values[first * self.row_stride..], rows: count, ..self }
    }

    /// The transpose, as a view of the same values.
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

/// A mutable row-major matrix with a row stride.
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// A contiguous row-major matrix.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// A matrix whose rows begin `row_stride` values apart.
    pub fn strided(values: &'a mut [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(spans(values.len(), rows, columns, row_stride), "a matrix inside its slice");
        Self { values, rows, columns, row_stride }
    }
}

fn spans(len: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    columns <= row_stride && (rows == 0 || (rows - 1) * row_stride + columns <= len)
}

/// Width of a panel in columns: two vectors.
const PANEL: usize = 2 * LANES;

/// The largest row stride at which a factor is multiplied in place. Rows further apart would evict each other from the
/// cache.
const NEAR: usize = 256;

/// The right factor of a product, in the form that tiles read: whole vectors of adjacent columns.
///
/// Value `(r, c)` is at `c / PANEL * panel_stride + r * row_stride + c % PANEL`.
pub struct Factor<'a> {
    values: Values<'a>,
    rows: usize,
    columns: usize,
    panel_stride: usize,
    row_stride: usize,
}

enum Values<'a> {
    InPlace(&'a [f32]),
    Packed(Buffer),
}

impl<'a> Factor<'a> {
    /// Uses `b` in place if its rows are close and made of whole vectors. Otherwise packs it into panels, the last one
    /// padded with zeros.
    pub fn new(b: Matrix<'a>) -> Self {
        let Matrix { values, rows, columns, .. } = b;
        if b.column_stride == 1 && columns.is_multiple_of(LANES) && b.row_stride <= NEAR {
            let values = Values::InPlace(values);
            return Self { values, rows, columns, panel_stride: PANEL, row_stride: b.row_stride };
        }
        let mut packed = Buffer::new(rows * columns.next_multiple_of(PANEL));
        let panels = packed.chunks_exact_mut((rows * PANEL).max(1));
        for (panel, first) in panels.zip((0..columns).step_by(PANEL)) {
            let count = (columns - first).min(PANEL);
            if count < PANEL {
                panel.fill(0.0);
            }
            let values = &values[first * b.column_stride..];
            if b.column_stride == 1 {
                for (row, out) in panel.chunks_exact_mut(PANEL).enumerate() {
                    out[..count].copy_from_slice(&values[row * b.row_stride..][..count]);
                }
            } else {
                transpose(values, b.column_stride, count, panel);
            }
        }
        Self { values: Values::Packed(packed), rows, columns, panel_stride: rows * PANEL, row_stride: PANEL }
    }

    fn values(&self) -> &[f32] {
        match &self.values {
            Values::InPlace(values) => values,
            Values::Packed(buffer) => buffer,
        }
    }
}

/// Transposes rows of `values` into columns of a panel, in 4 x 4 blocks that compile to shuffles.
fn transpose(values: &[f32], stride: usize, columns: usize, panel: &mut [f32]) {
    let rows = panel.len() / PANEL;
    for first in (0..columns).step_by(4) {
        let whole = first + 4 <= columns;
        if whole {
            let lines: [&[f32]; 4] = std::array::from_fn(|i| &values[(first + i) * stride..][..rows]);
            let [a, b, c, d] = lines.map(|line| line.as_chunks::<4>().0);
            for (((a, b), (c, d)), out) in a.iter().zip(b).zip(c.iter().zip(d)).zip(panel.chunks_exact_mut(4 * PANEL)) {
                for i in 0..4 {
                    out[i * PANEL + first..][..4].copy_from_slice(&[a[i], b[i], c[i], d[i]]);
                }
            }
        }
        for row in if whole { rows / 4 * 4 } else { 0 }..rows {
            for column in first..columns.min(first + 4) {
                panel[row * PANEL + column] = values[column * stride + row];
            }
        }
    }
}

/// `out = a b`.
pub fn multiply(out: MatrixMut, a: Matrix, b: Matrix) {
    multiply_by(out, a, &Factor::new(b), 0, false);
}

/// `out += a b`.
pub fn multiply_onto(out: MatrixMut, a: Matrix, b: Matrix) {
    multiply_by(out, a, &Factor::new(b), 0, true);
}

/// `out = a b`, or `out += a b` with `add`. Uses as many rows of `b` as `a` has columns, from `first_row` on, and its
/// first `out.columns` columns.
pub fn multiply_by(out: MatrixMut, a: Matrix, b: &Factor, first_row: usize, add: bool) {
    assert!(
        out.rows == a.rows && out.columns <= b.columns && first_row + a.columns <= b.rows,
        "shapes of a matrix product"
    );
    if out.rows == 0 || out.columns == 0 {
        return;
    }
    panels(&mut Product { out, a, b, first_row, add });
}

/// A product to compute. The constructors of its parts and [`multiply_by`] have checked all indices.
struct Product<'a> {
    out: MatrixMut<'a>,
    a: Matrix<'a>,
    b: &'a Factor<'a>,
    first_row: usize,
    add: bool,
}

/// A part of a panel, done in one pass over rows.
struct Strip {
    /// Where its first multiplied row begins in the factor's values.
    start: usize,
    /// Its first column in the output, and its width.
    first: usize,
    columns: usize,
}

multiversion! {
    fn panels<V>(product: &mut Product) {
        let columns = product.out.columns;
        for panel in (0..columns).step_by(PANEL) {
            let start = panel / PANEL * product.b.panel_stride + product.first_row * product.b.row_stride;
            let end = (panel + PANEL).min(columns);
            if V::TILE.1 == 2 && end - panel > LANES {
                rows::<V, 2>(product, Strip { start, first: panel, columns: end - panel });
            } else {
                for first in (panel..end).step_by(LANES) {
                    let columns = (end - first).min(LANES);
                    rows::<V, 1>(product, Strip { start: start + first - panel, first, columns });
                }
            }
        }
    }
}

#[inline(always)]
fn rows<V: Vector, const C: usize>(product: &mut Product, strip: Strip) {
    let rows = product.out.rows;
    let mut row = 0;
    while V::TILE.0 == 8 && row + 8 <= rows {
        tile::<V, 8, C>(product, &strip, row);
        row += 8;
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

/// Computes `R` rows by `C` vectors of the output, from row `row` on.
#[inline(always)]
fn tile<V: Vector, const R: usize, const C: usize>(product: &mut Product, strip: &Strip, row: usize) {
    let Product { out, a, b, .. } = product;
    let whole = strip.columns == C * LANES;
    let mut buffer = [[[0.0; LANES]; C]; R];
    let mut sums = [[V::splat(0.0); C]; R];

    // SAFETY: `multiply_by` checked the shapes, so rows `row..row + R` are in `a` and `out`; if `whole`, all columns of
    // the strip are in `out`. Rows of a factor are made of whole vectors.
    unsafe {
        let out_at = |r: usize, c: usize| (row + r) * out.row_stride + strip.first + c * LANES;
        if product.add {
            for r in 0..R {
                if !whole {
                    let from = &out.values[out_at(r, 0)..][..strip.columns];
                    buffer[r].as_flattened_mut()[..strip.columns].copy_from_slice(from);
                }
                for c in 0..C {
                    let from =
                        if whole { out.values.as_ptr().add(out_at(r, c)).cast() } else { &raw const buffer[r][c] };
                    sums[r][c] = V::load(&*from);
                }
            }
        }
        let (left, right) = (a.values.as_ptr().add(row * a.row_stride), b.values().as_ptr().add(strip.start));
        for k in 0..a.columns {
            let mut factors = [V::splat(0.0); C];
            for (c, factor) in factors.iter_mut().enumerate() {
                *factor = V::load(&*right.add(k * b.row_stride + c * LANES).cast());
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let value = V::splat(*left.add(r * a.row_stride + k * a.column_stride));
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    *sum = value.multiply_add(factor, *sum);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                let to = if whole { out.values.as_mut_ptr().add(out_at(r, c)).cast() } else { &raw mut buffer[r][c] };
                sums[r][c].store(&mut *to);
            }
            if !whole {
                let to = &mut out.values[out_at(r, 0)..][..strip.columns];
                to.copy_from_slice(&buffer[r].as_flattened()[..strip.columns]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_transposes() {
        // a is a 2 x 3 matrix in rows of 4; b is 3 x 2, given as its transpose.
        let a = [1.0, 2.0, 3.0, 99.0, 4.0, 5.0, 6.0];
        let b_transposed = [1.0, 0.0, 2.0, 0.0, 1.0, -1.0];
        let mut out = [10.0, 10.0, 7.0, 10.0, 10.0];
        let (a, b) = (Matrix::strided(&a, 2, 3, 4), Matrix::new(&b_transposed, 2, 3).transposed());
        multiply_onto(MatrixMut::strided(&mut out, 2, 2, 3), a, b);
        assert_eq!(out, [17.0, 9.0, 7.0, 26.0, 9.0]);
        multiply(MatrixMut::strided(&mut out, 2, 2, 3), a, b);
        assert_eq!(out, [7.0, -1.0, 7.0, 16.0, -1.0]);
    }

    /// Whole numbers, so that products and sums are exact.
    fn whole_numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|i| (i * step % 17) as f32 - 8.0).collect()
    }

    #[test]
    fn all_sizes_of_tiles() {
        for [rows, inner, columns] in
            [[1, 1, 1], [8, 4, 32], [13, 5, 16], [4, 3, 17], [23, 9, 40], [9, 2, 63], [3, 0, 5], [5, 7, 7]]
        {
            let (a, b) = (whole_numbers(rows * inner, 7), whole_numbers(inner * columns, 5));
            for [a_transposed, b_transposed, add] in
                [[false; 3], [true, false, true], [false, true, true], [true, true, false]]
            {
                let view = |values, rows, columns, transposed| match transposed {
                    true => Matrix::new(values, columns, rows).transposed(),
                    false => Matrix::new(values, rows, columns),
                };
                let (a, b) = (view(&a, rows, inner, a_transposed), view(&b, inner, columns, b_transposed));
                let value = |m: Matrix, r: usize, c: usize| m.values[r * m.row_stride + c * m.column_stride];
                let mut out = vec![3.0; rows * columns];
                let packed = Factor::new(b);
                multiply_by(MatrixMut::new(&mut out, rows, columns), a, &packed, 0, add);
                for (at, &found) in out.iter().enumerate() {
                    let (r, c) = (at / columns, at % columns);
                    let products = (0..inner).map(|k| value(a, r, k) * value(b, k, c));
                    let expected = if add { 3.0 } else { 0.0 } + products.sum::<f32>();
                    assert_eq!(found, expected, "{rows} x {inner} x {columns}, at {r}, {c}");
                }
            }
        }
    }

    #[test]
    fn part_of_a_packed_matrix() {
        let b = whole_numbers(6 * 40, 3);
        let packed = Factor::new(Matrix::new(&b, 6, 40));
        let mut out = vec![0.0; 35];
        multiply_by(MatrixMut::new(&mut out, 1, 35), Matrix::new(&[1.0, 2.0], 1, 2), &packed, 3, false);
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
