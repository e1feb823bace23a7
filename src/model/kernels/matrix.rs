//! Products of matrices that lie in slices with a stride, so that a head of a layer, or the transpose of a weight, needs no copy.

use gemm::Parallelism;

/// A matrix in a slice; one of its strides is 1.
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
        assert!(spans(values.len(), rows, columns, row_stride));
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
        assert!(spans(values.len(), rows, columns, row_stride));
        Self { values, rows, columns, row_stride }
    }
}

fn spans(len: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    columns <= row_stride && (rows == 0 || (rows - 1) * row_stride + columns <= len)
}

/// `out = a b`.
pub fn multiply(out: MatrixMut, a: Matrix, b: Matrix) {
    product(out, a, b, false);
}

/// `out += a b`.
pub fn multiply_onto(out: MatrixMut, a: Matrix, b: Matrix) {
    product(out, a, b, true);
}

fn product(out: MatrixMut, a: Matrix, b: Matrix, add: bool) {
    assert!(a.columns == b.rows && out.rows == a.rows && out.columns == b.columns, "shapes of a matrix product");
    // SAFETY: `spans` was checked when the views were made, the shapes agree, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            out.rows,
            out.columns,
            a.columns,
            out.values.as_mut_ptr(),
            1,
            out.row_stride as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
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

    #[test]
    #[should_panic]
    fn views_stay_inside_their_slice() {
        Matrix::strided(&[0.0; 6], 2, 3, 4);
    }
}
