//! The coefficients of payloads, for attacks that compute from others' payloads and for checks of them.

use super::aggregate::exact::rms;
use super::dct::{Coefficient, FUSED_BASELINE, SparseInverse};
use super::scheme::TopK;
use super::{Basis, PayloadShape, PseudoGradient, SparseTensor, TensorChunks, TensorShape};

/// Limits a value to finite f32s, as no payload may hold anything else.
pub fn bounded(value: f64) -> f32 {
    value.clamp(f32::MIN.into(), f32::MAX.into()) as f32
}

/// The largest coefficients of a tensor, in a payload's format. `fill` fills each chunk, which is zero before.
///
/// # Panics
/// If a chunk has more than 65,536 coefficients.
pub fn largest(shape: &TensorShape, mut fill: impl FnMut(usize, &mut [f64])) -> SparseTensor {
    let (k, size) = (shape.per_chunk, shape.chunk_len);
    let positions: Vec<u16> = (0..=(size - 1) as u16).collect();
    let (mut top, mut whole, mut narrow) = (TopK::new(k, size), vec![0.0f64; size], vec![0.0f32; size]);
    let mut sent = SparseTensor::default();
    for chunk in 0..shape.chunks {
        whole.fill(0.0);
        fill(chunk, &mut whole);
        narrow.iter_mut().zip(&whole).for_each(|(narrow, &whole)| *narrow = bounded(whole));
        top.select(&narrow, &positions, |index, at| {
            sent.indices.push(index);
            sent.values.push(narrow[usize::from(at)]);
        });
    }
    sent
}

/// The coefficients of a chunk in a payload's tensor: indices and values.
pub fn of_chunk<'a>(
    sparse: &'a SparseTensor,
    shape: &TensorShape,
    chunk: usize,
) -> impl Iterator<Item = (usize, f64)> + use<'a> {
    let sent = chunk * shape.per_chunk..(chunk + 1) * shape.per_chunk;
    let values = &sparse.values[sent.clone()];
    sparse.indices[sent].iter().zip(values).map(|(&index, &value)| (usize::from(index), f64::from(value)))
}

/// The size of a coefficient of 1 for aggregation. DCT coefficients are relative to the root mean square of their
/// payload's tensor; values are taken as they are.
pub fn unit(basis: Basis, sparse: &SparseTensor) -> f64 {
    match basis {
        Basis::Dct => rms(&sparse.values),
        Basis::Values => 1.0,
    }
}

/// The parameters of a tensor of which these are the coefficients of all chunks.
pub fn parameters(chunks: &TensorChunks, basis: Basis, coefficients: &[f64]) -> Vec<f32> {
    if basis == Basis::Dct {
        return transform_back(chunks, coefficients);
    }
    let mut parameters = vec![0.0; coefficients.len()];
    for (chunk, values) in coefficients.chunks_exact(chunks.size()).enumerate() {
        let chunk = &mut parameters[chunks.corner(chunk)..];
        values.iter().enumerate().for_each(|(index, value)| chunk[chunks.offset(index as u16)] = *value as f32);
    }
    parameters
}

fn transform_back(chunks: &TensorChunks, coefficients: &[f64]) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(chunks: &TensorChunks, coefficients: &[f64]) -> Vec<f32> {
            transform_back_with::<true>(chunks, coefficients)
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has both features.
            return unsafe { fused(chunks, coefficients) };
        }
    }
    transform_back_with::<FUSED_BASELINE>(chunks, coefficients)
}

#[inline(always)]
fn transform_back_with<const FUSED: bool>(chunks: &TensorChunks, coefficients: &[f64]) -> Vec<f32> {
    let mut inverse = SparseInverse::new(chunks.height, chunks.width);
    let mut parameters = vec![0.0; coefficients.len()];
    for (chunk, values) in coefficients.chunks_exact(chunks.size()).enumerate() {
        let corner = chunks.corner(chunk);
        let there = values.iter().enumerate().filter(|(_, value)| **value != 0.0).map(|(index, value)| Coefficient {
            row: (index / chunks.width) as u16,
            col: (index % chunks.width) as u16,
            value: *value as f32,
        });
        inverse.run::<FUSED>(there, |row, even, odd, sum| {
            let row = &mut parameters[corner + row * chunks.cols..][..chunks.width];
            for ((value, &even), &odd) in row.iter_mut().zip(even).zip(odd) {
                *value = if sum { even + odd } else { even - odd };
            }
        });
    }
    parameters
}

