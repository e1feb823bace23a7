//! How the tensors of a model are cut into chunks, and what a payload must therefore look like.

use std::ops::Range;

use crate::model::{ParamLayout, TensorSpec};
use crate::training::{PseudoGradient, SparseTensor};

/// Largest side of a chunk: an index inside a chunk is a `u16`.
pub const MAX_CHUNK: usize = 256;

/// The chunks of every parameter tensor, in the layout's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkLayout {
    pub tensors: Vec<TensorChunks>,
}

/// One tensor as a grid of equal chunks, row-major both in the grid and inside a chunk. A vector is a matrix of one
/// row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorChunks {
    /// Name of the parameter tensor.
    pub name: String,
    /// Where it lies in the flat parameters.
    pub range: Range<usize>,
    /// Rows of the tensor.
    pub rows: usize,
    /// Columns of the tensor.
    pub cols: usize,
    /// Rows of a chunk; divides `rows`.
    pub height: usize,
    /// Columns of a chunk; divides `cols`.
    pub width: usize,
    /// Coefficients sent of each chunk.
    pub k: usize,
}

/// A layout that cannot be cut into chunks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("demo.chunk is {0}: expected 1 to {MAX_CHUNK}")]
    Chunk(usize),
    #[error("demo.topk is 0: expected at least one coefficient a chunk")]
    TopK,
    #[error("tensor `{name}` has shape {shape:?}: DeMo takes one or two sizes above zero")]
    Shape { name: String, shape: Vec<usize> },
}

/// What is wrong with a payload from another peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error("{got} tensors, expected {expected}")]
    TensorCount { expected: usize, got: usize },
    #[error("tensor `{tensor}`: {got} indices, expected {expected}")]
    IndexCount { tensor: String, expected: usize, got: usize },
    #[error("tensor `{tensor}`: {got} values, expected {expected}")]
    ValueCount { tensor: String, expected: usize, got: usize },
    #[error("tensor `{tensor}`, chunk {chunk}: index {index} in a chunk of {size}")]
    IndexRange { tensor: String, chunk: usize, index: u16, size: usize },
    #[error("tensor `{tensor}`, chunk {chunk}: index {index} twice")]
    DuplicateIndex { tensor: String, chunk: usize, index: u16 },
    #[error("tensor `{tensor}`, chunk {chunk}: a value is not finite")]
    NotFinite { tensor: String, chunk: usize },
}

impl ChunkLayout {
    /// Cuts every tensor into chunks whose sides are the largest divisors not above `chunk`; `topk` coefficients of
    /// each are sent, or all of a chunk that has fewer.
    ///
    /// # Errors
    /// A chunk side outside 1 to [`MAX_CHUNK`], a top-k of zero, a tensor that is neither vector nor matrix or has no
    /// values.
    pub fn new(layout: &ParamLayout, chunk: usize, topk: usize) -> Result<Self, ChunkError> {
        if !(1..=MAX_CHUNK).contains(&chunk) {
            return Err(ChunkError::Chunk(chunk));
        }
        if topk == 0 {
            return Err(ChunkError::TopK);
        }
        let tensors =
            layout.tensors.iter().map(|tensor| TensorChunks::new(tensor, chunk, topk)).collect::<Result<_, _>>()?;
        Ok(Self { tensors })
    }

    /// Number of parameters.
    pub fn total(&self) -> usize {
        self.tensors.last().map_or(0, |tensor| tensor.range.end)
    }

    /// Coefficients in a whole pseudo-gradient.
    pub fn coefficients(&self) -> usize {
        self.tensors.iter().map(TensorChunks::coefficients).sum()
    }

    /// Whether a payload can be aggregated: every tensor there, `k` coefficients of each chunk, indices inside the
    /// chunk and none of them twice, all values finite.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, payload: &PseudoGradient) -> Result<(), PayloadError> {
        if payload.tensors.len() != self.tensors.len() {
            return Err(PayloadError::TensorCount { expected: self.tensors.len(), got: payload.tensors.len() });
        }
        self.tensors.iter().zip(&payload.tensors).try_for_each(|(chunks, sparse)| chunks.check(sparse))
    }
}

impl TensorChunks {
    fn new(tensor: &TensorSpec, chunk: usize, topk: usize) -> Result<Self, ChunkError> {
        let (rows, cols) = match tensor.shape[..] {
            [cols] if cols > 0 => (1, cols),
            [rows, cols] if rows > 0 && cols > 0 => (rows, cols),
            _ => return Err(ChunkError::Shape { name: tensor.name.clone(), shape: tensor.shape.clone() }),
        };
        let (height, width) = (largest_divisor(rows, chunk), largest_divisor(cols, chunk));
        let k = topk.min(height * width);
        Ok(Self { name: tensor.name.clone(), range: tensor.range.clone(), rows, cols, height, width, k })
    }

    /// Number of chunks.
    pub fn chunks(&self) -> usize {
        (self.rows / self.height) * (self.cols / self.width)
    }

    /// Values in a chunk.
    pub fn size(&self) -> usize {
        self.height * self.width
    }

