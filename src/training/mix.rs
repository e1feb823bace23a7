//! Sums of payloads, themselves payloads: what a peer sends that adds others' work to its own.

use super::aggregate::exact::rms;
use super::coefficients::{bounded, largest, of_chunk};
use super::quantise::fit;
use super::{PayloadShape, PseudoGradient, SparseTensor, TensorShape};

/// A payload and its weight in a sum.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub payload: &'a PseudoGradient,
    /// Any finite number; a negative one subtracts.
    pub weight: f64,
}

/// The sum of payloads of one shape, as a payload of that shape; `None` without parts.
///
/// Payloads of different sizes cannot be added directly: under DeMo a size means nothing, and the largest payload would
/// drown the others. So each tensor is first divided by its root mean square. The sum keeps its largest coefficients
/// and is scaled to the weighted mean of the parts' root mean squares. Under a scheme whose step depends on sizes, the
/// sum therefore steps as far as its parts do.
///
/// # Panics
/// If a payload does not pass [`PayloadShape::check`].
pub fn mix(shape: &PayloadShape, parts: &[Part]) -> Option<PseudoGradient> {
    if parts.is_empty() {
        return None;
    }
    let tensor = |(at, shape): (usize, &TensorShape)| {
        let parts: Vec<Addend> = parts.iter().map(|part| Addend::new(&part.payload.tensors[at], part.weight)).collect();
        sum(shape, &parts)
    };
    Some(PseudoGradient { tensors: shape.tensors.iter().enumerate().map(tensor).collect() })
}

/// A tensor of a payload, and its factor in the sum.
struct Addend<'a> {
    sparse: &'a SparseTensor,
    size: f64,
    weight: f64,
    factor: f64,
}

impl<'a> Addend<'a> {
    fn new(sparse: &'a SparseTensor, weight: f64) -> Self {
        let size = rms(&sparse.values);
        Self { sparse, size, weight, factor: if size > 0.0 { weight / size } else { 0.0 } }
    }
}