/// A payload computed from the mean and standard deviation of each coefficient over other payloads, where a coefficient
/// that was not sent counts as 0. The largest results are sent. `None` without other payloads.
///
/// # Panics
/// If a payload does not pass [`PayloadShape::check`].
pub fn from_spread(
    shape: &PayloadShape,
    basis: Basis,
    others: &[PseudoGradient],
    decide: impl Fn(f64, f64) -> f64,
) -> Option<PseudoGradient> {
    if others.is_empty() {
        return None;
    }
    let count = others.len() as f64;
    let tensor = |(at, shape): (usize, &TensorShape)| {
        let tensors: Vec<(&SparseTensor, f64)> =
            others.iter().map(|other| &other.tensors[at]).map(|sparse| (sparse, unit(basis, sparse))).collect();
        let one = tensors.iter().map(|(_, unit)| unit).sum::<f64>() / count;
        let mut squares = vec![0.0f64; shape.chunk_len];
        largest(shape, |chunk, whole| {
            squares.fill(0.0);
            for (sparse, unit) in tensors.iter().filter(|(_, unit)| *unit > 0.0) {
                for (index, value) in of_chunk(sparse, shape, chunk) {
                    whole[index] += value / unit;
                    squares[index] += (value / unit).powi(2);
                }
            }
            for (whole, square) in whole.iter_mut().zip(&squares) {
                let mean = *whole / count;
                let variance = (square - count * mean * mean) / (count - 1.0).max(1.0);
                *whole = one * decide(mean, variance.max(0.0).sqrt());
            }
        })
    };
    Some(PseudoGradient { tensors: shape.tensors.iter().enumerate().map(tensor).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(indices: [u16; 2], values: [f32; 2]) -> PseudoGradient {
        PseudoGradient { tensors: vec![SparseTensor { indices: indices.to_vec(), values: values.to_vec() }] }
    }

    #[test]
    fn mean_and_deviation_count_what_was_not_sent_as_zero() {
        let shape = PayloadShape { tensors: vec![TensorShape::new("w", 1, 4, 2, 32)] };
        let others = [payload([0, 1], [3.0, 1.0]), payload([1, 3], [3.0, -6.0]), payload([1, 0], [5.0, 3.0])];
        let made = from_spread(&shape, Basis::Values, &others, |mean, _| mean).unwrap();
        // 2, 3, 0, -2: the first of the two equal ones is kept.
        assert_eq!(made, payload([1, 0], [3.0, 2.0]));
        let deviation = from_spread(&shape, Basis::Values, &others, |_, deviation| -deviation).unwrap();
        assert_eq!(deviation, payload([3, 1], [-(12.0f32.sqrt()), -2.0]));
        assert!(from_spread(&shape, Basis::Values, &[], |mean, _| mean).is_none());
    }

    #[test]
    fn hostile_sizes_make_no_infinity() {
        let shape = PayloadShape { tensors: vec![TensorShape::new("w", 1, 4, 2, 32)] };
        let others = [payload([0, 1], [f32::MAX, -f32::MAX]), payload([0, 2], [f32::MAX, 1.0])];
        for basis in [Basis::Values, Basis::Dct] {
            let made = from_spread(&shape, basis, &others, |mean, deviation| mean - 1e6 * deviation).unwrap();
            assert_eq!(shape.check(&made), Ok(()));
        }
    }

    #[test]
    fn dct_coefficients_count_relative_to_their_payload() {
        let shape = PayloadShape { tensors: vec![TensorShape::new("w", 1, 4, 2, 32)] };
        let others = [payload([0, 1], [1.0, 1.0]), payload([1, 2], [-300.0, 300.0])];
        let made = from_spread(&shape, Basis::Dct, &others, |mean, _| mean).unwrap();
        // 1/2, 0, 1/2 of a mean size of 150.5.
        assert_eq!(made, payload([0, 2], [75.25, 75.25]));
    }
}
