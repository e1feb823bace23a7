//! `clipped-mean`: the mean of the payloads' values, with each peer's tensor clipped to the median norm. This is the
//! rule of SparseLoCo (Sarfi et al., arXiv 2508.15706) and of the dense scheme.
//!
//! The mean is over all peers; a coefficient that a peer did not send counts as 0. Sums are of whole numbers
//! ([`exact`](super::exact)), here in units of 2^-32 of the median size of the peers' payloads:
//!
//! 1. **Size** of a peer's tensor: the root mean square of its values. The median of all peers' sizes is the lower one if
//!    two are in the middle, and does not depend on weights, so raising it takes half of the peers. All peers send equally
//!    many values, so this is also the median of the L2 norms.
//! 2. **Value**: `v / max(size, median)` in f64, which clips a peer's tensor to the median norm; clamped to +-32,
//!    times 2^32, rounded: 2^37 at most. A median of 0 leaves the tensor as it is.
//! 3. **Sum** of weight times value over the peers. The total weight is below 2^16, so the sum is below 2^53 and exact
//!    in any order.
//! 4. **Step**: `sum * (rate * median / (total weight * 2^32))`, one product in f64, rounded to f32; then theta minus
//!    that, rounded to f32. The rounding between product and difference keeps a device from fusing them.
//!
//! Each peer's value is off by at most 2^-33 of the median size, and the update by that times the rate, plus the two
//! roundings to f32. With n peers of equal weight, one coefficient of one peer moves a parameter by at most 32 * rate *
//! median / n. The rule has no settings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::exact::{VALUE_LIMIT, rms, round};
use super::seam::{Aggregation, RuleSettings, Weighted, total_weight};
use crate::model::Device;
use crate::training::{Basis, ChunkLayout, PayloadLayout, SparseTensor, TensorChunks};

/// Its name in a scenario.
pub const NAME: &str = "clipped-mean";

/// The rule has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClippedMeanSettings {}

impl RuleSettings for ClippedMeanSettings {
    fn works_on(&self, sent: Basis) -> bool {
        sent == Basis::Values
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn build(&self, payloads: &PayloadLayout, _device: Device) -> Box<dyn Aggregation> {
        Box::new(ClippedMean::new(payloads.chunks.clone()))
    }
}

/// Units per median size: 2^32.
const FRACTIONS: f64 = (1u64 << 32) as f64;

/// The rule for payloads of one layout. It computes on the host.
#[derive(Clone, Debug)]
pub struct ClippedMean {
    layout: Arc<ChunkLayout>,
}

impl ClippedMean {
    /// The rule for payloads of this layout.
    pub fn new(layout: Arc<ChunkLayout>) -> Self {
        Self { layout }
    }
}

impl Aggregation for ClippedMean {
    fn step(&self, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32> {
        assert_eq!(theta.len(), self.layout.total(), "the parameters of the model");
        let total = total_weight(payloads);
        let mut after = theta.to_vec();
        let mut sums = Vec::new();
        for (tensor, chunks) in self.layout.tensors.iter().enumerate() {
            let of_tensor = |weighted: &Weighted| rms(&weighted.payload.tensors[tensor].values);
            let sizes: Vec<f64> = payloads.iter().map(of_tensor).collect();
            let counted = payloads.iter().zip(&sizes).filter(|(weighted, _)| weighted.weight > 0);
            let median = lower_median(counted.map(|(_, size)| *size).collect());
            if median == 0.0 {
                continue;
            }
            sums.clear();
            sums.resize(chunks.range.len(), 0.0);
            for (weighted, size) in payloads.iter().zip(sizes) {
                let sparse = &weighted.payload.tensors[tensor];
                add(chunks, sparse, size.max(median), weighted.weight.into(), &mut sums);
            }
            let scale = rate * median / (f64::from(total) * FRACTIONS);
            for (theta, sum) in after[chunks.range.clone()].iter_mut().zip(&sums) {
                let update = (sum * scale) as f32;
                *theta -= update;
            }
        }
        after
    }
}

/// Adds a peer's values times its weight, as whole numbers in units of 2^-32 `unit`.
fn add(chunks: &TensorChunks, sparse: &SparseTensor, unit: f64, weight: f64, sums: &mut [f64]) {
    let coefficients = sparse.indices.chunks_exact(chunks.k).zip(sparse.values.chunks_exact(chunks.k));
    for (chunk, (indices, values)) in coefficients.enumerate() {
        let chunk = &mut sums[chunks.corner(chunk)..];
        for (&index, &value) in indices.iter().zip(values) {
            let relative = (f64::from(value) / unit).clamp(-VALUE_LIMIT, VALUE_LIMIT);
            chunk[chunks.offset(index)] += round(relative * FRACTIONS) * weight;
        }
    }
}

/// The median, the lower one if two are in the middle; 0 for no values.
fn lower_median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::seq::SliceRandom;

    use super::super::testing::{layout, payload, shapes, weighted};
    use super::*;
    use crate::random::rng;
    use crate::training::PseudoGradient;