fn sum(shape: &TensorShape, parts: &[Addend]) -> SparseTensor {
    let mut sent = largest(shape, |chunk, whole| {
        for part in parts {
            of_chunk(part.sparse, shape, chunk).for_each(|(index, value)| whole[index] += value * part.factor);
        }
    });
    // Reduce the values to the precision of the shape first, as rounding on the wire would otherwise change the size.
    fit(&mut sent.values, shape.value_bits);
    let weights: f64 = parts.iter().map(|part| part.weight.abs()).sum();
    let wanted: f64 = parts.iter().map(|part| part.weight.abs() * part.size).sum();
    let (wanted, found) = (if weights > 0.0 { wanted / weights } else { 0.0 }, rms(&sent.values));
    let scale = if found > 0.0 { wanted / found } else { 0.0 };
    sent.values.iter_mut().for_each(|value| *value = bounded(f64::from(*value) * scale));
    sent
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::aggregate::testing::{layout, payload, shapes};
    use super::super::quantise::distinct;
    use super::super::{Evaluator, Replica, Round, scheme};
    use super::*;
    use crate::digest::Digest;
    use crate::model::{Device, LlamaConfig, ModelSettings, init_theta};
    use crate::random::rng;
    use crate::settings::Kinded;

    fn part(payload: &PseudoGradient, weight: f64) -> Part<'_> {
        Part { payload, weight }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn a_mixture_is_a_valid_payload_of_the_parts_size(
            shapes in shapes(), chunk in 1usize..=32, topk in 1usize..20, count in 1usize..5, seed: u64,
        ) {
            let layout = layout(&shapes, chunk, topk);
            let shape = layout.shape(32);
            let mut rng = rng(seed, "mix test", 0, 0);
            let mut bounded = || {
                let mut made = payload(&layout, &mut rng);
                let values = made.tensors.iter_mut().flat_map(|tensor| &mut tensor.values);
                values.for_each(|value| *value = value.clamp(-1.0, 1.0));
                made
            };
            let payloads: Vec<PseudoGradient> = (0..count).map(|_| bounded()).collect();
            let parts: Vec<Part> = payloads.iter().map(|payload| part(payload, 0.5)).collect();
            let mixed = mix(&shape, &parts).unwrap();
            prop_assert!(shape.check(&mixed).is_ok());
            for (at, tensor) in mixed.tensors.iter().enumerate() {
                let sizes: f64 = payloads.iter().map(|payload| rms(&payload.tensors[at].values)).sum();
                let (size, expected) = (rms(&tensor.values), sizes / count as f64);
                prop_assert!((size - expected).abs() <= 1e-4 * expected || size == 0.0, "{size} for {expected}");
            }
            // A single payload stays as it is.
            let alone = mix(&shape, &parts[..1]).unwrap();
            for (mixed, own) in alone.tensors.iter().zip(&payloads[0].tensors) {
                let by_index = |tensor: &SparseTensor| {
                    let mut pairs: Vec<(usize, u16, f32)> = (tensor.indices.iter().zip(&tensor.values).enumerate())
                        .map(|(at, (&index, &value))| (at, index, value))
                        .filter(|(_, _, value)| *value != 0.0)
                        .collect();
                    pairs.iter_mut().for_each(|pair| pair.0 = 0);
                    pairs.sort_by(|a, b| a.1.cmp(&b.1).then(a.2.total_cmp(&b.2)));
                    pairs
                };
                for (a, b) in by_index(mixed).iter().zip(by_index(own)) {
                    prop_assert!(a.1 == b.1 && (a.2 - b.2).abs() <= 1e-5 * b.2.abs().max(1e-30), "{a:?} {b:?}");
                }
            }
        }
    }

    /// Payloads as peers make them under each scheme, and the sum as the wire carries it.
    #[test]
    fn under_every_scheme_a_mixture_has_the_size_of_its_parts() {
        let config =
            LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
        let evaluator = Evaluator::new(config.clone(), Device::Cpu, 2);
        let theta = init_theta(&config, 3);
        let replica = Replica { digest: Digest::of_f32(&theta), model: evaluator.model(&theta), theta };
        let with = |kind: &str, settings: &str| Kinded { settings: settings.parse().unwrap(), ..Kinded::of(kind) };
        for kinded in [
            with("demo", ""),
            with("demo", "bits = 2"),
            with("sparseloco", "inner_steps = 2"),
            with("sparseloco", "inner_steps = 2\nbits = 4"),
            with("dense", "inner_steps = 2"),
            with("dense", "update = 'gradient'"),
        ] {
            let scheme = scheme::shipped().resolve(&kinded).unwrap().settings.build(&config.layout()).unwrap();
            let made = |peer: u32| {
                let pages: Vec<Vec<u32>> =
                    (0..2).map(|page| (0..17).map(|at| (at * (peer + 3) + page * 7) % 97).collect()).collect();
                scheme.local().train(&evaluator, &replica, &pages, Round { number: 0, lr: 1e-3, steps: None })
            };
            let payloads: Vec<PseudoGradient> = (0..3).map(made).collect();
            let weights = [0.5, 0.25, -0.25];
            let parts: Vec<Part> =
                payloads.iter().zip(weights).map(|(payload, weight)| part(payload, weight)).collect();
            let mixed = mix(scheme.shape(), &parts).unwrap();
            assert_eq!(scheme.shape().check(&mixed), Ok(()));
            for (at, (tensor, shape)) in mixed.tensors.iter().zip(&scheme.shape().tensors).enumerate() {
                let expected: f64 =
                    payloads.iter().zip(weights).map(|(of, weight)| weight.abs() * rms(&of.tensors[at].values)).sum();
                let size = rms(&tensor.values);
                assert!((size - expected).abs() <= 1e-5 * expected, "{kinded:?}, {}: {size}, {expected}", shape.name);
                let fits = shape.value_bits == 32 || distinct(&tensor.values, 1 << shape.value_bits).is_some();
                assert!(fits, "{kinded:?}, {}: the wire rounds it", shape.name);
            }
        }
    }

    #[test]
    fn sizes_do_not_count_but_weights_do() {
        let layout = layout(&[vec![4]], 4, 2);
        let sparse = |indices: [u16; 2], values: [f32; 2]| PseudoGradient {
            tensors: vec![SparseTensor { indices: indices.to_vec(), values: values.to_vec() }],
        };
        let (a, b) = (sparse([0, 1], [1.0, 1.0]), sparse([1, 2], [-500.0, 500.0]));
        let mixed = mix(&layout.shape(32), &[part(&a, 2.0), part(&b, 1.0)]).unwrap();
        // 2, 2 - 1, 1: the first is kept, and of the two equal ones the lower index.
        assert_eq!(mixed.tensors[0].indices, [0, 1]);
        assert_eq!(mixed.tensors[0].values[0], 2.0 * mixed.tensors[0].values[1]);
        let size = (2.0 * 1.0 + 500.0) / 3.0;
        assert!((rms(&mixed.tensors[0].values) - size).abs() < 1e-3);
        assert!(mix(&layout.shape(32), &[]).is_none());
        let huge = sparse([0, 3], [f32::MAX, -f32::MAX]);
        let mixed = mix(&layout.shape(32), &[part(&a, 1.0), part(&huge, 1.0)]).unwrap();
        assert!(layout.shape(32).check(&mixed).is_ok(), "{mixed:?}");
        let silent = mix(&layout.shape(32), &[part(&a, 1.0), part(&a, -1.0)]).unwrap();
        assert_eq!(silent.tensors[0].values, [0.0, 0.0]);
    }
}
