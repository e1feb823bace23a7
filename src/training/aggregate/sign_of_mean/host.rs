//! The signs computed on the CPU.

use crate::training::aggregate::exact::{rms, round, whole_value};
use crate::training::aggregate::seam::{Weighted, total_weight};
use crate::training::dct::{ExactInverse, FUSED_BASELINE, tables};
use crate::training::{ChunkLayout, SparseTensor, TensorChunks};

/// Signs (-1, 0 or 1) of the decoded mean of `payloads` for every parameter, on the calling thread. Their order does
/// not matter.
///
/// # Panics
/// If a payload does not pass [`PayloadShape::check`](crate::training::PayloadShape::check), or the weights add up to
/// more than [`MOST_WEIGHT`](crate::training::aggregate::MOST_WEIGHT).
pub fn signs(layout: &ChunkLayout, payloads: &[Weighted]) -> Vec<i8> {
    signs_threads(layout, payloads, 1)
}

/// [`signs`] on `threads` threads. The result does not depend on their number.
///
/// # Panics
/// Like [`signs`].
pub fn signs_threads(layout: &ChunkLayout, payloads: &[Weighted], threads: usize) -> Vec<i8> {
    total_weight(payloads);
    let sources: Vec<Vec<Source>> = (layout.tensors.iter().enumerate())
        .map(|(tensor, _)| payloads.iter().map(|weighted| Source::new(weighted, tensor)).collect())
        .collect();
    let mut signs = vec![0; layout.total()];
    let mut bands = Vec::new();
    let mut rest = &mut signs[..];
    for (chunks, sources) in layout.tensors.iter().zip(&sources) {
        let (tensor, behind) = rest.split_at_mut(chunks.range.len());
        rest = behind;
        for (row, signs) in tensor.chunks_exact_mut(chunks.height * chunks.cols).enumerate() {
            bands.push(Band { chunks, sources, row, signs });
        }
    }
    share(bands, threads);
    signs
}

/// What one peer sent of one tensor.
struct Source<'a> {
    sparse: &'a SparseTensor,
    rms: f64,
    weight: u8,
}

impl<'a> Source<'a> {
    fn new(weighted: &Weighted<'a>, tensor: usize) -> Self {
        let sparse = &weighted.payload.tensors[tensor];
        Self { sparse, rms: rms(&sparse.values), weight: weighted.weight }
    }
}

/// A row of a tensor's chunks, whose signs are contiguous.
struct Band<'a> {
    chunks: &'a TensorChunks,
    sources: &'a [Source<'a>],
    row: usize,
    signs: &'a mut [i8],
}

/// Distributes the bands over threads, with equally many parameters each.
fn share(bands: Vec<Band>, threads: usize) {
    let total: usize = bands.iter().map(|band| band.signs.len()).sum();
    let part = total.div_ceil(threads.max(1)).max(1);
    let (mut parts, mut before) = (Vec::<Vec<Band>>::new(), 0);
    for band in bands {
        if before / part >= parts.len() {
            parts.push(Vec::new());
        }
        before += band.signs.len();
        parts.last_mut().expect("pushed above").push(band);
    }
    std::thread::scope(|scope| {
        let first = parts.pop();
        for part in parts {
            scope.spawn(move || decode(part));
        }
        decode(first.unwrap_or_default());
    });
}

fn decode(bands: Vec<Band>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn fused(bands: Vec<Band>) {
            decode_bands::<true>(bands);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has both features.
            return unsafe { fused(bands) };
        }
    }
    decode_bands::<FUSED_BASELINE>(bands);
}

#[inline(always)]
fn decode_bands<const FUSED: bool>(bands: Vec<Band>) {
    let mut decoders = Vec::new();
    for band in bands {
        Decoder::for_shape(&mut decoders, band.chunks).band::<FUSED>(band);
    }
}

/// Decodes chunks of one shape, and owns the scratch memory.
struct Decoder {
    height: usize,
    width: usize,
    inverse: ExactInverse,
    /// Position of each index of a chunk in `sums` and `senders`.
    position: Vec<u16>,
    /// For each coefficient of the chunk the weighted sum of the sent values, later their mean; zero between chunks.
    sums: Vec<f64>,
    /// The total weight of the senders; zero between chunks.
    senders: Vec<i32>,
    /// One peer's values of the chunk, as whole numbers times its weight.
    values: Vec<f64>,
}

impl Decoder {
    /// The decoder for `chunks` in `decoders`, added if missing.
    fn for_shape<'a>(decoders: &'a mut Vec<Self>, chunks: &TensorChunks) -> &'a mut Self {
        let shape = (chunks.height, chunks.width);
        let known = decoders.iter().position(|decoder| (decoder.height, decoder.width) == shape);
        let at = known.unwrap_or_else(|| {
            decoders.push(Self::new(shape.0, shape.1));
            decoders.len() - 1
        });
        &mut decoders[at]
    }

    fn new(height: usize, width: usize) -> Self {
        let (size, inverse) = (height * width, ExactInverse::new(height, width));
        Self {
            height,
            width,
            position: (0..size).map(|index| inverse.position(index / width, index % width) as u16).collect(),
            inverse,
            sums: vec![0.0; size],
            senders: vec![0; size],
            values: vec![0.0; size],
        }
    }

    #[inline(always)]
    fn band<const FUSED: bool>(&mut self, band: Band) {
        let TensorChunks { cols, width, k, .. } = *band.chunks;
        let in_row = cols / width;
        for at in 0..in_row {
            self.mean(band.sources, (band.row * in_row + at) * k, k);
            let rescale = |value| round(value * (1.0 / f64::from(1 << tables::EXACT_BITS)));
            self.inverse.run::<FUSED>(&self.sums, rescale, |row, even, odd, sum| {
                let signs = &mut band.signs[row * cols + at * width..][..width];
                for ((sign, &even), &odd) in signs.iter_mut().zip(even).zip(odd) {
                    let value = if sum { even + odd } else { even - odd };
                    *sign = i8::from(value > 0.0) - i8::from(value < 0.0);
                }
            });
            self.sums.fill(0.0);
            self.senders.fill(0);
        }
    }

    /// Leaves the mean of one chunk in `sums`. The peers sent their coefficients `from` to `from + k` of it.
    #[inline(always)]
    fn mean(&mut self, sources: &[Source], from: usize, k: usize) {
        for Source { sparse, rms, weight } in sources {
            let (weight, weight_sent) = (f64::from(*weight), i32::from(*weight));
            for (whole, &value) in self.values.iter_mut().zip(&sparse.values[from..][..k]) {
                *whole = whole_value(value, *rms) * weight;
            }
            for (&index, &value) in sparse.indices[from..][..k].iter().zip(&self.values) {
                let at = usize::from(self.position[usize::from(index)]);
                self.sums[at] += value;
                self.senders[at] += weight_sent;
            }
        }
        for (sum, &senders) in self.sums.iter_mut().zip(&self.senders) {
            *sum = round(*sum / f64::from(senders.max(1)));
        }
    }
}
