//! The signs computed with Burn tensors: values become whole numbers on the host, and the device does the rest.

use burn::tensor::{DType, Device, FloatDType, IndexingUpdateOp, Int, IntDType, Tensor, TensorData};

use crate::training::aggregate::exact::{rms, whole_value};
use crate::training::aggregate::seam::{Weighted, total_weight};
use crate::training::dct::tables;
use crate::training::{ChunkLayout, SparseTensor, TensorChunks};

/// Up to this total weight, sums of whole numbers of at most 2^20 fit into 32 bits.
const SMALL_WEIGHT: u32 = (1 << 11) - 1;

/// Bits of the lower half of a number that is summed in two halves. Each half times the largest total weight has 31
/// bits.
const LOW_BITS: i32 = 14;

/// Computes the signs of [`signs`](super::signs) on `device`, with the same bytes, by whole-number sums and f64
/// products. The device must support f64.
///
/// # Panics
/// Like [`signs`](super::signs), or if the device fails.
pub fn signs_from_device(device: &Device, layout: &ChunkLayout, payloads: &[Weighted]) -> Vec<i8> {
    let mut signs = Vec::with_capacity(layout.total());
    for of_tensor in signs_on_device(device, layout, payloads) {
        signs.extend(of_tensor.cast(IntDType::I8).into_data().as_slice::<i8>().expect("i8 signs"));
    }
    signs
}

/// The same signs, left on the device: an f32 matrix for each tensor, computed on demand. Meanwhile the device holds
/// some 40 bytes per value of one tensor.
///
/// # Panics
/// Like [`signs_from_device`].
pub fn signs_on_device(
    device: &Device,
    layout: &ChunkLayout,
    payloads: &[Weighted],
) -> impl Iterator<Item = Tensor<2>> {
    let total = total_weight(payloads);
    layout.tensors.iter().enumerate().map(move |(tensor, chunks)| {
        let sent: Vec<(&SparseTensor, i32)> =
            payloads.iter().map(|sent| (&sent.payload.tensors[tensor], sent.weight.into())).collect();
        decode(chunks, means(device, chunks, &sent, total)).sign().cast(FloatDType::F32)
    })
}

/// The mean of every coefficient as a whole number: f64 [chunks, chunk size].
fn means(device: &Device, chunks: &TensorChunks, peers: &[(&SparseTensor, i32)], total: u32) -> Tensor<2> {
    let shape = [chunks.chunks(), chunks.size()];
    if peers.is_empty() {
        return Tensor::zeros(shape, (device, DType::F64));
    }
    let rms: Vec<f64> = peers.iter().map(|(sparse, _)| rms(&sparse.values)).collect();
    let sent = [chunks.chunks(), peers.len() * chunks.k];
    let room = || Vec::<i32>::with_capacity(sent[0] * sent[1]);
    let (mut indices, mut values, mut weights) = (room(), room(), room());
    for chunk in 0..chunks.chunks() {
        let of_chunk = chunk * chunks.k..(chunk + 1) * chunks.k;
        for (&(sparse, weight), &rms) in peers.iter().zip(&rms) {
            indices.extend(sparse.indices[of_chunk.clone()].iter().map(|&index| i32::from(index)));
            values.extend(sparse.values[of_chunk.clone()].iter().map(|&value| whole_value(value, rms) as i32 * weight));
            weights.extend(std::iter::repeat_n(weight, chunks.k));
        }
    }
    let int = (device, DType::I32);
    let upload = |values| Tensor::<2, Int>::from_data(TensorData::new(values, sent), int);
    let indices = upload(indices);
    // Sums of whole numbers are exact in any order.
    let sum = |values| {
        let zeros = Tensor::<2, Int>::zeros(shape, int);
        zeros.scatter(1, indices.clone(), upload(values), IndexingUpdateOp::Add)
    };
    let senders = sum(weights).clamp_min(1).cast(FloatDType::F64);
    if total <= SMALL_WEIGHT {
        return round(sum(values).cast(FloatDType::F64) / senders);
    }
    let high = values.iter().map(|value| value >> LOW_BITS).collect();
    let low = values.iter().map(|value| value & ((1 << LOW_BITS) - 1)).collect();
    let (high, low) = (sum(high).cast(FloatDType::F64), sum(low).cast(FloatDType::F64));
    round((high * f64::from(1 << LOW_BITS) + low) / senders)
}

/// Both passes for all chunks of a tensor at once: f64 [rows, columns].
fn decode(chunks: &TensorChunks, means: Tensor<2>) -> Tensor<2> {
    let TensorChunks { rows, cols, height, width, .. } = *chunks;
    let (bands, in_band) = (rows / height, cols / width);
    let device = means.device();
    let basis = |n| Tensor::<2>::from_data(TensorData::new(tables::exact_basis(n), [n, n]), (&device, DType::F64));

    let rescale = 1.0 / f64::from(1 << tables::EXACT_BITS);
    let first_pass = round(means.reshape([chunks.chunks() * height, width]).matmul(basis(width)) * rescale);
    let in_bands = first_pass.reshape([bands, in_band, height, width]).swap_dims(1, 2).reshape([bands, height, cols]);
    basis(height).transpose().unsqueeze::<3>().matmul(in_bands).reshape([rows, cols])
}

/// Rounds to the nearest whole number, halves upwards.
fn round(values: Tensor<2>) -> Tensor<2> {
    (values + 0.5).floor()
}
