//! Exact aggregation with Burn tensors: values made whole on the host, everything else on the device.

use burn::tensor::{DType, Device, FloatDType, IndexingUpdateOp, Int, IntDType, Tensor, TensorData};

use super::{rms, whole_value};
use crate::training::scheme::demo::dct;
use crate::training::scheme::{ChunkLayout, TensorChunks};
use crate::training::{PseudoGradient, SparseTensor};

/// Most peers whose whole numbers, 2^20 at most, have a sum of 32 bits.
const MOST_PEERS: usize = (1 << 11) - 1;

/// The signs of [`aggregate`](super::aggregate), to the byte, with whole-number sums and f64 products on `device`,
/// which must have f64.
///
/// # Panics
/// If a payload does not pass [`PayloadShape::check`](crate::training::PayloadShape::check), there are more than 2,047
/// of them, or the device fails.
pub fn aggregate_on(device: &Device, layout: &ChunkLayout, peers: &[&PseudoGradient]) -> Vec<i8> {
    let mut signs = Vec::with_capacity(layout.total());
    for of_tensor in signs_on(device, layout, peers) {
        signs.extend(of_tensor.cast(IntDType::I8).into_data().as_slice::<i8>().expect("i8 signs"));
    }
    signs
}

/// The same, left on the device: a matrix of f32 for each tensor, computed when it is asked for. What is on the device
/// meanwhile is some 40 bytes a value of one tensor.
///
/// # Panics
/// As [`aggregate_on`].
pub fn signs_on(device: &Device, layout: &ChunkLayout, peers: &[&PseudoGradient]) -> impl Iterator<Item = Tensor<2>> {
    assert!(peers.len() <= MOST_PEERS, "at most {MOST_PEERS} peers");
    layout.tensors.iter().enumerate().map(move |(tensor, chunks)| {
        let sparse: Vec<&SparseTensor> = peers.iter().map(|peer| &peer.tensors[tensor]).collect();
        decode(chunks, means(device, chunks, &sparse)).sign().cast(FloatDType::F32)
    })
}

/// The mean of every coefficient as a whole number: f64 [chunks, chunk size].
fn means(device: &Device, chunks: &TensorChunks, peers: &[&SparseTensor]) -> Tensor<2> {
    let shape = [chunks.chunks(), chunks.size()];
    if peers.is_empty() {
        return Tensor::zeros(shape, (device, DType::F64));
    }
    let rms: Vec<f64> = peers.iter().map(|sparse| rms(&sparse.values)).collect();
    let sent = [chunks.chunks(), peers.len() * chunks.k];
    let (mut indices, mut values) = (Vec::with_capacity(sent[0] * sent[1]), Vec::with_capacity(sent[0] * sent[1]));
    for chunk in 0..chunks.chunks() {
        let of_chunk = chunk * chunks.k..(chunk + 1) * chunks.k;
        for (sparse, &rms) in peers.iter().zip(&rms) {
            indices.extend(sparse.indices[of_chunk.clone()].iter().map(|&index| i32::from(index)));
            values.extend(sparse.values[of_chunk.clone()].iter().map(|&value| whole_value(value, rms) as i32));
        }
    }
    let int = (device, DType::I32);
    let indices = Tensor::<2, Int>::from_data(TensorData::new(indices, sent), int);
    let values = Tensor::<2, Int>::from_data(TensorData::new(values, sent), int);
    // Sums of whole numbers are exact in any order.
    let sum = |values| {
        let zeros = Tensor::<2, Int>::zeros(shape, int);
        zeros.scatter(1, indices.clone(), values, IndexingUpdateOp::Add)
    };
    let senders = sum(Tensor::ones(sent, int)).clamp_min(1);
    round(sum(values).cast(FloatDType::F64) / senders.cast(FloatDType::F64))
}

/// Both passes for all chunks of a tensor at once: f64 [rows, columns].
fn decode(chunks: &TensorChunks, means: Tensor<2>) -> Tensor<2> {
    let TensorChunks { rows, cols, height, width, .. } = *chunks;
    let (bands, in_band) = (rows / height, cols / width);
    let device = means.device();
    let basis = |n| Tensor::<2>::from_data(TensorData::new(dct::exact_basis(n), [n, n]), (&device, DType::F64));

    let rescale = 1.0 / f64::from(1 << dct::EXACT_BITS);
    let first_pass = round(means.reshape([chunks.chunks() * height, width]).matmul(basis(width)) * rescale);
    let in_bands = first_pass.reshape([bands, in_band, height, width]).swap_dims(1, 2).reshape([bands, height, cols]);
    basis(height).transpose().unsqueeze::<3>().matmul(in_bands).reshape([rows, cols])
}

/// To the nearest whole number, halves upwards.
fn round(values: Tensor<2>) -> Tensor<2> {
    (values + 0.5).floor()
}
