//! Exact aggregation with Burn tensors: sums on the host, products on the device.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::{rms, round, whole_value};
use crate::training::scheme::demo::dct;
use crate::training::scheme::{ChunkLayout, TensorChunks};
use crate::training::{PseudoGradient, SparseTensor};

/// The signs of [`aggregate`](super::aggregate), to the byte, with f64 products on `device`, which must have f64.
///
/// # Panics
/// If a payload does not pass [`PayloadShape::check`](crate::training::PayloadShape::check), or the device fails.
pub fn aggregate_on(device: &Device, layout: &ChunkLayout, peers: &[&PseudoGradient]) -> Vec<i8> {
    let mut signs = Vec::with_capacity(layout.total());
    for (tensor, chunks) in layout.tensors.iter().enumerate() {
        let means = dense_means(chunks, peers.iter().map(|peer| &peer.tensors[tensor]));
        let decoded = decode(device, chunks, means);
        signs.extend(decoded.into_iter().map(|value| i8::from(value > 0.0) - i8::from(value < 0.0)));
    }
    signs
}

/// The mean of every coefficient as a whole number, chunk after chunk.
fn dense_means<'a>(chunks: &TensorChunks, peers: impl Iterator<Item = &'a SparseTensor>) -> Vec<f64> {
    let mut sums = vec![0.0; chunks.range.len()];
    let mut senders = vec![0u32; sums.len()];
    for sparse in peers {
        let rms = rms(&sparse.values);
        for (at, (&index, &value)) in sparse.indices.iter().zip(&sparse.values).enumerate() {
            let at = at / chunks.k * chunks.size() + usize::from(index);
            sums[at] += whole_value(value, rms);
            senders[at] += 1;
        }
    }
    sums.iter().zip(&senders).map(|(sum, &senders)| round(sum / f64::from(senders.max(1)))).collect()
}

/// Both passes for all chunks of a tensor at once; values in the tensor's own order.
fn decode(device: &Device, chunks: &TensorChunks, means: Vec<f64>) -> Vec<f64> {
    let TensorChunks { rows, cols, height, width, .. } = *chunks;
    let (down, across) = (rows / height, cols / width);
    let float = (device, DType::F64);
    let basis = |n| Tensor::<2>::from_data(TensorData::new(dct::exact_basis(n), [n, n]), float);

    let coefficients = Tensor::<2>::from_data(TensorData::new(means, [chunks.chunks() * height, width]), float);
    let rescale = 1.0 / f64::from(1 << dct::EXACT_BITS);
    let first_pass = coefficients.matmul(basis(width)).mul_scalar(rescale).add_scalar(0.5).floor();

    let columns = first_pass.reshape([chunks.chunks(), height, width]).swap_dims(1, 2);
    let decoded = columns.reshape([chunks.chunks() * width, height]).matmul(basis(height));
    let in_place = decoded.reshape([down, across, width, height]).permute([0, 3, 1, 2]);
    in_place.reshape([rows * cols]).into_data().try_into_vec().expect("the tensor was made of f64")
}