    fn step(layout: &ChunkLayout, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32> {
        ClippedMean::new(Arc::new(layout.clone())).step(theta, payloads, rate)
    }

    /// The documented rule with sums in whole numbers of 128 bits, parameter by parameter.
    fn by_the_book(layout: &ChunkLayout, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32> {
        let mut after = theta.to_vec();
        let counted: Vec<&PseudoGradient> =
            payloads.iter().filter(|weighted| weighted.weight > 0).map(|weighted| weighted.payload).collect();
        // In the sums, a weight stands for that many identical payloads.
        let peers: Vec<&PseudoGradient> = (payloads.iter())
            .flat_map(|weighted| std::iter::repeat_n(weighted.payload, weighted.weight.into()))
            .collect();
        for (t, chunks) in layout.tensors.iter().enumerate() {
            let mut sizes: Vec<f64> = counted.iter().map(|peer| rms(&peer.tensors[t].values)).collect();
            sizes.sort_by(f64::total_cmp);
            let Some(&median) = sizes.get((sizes.len().max(1) - 1) / 2).filter(|&&median| median > 0.0) else {
                continue;
            };
            for row in 0..chunks.rows {
                for col in 0..chunks.cols {
                    let chunk = row / chunks.height * (chunks.cols / chunks.width) + col / chunks.width;
                    let index = row % chunks.height * chunks.width + col % chunks.width;
                    let mut sum = 0i128;
                    for sparse in peers.iter().map(|peer| &peer.tensors[t]) {
                        for at in chunk * chunks.k..(chunk + 1) * chunks.k {
                            if usize::from(sparse.indices[at]) == index {
                                let unit = rms(&sparse.values).max(median);
                                let relative = (f64::from(sparse.values[at]) / unit).clamp(-32.0, 32.0);
                                sum += (relative * 4294967296.0 + 0.5).floor() as i128;
                            }
                        }
                    }
                    assert!(sum.abs() < 1 << 53);
                    let update = sum as f64 * (rate * median / (peers.len() as f64 * 4294967296.0));
                    after[chunks.range.start + row * chunks.cols + col] -= update as f32;
                }
            }
        }
        after
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn peer_order_does_not_change_a_bit(
            shapes in shapes(), chunk in 1usize..=64, topk in 1usize..40, count in 0usize..7, rate in 0.01f64..2.0,
            largest in prop_oneof![Just(1u8), Just(3), Just(u8::MAX)], seed: u64,
        ) {
            let layout = layout(&shapes, chunk, topk);
            let mut rng = rng(seed, "mean test", 0, 0);
            let payloads: Vec<PseudoGradient> = (0..count).map(|_| payload(&layout, &mut rng)).collect();
            let theta: Vec<f32> = (0..layout.total()).map(|_| crate::random::normal(&mut rng)).collect();
            let mut peers = weighted(&payloads, largest, &mut rng);
            let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            let after = bits(step(&layout, &theta, &peers, rate));
            prop_assert_eq!(&after, &bits(by_the_book(&layout, &theta, &peers, rate)));
            peers.shuffle(&mut rng);
            prop_assert_eq!(&after, &bits(step(&layout, &theta, &peers, rate)));
        }
    }

    fn plain(values: &[f32]) -> PseudoGradient {
        let indices = (0..values.len() as u16).collect();
        PseudoGradient { tensors: vec![SparseTensor { indices, values: values.to_vec() }] }
    }

    #[test]
    fn one_of_three_gains_nothing_by_size() {
        let layout = layout(&[vec![4]], 4, 4);
        let (a, b) = (plain(&[1.0, -1.0, 1.0, -1.0]), plain(&[2.0, 2.0, 2.0, 2.0]));
        let large = |factor: f32| plain(&[4.0, 4.0, -4.0, -4.0].map(|value| value * factor));
        let step = |third: &PseudoGradient| step(&layout, &[0.0; 4], &Weighted::equally([&a, &b, third]), 1.0);
        assert_eq!(step(&large(1.0)), step(&large(1e30)));
        // Clipped to the median, 2: (1 + 2 + 2) / 3 and so on.
        let expected = [5.0, 3.0, 1.0, -1.0].map(|sum: f64| (-sum / 3.0) as f32);
        assert_eq!(step(&large(1.0)), expected);
    }

    #[test]
    fn a_silent_majority_or_no_payload_leaves_the_model_unchanged() {
        let layout = layout(&[vec![2]], 2, 2);
        let (silent, loud) = (plain(&[0.0, 0.0]), plain(&[1.0, 1.0]));
        for peers in [&[][..], &[&silent], &[&silent, &loud]] {
            assert_eq!(step(&layout, &[0.5, -0.5], &Weighted::equally(peers.iter().copied()), 1.0), [0.5, -0.5]);
        }
        assert_eq!(step(&layout, &[0.5, -0.5], &[Weighted::once(&loud)], 0.25), [0.25, -0.75]);
    }

    /// A peer that claims much work counts as much, but makes no room for a large payload.
    #[test]
    fn a_large_weight_does_not_raise_the_median() {
        let layout = layout(&[vec![2]], 2, 2);
        let (first, second, large) = (plain(&[1.0, 1.0]), plain(&[1.0, -1.0]), plain(&[1e6, 1e6]));
        let claims = Weighted { payload: &large, weight: 5 };
        let moved = step(&layout, &[0.0, 0.0], &[Weighted::once(&first), Weighted::once(&second), claims], 1.0);
        assert_eq!(moved, [-1.0, (-5.0f64 / 7.0) as f32]);
    }

    #[test]
    fn a_payload_without_weight_is_ignored() {
        let layout = layout(&[vec![2]], 2, 2);
        let (a, b) = (plain(&[1.0, 2.0]), plain(&[9.0, -9.0]));
        let absent = Weighted { payload: &b, weight: 0 };
        assert_eq!(step(&layout, &[0.5; 2], &[absent], 1.0), [0.5; 2]);
        let alone = step(&layout, &[0.5; 2], &[Weighted::once(&a)], 1.0);
        assert_eq!(step(&layout, &[0.5; 2], &[absent, Weighted::once(&a)], 1.0), alone);
    }
}
