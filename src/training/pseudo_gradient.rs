//! A peer's upload of a round, and the shape of every valid upload of a run.

use serde::{Deserialize, Serialize};

use crate::words::counted;

/// The coefficients of one tensor: the same number for each chunk, chunk after chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SparseTensor {
    /// Positions inside the chunk, `chunks * k` of them.
    pub indices: Vec<u16>,
    /// Their values, in the same order.
    pub values: Vec<f32>,
}

/// A compressed pseudo-gradient: one sparse tensor for each parameter tensor of the model, in the layout's order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PseudoGradient {
    /// One entry per parameter tensor.
    pub tensors: Vec<SparseTensor>,
}

/// The shape of a run's pseudo-gradients. It follows from the model and the scheme, so all uploads have one length, and
/// code that handles them need not know how they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadShape {
    /// One entry per parameter tensor.
    pub tensors: Vec<TensorShape>,
}

/// The number of coefficients sent of one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorShape {
    /// Name of the parameter tensor.
    pub name: String,
    /// Number of chunks.
    pub chunks: usize,
    /// Values in a chunk, 65,536 at most: an index is a `u16`.
    pub chunk_len: usize,
    /// Coefficients sent per chunk.
    pub per_chunk: usize,
    /// Bits of a value: 32, or fewer if the values are among 2^bits distinct ones.
    pub value_bits: u32,
}

/// What is wrong with a payload from another peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    #[error("{}, expected {expected}", counted(*.got, "tensor"))]
    TensorCount { expected: usize, got: usize },
    #[error("tensor `{tensor}`: {got} {}, expected {expected}", if *.got == 1 { "index" } else { "indices" })]
    IndexCount { tensor: String, expected: usize, got: usize },
    #[error("tensor `{tensor}`: {}, expected {expected}", counted(*.got, "value"))]
    ValueCount { tensor: String, expected: usize, got: usize },
    #[error("tensor `{tensor}`, chunk {chunk}: index {index} in a chunk of {size}")]
    IndexRange { tensor: String, chunk: usize, index: u16, size: usize },
    #[error("tensor `{tensor}`, chunk {chunk}: index {index} twice")]
    DuplicateIndex { tensor: String, chunk: usize, index: u16 },
    #[error("tensor `{tensor}`, chunk {chunk}: a value is not finite")]
    NotFinite { tensor: String, chunk: usize },
}

impl PayloadShape {
    /// Whether a payload can be aggregated: all tensors are there, each chunk has `per_chunk` coefficients, indices are
    /// inside the chunk and distinct, and all values are finite.
    ///
    /// # Errors
    /// The first problem found.
    pub fn check(&self, payload: &PseudoGradient) -> Result<(), PayloadError> {
        if payload.tensors.len() != self.tensors.len() {
            return Err(PayloadError::TensorCount { expected: self.tensors.len(), got: payload.tensors.len() });
        }
        self.tensors.iter().zip(&payload.tensors).try_for_each(|(shape, sparse)| shape.check(sparse))
    }
}

impl TensorShape {
    /// The shape of a tensor whose values are sent with `value_bits` bits each, or in full where that is shorter: a
    /// table of distinct values does not pay for few values.
    pub fn new(name: &str, chunks: usize, chunk_len: usize, per_chunk: usize, value_bits: u32) -> Self {
        let count = chunks * per_chunk;
        let pays = value_bits < 32 && (32 << value_bits) + count * (value_bits as usize) < 32 * count;
        Self { name: name.into(), chunks, chunk_len, per_chunk, value_bits: if pays { value_bits } else { 32 } }
    }

    /// Whether all coefficients of each chunk are sent.
    pub fn is_whole(&self) -> bool {
        self.per_chunk == self.chunk_len
    }

    /// Coefficients sent of the whole tensor.
    pub fn coefficients(&self) -> usize {
        self.chunks * self.per_chunk
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
        let size = self.chunk_len;
        let mut seen = vec![0u64; size.div_ceil(64)];
        let chunks = sparse.indices.chunks_exact(self.per_chunk).zip(sparse.values.chunks_exact(self.per_chunk));
        for (chunk, (indices, values)) in chunks.enumerate() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> PayloadShape {
        PayloadShape { tensors: vec![TensorShape::new("w", 2, 2400, 32, 32), TensorShape::new("norm", 1, 4, 4, 32)] }
    }

    #[test]
    fn few_values_are_sent_as_they_are() {
        let bits = |count, bits| TensorShape::new("t", 1, 4096, count, bits).value_bits;
        assert_eq!([bits(64, 2), bits(64, 4), bits(64, 8), bits(4, 2), bits(5, 2)], [2, 4, 32, 32, 2]);
    }

    #[test]
    fn every_defect_of_a_payload_is_found() {
        let shape = shape();
        let tensor = |shape: &TensorShape| SparseTensor {
            indices: (0..shape.coefficients()).map(|at| (at % shape.per_chunk) as u16).collect(),
            values: vec![1.0; shape.coefficients()],
        };
        let good = PseudoGradient { tensors: shape.tensors.iter().map(tensor).collect() };
        assert_eq!(shape.check(&good), Ok(()));
        let broken = |defect: fn(&mut PseudoGradient)| {
            let mut bad = good.clone();
            defect(&mut bad);
            shape.check(&bad).unwrap_err().to_string()
        };
        assert_eq!(broken(|bad| bad.tensors.truncate(1)), "1 tensor, expected 2");
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
