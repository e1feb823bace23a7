//! One tensor's momentum into what is sent of it, chunk by chunk.

use super::chunks::TensorChunks;
use super::kernels::{self, Coefficient, SparseInverse};
use super::topk::TopK;
use super::{FUSED_BASELINE, dct};
use crate::training::SparseTensor;

/// What a round does to the momentum.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub decay: f32,
    pub lr: f32,
    /// Whether what is sent is subtracted.
    pub feedback: bool,
}

/// Updates the momentum of one tensor and returns what is sent of it.
pub(super) fn encode_tensor(chunks: &TensorChunks, momentum: &mut [f32], gradient: &[f32], step: Step) -> SparseTensor {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(chunks: &TensorChunks, momentum: &mut [f32], gradient: &[f32], step: Step) -> SparseTensor {
            encode_chunks::<true>(chunks, momentum, gradient, step)
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has both features.
            return unsafe { fused(chunks, momentum, gradient, step) };
        }
    }
    encode_chunks::<FUSED_BASELINE>(chunks, momentum, gradient, step)
}

#[inline(always)]
fn encode_chunks<const FUSED: bool>(
    chunks: &TensorChunks,
    momentum: &mut [f32],
    gradient: &[f32],
    step: Step,
) -> SparseTensor {
    let TensorChunks { cols, height, width, k, .. } = *chunks;
    let (row_dct, col_dct) = (dct::forward(height), dct::forward(width));
    let index: Vec<u16> = (row_dct.frequency.iter())
        .flat_map(|&row| col_dct.frequency.iter().map(move |&col| (usize::from(row) * width + usize::from(col)) as u16))
        .collect();
    let mut inverse = SparseInverse::new(height, width, dct::inverse);
    let mut topk = TopK::new(k, chunks.size());
    let [mut chunk, mut half_done, mut coefficients] = [(); 3].map(|()| vec![0.0; chunks.size()]);
    let mut sent: Vec<Coefficient<f32>> = Vec::with_capacity(k);
    let mut out = SparseTensor {
        indices: Vec::with_capacity(chunks.coefficients()),
        values: Vec::with_capacity(chunks.coefficients()),
    };

    let bands = momentum.chunks_exact_mut(height * cols).zip(gradient.chunks_exact(height * cols));
    for (momentum, gradient) in bands {
        for left in (0..cols).step_by(width) {
            for (row, chunk) in chunk.chunks_exact_mut(width).enumerate() {
                let span = row * cols + left..row * cols + left + width;
                let (momentum, gradient) = (&mut momentum[span.clone()], &gradient[span]);
                for ((value, momentum), &gradient) in chunk.iter_mut().zip(momentum).zip(gradient) {
                    *momentum = step.decay * *momentum + step.lr * gradient;
                    *value = *momentum;
                }
            }
            kernels::forward::<FUSED>(row_dct, col_dct, &mut chunk, &mut half_done, &mut coefficients);

            sent.clear();
            topk.select(&coefficients, &index, |index, position| {
                let (position, value) = (usize::from(position), coefficients[usize::from(position)]);
                let (row, col) = (row_dct.frequency[position / width], col_dct.frequency[position % width]);
                sent.push(Coefficient { row, col, value });
                out.indices.push(index);
                out.values.push(value);
            });
            if step.feedback {
                inverse.run::<FUSED, 16>(
                    sent.iter().copied(),
                    |value| value,
                    |row, even, odd, sum| {
                        let momentum = &mut momentum[row * cols + left..][..width];
                        for ((momentum, &even), &odd) in momentum.iter_mut().zip(even).zip(odd) {
                            *momentum -= if sum { even + odd } else { even - odd };
                        }
                    },
                );
            }
        }
    }
    out
}