    /// Coefficients sent of the whole tensor.
    pub fn coefficients(&self) -> usize {
        self.chunks() * self.k
    }

    fn check(&self, sparse: &SparseTensor) -> Result<(), PayloadError> {
        let tensor = || self.name.clone();
        let expected = self.coefficients();
        if sparse.indices.len() != expected {
            return Err(PayloadError::IndexCount { tensor: tensor(), expected, got: sparse.indices.len() });
        }
        if sparse.values.len() != expected {
            return Err(PayloadError::ValueCount { tensor: tensor(), expected, got: sparse.values.len() });
        }
        let size = self.size();
        let mut seen = vec![0u64; size.div_ceil(64)];
        let coefficients = sparse.indices.chunks_exact(self.k).zip(sparse.values.chunks_exact(self.k));
        for (chunk, (indices, values)) in coefficients.enumerate() {
            seen.fill(0);
            for &index in indices {
                let at = usize::from(index);
                if at >= size {
                    return Err(PayloadError::IndexRange { tensor: tensor(), chunk, index, size });
                }
                let bit = 1 << (at % 64);
                if seen[at / 64] & bit != 0 {
                    return Err(PayloadError::DuplicateIndex { tensor: tensor(), chunk, index });
                }
                seen[at / 64] |= bit;
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(PayloadError::NotFinite { tensor: tensor(), chunk });
            }
        }
        Ok(())
    }
}

fn largest_divisor(size: usize, limit: usize) -> usize {
    (1..=limit.min(size)).rev().find(|side| size.is_multiple_of(*side)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> ChunkLayout {
        let params = ParamLayout::new([("w".into(), vec![100, 48]), ("norm".into(), vec![4])]);
        ChunkLayout::new(&params, 64, 32).unwrap()
    }

    fn payload(layout: &ChunkLayout) -> PseudoGradient {
        let tensor = |chunks: &TensorChunks| SparseTensor {
            indices: (0..chunks.coefficients()).map(|at| (at % chunks.k) as u16).collect(),
            values: vec![1.0; chunks.coefficients()],
        };
        PseudoGradient { tensors: layout.tensors.iter().map(tensor).collect() }
    }

    #[test]
    fn sides_are_the_largest_divisors() {
        let sides = [(64, 64), (128, 64), (100, 50), (48, 48), (97, 1), (320, 64), (130, 26), (1, 1)];
        for (size, side) in sides {
            assert_eq!(largest_divisor(size, 64), side, "{size}");
        }
        let layout = layout();
        let [w, norm] = &layout.tensors[..] else { panic!("two tensors") };
        assert_eq!((w.height, w.width, w.chunks(), w.k), (50, 48, 2, 32));
        assert_eq!((norm.height, norm.width, norm.chunks(), norm.k), (1, 4, 1, 4));
        assert_eq!((layout.total(), layout.coefficients()), (4804, 68));
    }

    #[test]
    fn settings_and_shapes_out_of_range_are_refused() {
        let params = ParamLayout::new([("w".into(), vec![8, 8])]);
        assert_eq!(ChunkLayout::new(&params, 0, 1), Err(ChunkError::Chunk(0)));
        assert_eq!(ChunkLayout::new(&params, 257, 1), Err(ChunkError::Chunk(257)));
        assert_eq!(ChunkLayout::new(&params, 64, 0), Err(ChunkError::TopK));
        for shape in [vec![], vec![0], vec![3, 0], vec![2, 2, 2]] {
            let params = ParamLayout::new([("w".into(), shape.clone())]);
            assert_eq!(ChunkLayout::new(&params, 64, 1), Err(ChunkError::Shape { name: "w".into(), shape }));
        }
    }

    #[test]
    fn every_defect_of_a_payload_is_found() {
        let layout = layout();
        let good = payload(&layout);
        assert_eq!(layout.check(&good), Ok(()));
        let broken = |defect: fn(&mut PseudoGradient)| {
            let mut bad = good.clone();
            defect(&mut bad);
            layout.check(&bad).unwrap_err().to_string()
        };
        assert_eq!(broken(|bad| bad.tensors.truncate(1)), "1 tensors, expected 2");
        assert_eq!(broken(|bad| bad.tensors[0].indices.truncate(63)), "tensor `w`: 63 indices, expected 64");
        assert_eq!(broken(|bad| bad.tensors[1].values.push(0.0)), "tensor `norm`: 5 values, expected 4");
        assert_eq!(
            broken(|bad| bad.tensors[0].indices[40] = 2400),
            "tensor `w`, chunk 1: index 2400 in a chunk of 2400"
        );
        assert_eq!(broken(|bad| bad.tensors[0].indices[40] = 7), "tensor `w`, chunk 1: index 7 twice");
        assert_eq!(broken(|bad| bad.tensors[1].values[2] = f32::NAN), "tensor `norm`, chunk 0: a value is not finite");
        assert_eq!(
            broken(|bad| bad.tensors[0].values[2] = f32::INFINITY),
            "tensor `w`, chunk 0: a value is not finite"
        );
    }
}
