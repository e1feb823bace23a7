//! Compares a round's uploads for a mechanism, which sees no payload itself.

use std::collections::BTreeMap;

use super::overlap::{self, TensorIndices};
use crate::Uid;
use crate::mechanism::{Comparisons, Overlap};
use crate::node::upload::Received;
use crate::training::{PayloadShape, PseudoGradient};

/// The uploads of a round that are in time and well-formed.
pub struct Uploads<'a> {
    pub shape: &'a PayloadShape,
    pub valid: &'a BTreeMap<Uid, Received>,
}

impl Comparisons for Uploads<'_> {
    fn overlaps(&self, least: f64, salt: u64) -> Vec<Overlap> {
        let uploads = self.valid.iter().map(|(&uid, received)| overlap::Upload {
            uid,
            stamp_ms: received.stamp.as_millis() as u64,
            tensors: self
                .shape
                .tensors
                .iter()
                .zip(&received.upload.gradient.tensors)
                .map(|(tensor, sparse)| TensorIndices {
                    indices: &sparse.indices,
                    per_chunk: tensor.per_chunk,
                    chunk_len: tensor.chunk_len,
                })
                .collect(),
        });
        overlap::overlaps(&uploads.collect::<Vec<_>>(), least, salt)
    }

    fn cosine(&self, a: Uid, b: Uid) -> Option<f64> {
        let [a, b] = [a, b].map(|uid| self.valid.get(&uid).map(|received| &received.upload.gradient));
        cosine(self.shape, a?, b?)
    }
}

/// Cosine between the coefficients of two payloads of one shape. A coefficient that is not sent counts as 0.
fn cosine(shape: &PayloadShape, a: &PseudoGradient, b: &PseudoGradient) -> Option<f64> {
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (tensor, (a, b)) in shape.tensors.iter().zip(a.tensors.iter().zip(&b.tensors)) {
        let mut whole = vec![0.0f64; tensor.chunk_len];
        let chunks_a = a.indices.chunks(tensor.per_chunk).zip(a.values.chunks(tensor.per_chunk));
        let chunks_b = b.indices.chunks(tensor.per_chunk).zip(b.values.chunks(tensor.per_chunk));
        for ((at_a, of_a), (at_b, of_b)) in chunks_a.zip(chunks_b) {
            at_a.iter().zip(of_a).for_each(|(&at, &value)| whole[usize::from(at)] = f64::from(value));
            for (&at, &value) in at_b.iter().zip(of_b) {
                product += whole[usize::from(at)] * f64::from(value);
            }
            at_a.iter().for_each(|&at| whole[usize::from(at)] = 0.0);
        }
        square_a += a.values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        square_b += b.values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
    }
    let size = (square_a * square_b).sqrt();
    (size > 0.0 && size.is_finite()).then(|| product / size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{SparseTensor, TensorShape};

    #[test]
    fn a_cosine_counts_the_coefficients_that_both_sent() {
        let shape = PayloadShape { tensors: vec![TensorShape::new("w", 2, 10, 2, 32)] };
        let payload = |indices: [u16; 4], values: [f32; 4]| PseudoGradient {
            tensors: vec![SparseTensor { indices: indices.to_vec(), values: values.to_vec() }],
        };
        let a = payload([3, 5, 0, 9], [1.0, 2.0, 2.0, 4.0]);
        assert_eq!(cosine(&shape, &a, &a), Some(1.0));
        let opposite = payload([5, 3, 9, 0], [-2.0, -1.0, -4.0, -2.0]);
        assert_eq!(cosine(&shape, &a, &opposite), Some(-1.0));
        // Chunk 0 shares coefficient 5, chunk 1 none.
        let b = payload([5, 6, 1, 2], [3.0, 4.0, 0.0, 0.0]);
        assert_eq!(cosine(&shape, &a, &b), Some(6.0 / 25.0));
        assert_eq!(cosine(&shape, &a, &payload([0, 1, 0, 1], [0.0; 4])), None);
    }
}
