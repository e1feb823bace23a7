//! Encodes one tensor's momentum into what is sent, chunk by chunk.

use super::super::topk::TopK;
use crate::training::dct::tables::{self, Forward};
use crate::training::dct::{Coefficient, FUSED_BASELINE, SparseInverse, forward};
use crate::training::{SparseTensor, TensorChunks};

/// What a round does to the momentum.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub decay: f32,
    pub lr: f32,
    /// Whether what is sent is subtracted from the momentum.
    pub feedback: bool,
}

/// Encodes tensors whose chunks have one shape; holds the scratch memory for it.
pub(super) struct Encoder {
    height: usize,
    width: usize,
    rows: &'static Forward,
    cols: &'static Forward,
    /// Index inside the chunk of each transformed coefficient.
    index: Vec<u16>,
    topk: TopK,
    inverse: SparseInverse,
    chunk: Vec<f32>,
    half_done: Vec<f32>,
    coefficients: Vec<f32>,
    sent: Vec<Coefficient>,
}

impl Encoder {
    /// The encoder for `chunks` among `encoders`. Adds one if it is missing.
    pub fn for_shape<'a>(encoders: &'a mut Vec<Self>, chunks: &TensorChunks) -> &'a mut Self {
        let shape = (chunks.height, chunks.width);
        let known = encoders.iter().position(|encoder| (encoder.height, encoder.width) == shape);
        let at = known.unwrap_or_else(|| {
            encoders.push(Self::new(chunks));
            encoders.len() - 1
        });
        &mut encoders[at]
    }

    fn new(chunks: &TensorChunks) -> Self {
        let TensorChunks { height, width, k, .. } = *chunks;
        let (rows, cols) = (tables::forward(height), tables::forward(width));
        let index = |row: u16, col: u16| (usize::from(row) * width + usize::from(col)) as u16;
        let in_row = |&row| cols.frequency.iter().map(move |&col| index(row, col));
        let buffer = || vec![0.0; chunks.size()];
        Self {
            height,
            width,
            rows,
            cols,
            index: rows.frequency.iter().flat_map(in_row).collect(),
            topk: TopK::new(k, chunks.size()),
            inverse: SparseInverse::new(height, width),
            chunk: buffer(),
            half_done: buffer(),
            coefficients: buffer(),
            sent: Vec::with_capacity(k),
        }
    }

    /// Updates the momentum of one tensor and returns what is sent of it.
    pub fn encode(
        &mut self,
        chunks: &TensorChunks,
        momentum: &mut [f32],
        gradient: &[f32],
        step: Step,
    ) -> SparseTensor {
        let mut out = SparseTensor {
            indices: Vec::with_capacity(chunks.coefficients()),
            values: Vec::with_capacity(chunks.coefficients()),
        };
        let band = chunks.height * chunks.cols;
        for (momentum, gradient) in momentum.chunks_exact_mut(band).zip(gradient.chunks_exact(band)) {
            self.band(chunks.cols, momentum, gradient, step, &mut out);
        }
        out
    }

    /// Subtracts what is sent from the momentum of a tensor.
    pub fn subtract(&mut self, chunks: &TensorChunks, momentum: &mut [f32], sent: &SparseTensor) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma")]
            fn fused(encoder: &mut Encoder, chunks: &TensorChunks, momentum: &mut [f32], sent: &SparseTensor) {
                encoder.subtract_with::<true>(chunks, momentum, sent);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the CPU has both features.
                return unsafe { fused(self, chunks, momentum, sent) };
            }
        }
        self.subtract_with::<FUSED_BASELINE>(chunks, momentum, sent);
    }

    #[inline(always)]
    fn subtract_with<const FUSED: bool>(&mut self, chunks: &TensorChunks, momentum: &mut [f32], sent: &SparseTensor) {
        let Self { inverse, width, .. } = self;
        let width = *width;
        let coefficients = sent.indices.chunks_exact(chunks.k).zip(sent.values.chunks_exact(chunks.k));
        for (chunk, (indices, values)) in coefficients.enumerate() {
            let corner = chunks.corner(chunk);
            let coefficients = indices.iter().zip(values).map(|(&index, &value)| {
                let (row, col) = (usize::from(index) / width, usize::from(index) % width);
                Coefficient { row: row as u16, col: col as u16, value }
            });
            inverse.run::<FUSED>(coefficients, |row, even, odd, sum| {
                let momentum = &mut momentum[corner + row * chunks.cols..][..width];
                for ((momentum, &even), &odd) in momentum.iter_mut().zip(even).zip(odd) {
                    *momentum -= if sum { even + odd } else { even - odd };
                }
            });
        }
    }

    /// One row of chunks.
    fn band(&mut self, cols: usize, momentum: &mut [f32], gradient: &[f32], step: Step, out: &mut SparseTensor) {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma")]
            fn fused(
                encoder: &mut Encoder,
                cols: usize,
                momentum: &mut [f32],
                gradient: &[f32],
                step: Step,
                out: &mut SparseTensor,
            ) {
                encoder.band_with::<true>(cols, momentum, gradient, step, out);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the CPU has both features.
                return unsafe { fused(self, cols, momentum, gradient, step, out) };
            }
        }
        self.band_with::<FUSED_BASELINE>(cols, momentum, gradient, step, out);
    }

    #[inline(always)]
    fn band_with<const FUSED: bool>(
        &mut self,
        cols: usize,
        momentum: &mut [f32],
        gradient: &[f32],
        step: Step,
        out: &mut SparseTensor,
    ) {
        // In the order of memory, while chunks jump from row to row: afterwards they find the band in the cache.
        for (momentum, &gradient) in momentum.iter_mut().zip(gradient) {
            *momentum = step.decay * *momentum + step.lr * gradient;
        }
        for left in (0..cols).step_by(self.width) {
            for (chunk, momentum) in self.chunk.chunks_exact_mut(self.width).zip(momentum.chunks_exact(cols)) {
                chunk.copy_from_slice(&momentum[left..][..self.width]);
            }
            self.transform_and_select::<FUSED>(out);
            if step.feedback {
                let Self { inverse, sent, width, .. } = self;
                inverse.run::<FUSED>(sent.iter().copied(), |row, even, odd, sum| {
                    let momentum = &mut momentum[row * cols + left..][..*width];
                    for ((momentum, &even), &odd) in momentum.iter_mut().zip(even).zip(odd) {
                        *momentum -= if sum { even + odd } else { even - odd };
                    }
                });
            }
        }
    }

    /// Appends the coefficients to send of `chunk` to `out` and `sent`.
    #[inline(always)]
    fn transform_and_select<const FUSED: bool>(&mut self, out: &mut SparseTensor) {
        let Self { rows, cols, index, topk, chunk, half_done, coefficients, sent, width, .. } = self;
        forward::<FUSED>(rows, cols, chunk, half_done, coefficients);
        sent.clear();
        topk.select(coefficients, index, |index, position| {
            let position = usize::from(position);
            let (row, col) = (rows.frequency[position / *width], cols.frequency[position % *width]);
            sent.push(Coefficient { row, col, value: coefficients[position] });
            out.indices.push(index);
            out.values.push(coefficients[position]);
        });
    }
}
