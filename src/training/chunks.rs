//! How a model's tensors are cut into chunks, of which peers send a few coefficients each, and what the coefficients
//! mean.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{ParamLayout, TensorSpec};
use crate::training::{PayloadShape, PseudoGradient, SparseTensor, TensorShape};

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
    /// Position in the flat parameters.
    pub range: Range<usize>,
    /// Rows of the tensor.
    pub rows: usize,
    /// Columns of the tensor.
    pub cols: usize,
    /// Rows of a chunk; divides `rows`.
    pub height: usize,
    /// Columns of a chunk; divides `cols`.
    pub width: usize,
    /// Coefficients sent per chunk.
    pub k: usize,
}

/// The meaning of the coefficients of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Coefficients of the orthonormal two-dimensional DCT-II of each chunk.
    Dct,
    /// Values of the parameters, each at its place in the chunk.
    Values,
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Dct => "coefficients of the DCT",
            Self::Values => "values of the parameters",
        })
    }
}

/// How to read the payloads of a run: where each coefficient belongs, and what it means.
#[derive(Clone, Debug)]
pub struct PayloadLayout {
    pub chunks: Arc<ChunkLayout>,
    pub basis: Basis,
}

/// A layout that cannot be cut into chunks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    #[error("scheme.chunk is {0}: expected 1 to {MAX_CHUNK}")]
    Chunk(usize),
    #[error("scheme.topk is 0: expected at least one coefficient a chunk")]
    TopK,
    #[error("tensor `{name}` has shape {shape:?}: expected one or two sizes above zero")]
    Shape { name: String, shape: Vec<usize> },
}

impl ChunkLayout {
    /// Cuts every tensor into chunks whose sides are the largest divisors up to `chunk`. Of each chunk, `topk`
    /// coefficients are sent, or all if it has fewer.
    ///
    /// # Errors
    /// A chunk side is outside 1 to [`MAX_CHUNK`], top-k is zero, or a tensor is neither vector nor matrix or has no
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

    /// All of these values, chunk by chunk.
    ///
    /// # Panics
    /// If there are fewer values than the layout has.
    pub fn whole(&self, values: &[f32]) -> PseudoGradient {
        let tensors = self.tensors.iter().map(|chunks| {
            let values = &values[chunks.range.clone()];
            let indices: Vec<u16> = (0..chunks.size()).map(|index| index as u16).collect();
            let values = (0..chunks.chunks()).flat_map(|chunk| {
                let chunk = &values[chunks.corner(chunk)..];
                indices.iter().map(|&index| chunk[chunks.offset(index)])
            });
            SparseTensor { values: values.collect(), indices: indices.repeat(chunks.chunks()) }
        });
        PseudoGradient { tensors: tensors.collect() }
    }

    /// The shape of payloads that send this layout's coefficients with this many bits a value.
    pub fn shape(&self, value_bits: u32) -> PayloadShape {
        let tensor = |chunks: &TensorChunks| {
            TensorShape::new(&chunks.name, chunks.chunks(), chunks.size(), chunks.k, value_bits)
        };
        PayloadShape { tensors: self.tensors.iter().map(tensor).collect() }
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

    /// Offset of a chunk's first value in the tensor.
    pub fn corner(&self, chunk: usize) -> usize {
        let in_row = self.cols / self.width;
        chunk / in_row * self.height * self.cols + chunk % in_row * self.width
    }

    /// Offset of a position inside a chunk, from the chunk's first value.
    #[inline(always)]
    pub fn offset(&self, index: u16) -> usize {
        usize::from(index) / self.width * self.cols + usize::from(index) % self.width
    }

    /// Coefficients sent of the whole tensor.
    pub fn coefficients(&self) -> usize {
        self.chunks() * self.k
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
}
