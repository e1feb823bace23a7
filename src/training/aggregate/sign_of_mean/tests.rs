//! Tests the rule against 128-bit whole numbers, over orders, weights, threads and Burn devices.

use burn::tensor::Device;
use proptest::prelude::*;
use rand::seq::SliceRandom;

use super::super::exact::{self, whole_value};
use super::super::testing::{layout, payload, shapes, weighted};
use super::*;
use crate::digest::Digest;
use crate::model::{LlamaConfig, ModelSettings, init_theta};
use crate::random::rng;
use crate::training::PseudoGradient;
use crate::training::dct::tables;

/// The documented rule in 128-bit whole numbers, written for clarity and not for speed.
fn by_the_book(layout: &ChunkLayout, payloads: &[Weighted]) -> Vec<i8> {
    // A weight stands for that many identical payloads.
    let peers: Vec<&PseudoGradient> =
        payloads.iter().flat_map(|weighted| std::iter::repeat_n(weighted.payload, weighted.weight.into())).collect();
    let half_up = |numerator: i128, denominator: i128| (2 * numerator + denominator).div_euclid(2 * denominator);
    let mut signs = vec![0; layout.total()];
    for (t, chunks) in layout.tensors.iter().enumerate() {
        let (height, width, across) = (chunks.height, chunks.width, chunks.cols / chunks.width);
        let basis = |n| tables::exact_basis(n).into_iter().map(|entry| entry as i128).collect::<Vec<_>>();
        let (by, bx) = (basis(height), basis(width));
        for chunk in 0..chunks.chunks() {
            let mean = |index: usize| {
                let mut sent = Vec::new();
                for sparse in peers.iter().map(|peer| &peer.tensors[t]) {
                    for at in chunk * chunks.k..(chunk + 1) * chunks.k {
                        if usize::from(sparse.indices[at]) == index {
                            sent.push(whole_value(sparse.values[at], exact::rms(&sparse.values)) as i128);
                        }
                    }
                }
                half_up(sent.iter().sum(), sent.len().max(1) as i128)
            };
            let means: Vec<i128> = (0..chunks.size()).map(mean).collect();
            let first_pass = |u: usize, j: usize| {
                half_up((0..width).map(|v| means[u * width + v] * bx[v * width + j]).sum(), 1 << 20)
            };
            let rows: Vec<i128> = (0..chunks.size()).map(|at| first_pass(at / width, at % width)).collect();
            for at in 0..chunks.size() {
                let (i, j) = (at / width, at % width);
                let value: i128 = (0..height).map(|u| by[u * height + i] * rows[u * width + j]).sum();
                let (row, col) = (chunk / across * height + i, chunk % across * width + j);
                signs[chunks.range.start + row * chunks.cols + col] = value.signum() as i8;
            }
        }
    }
    signs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn peer_order_threads_and_backend_do_not_change_a_byte(
        shapes in shapes(), chunk in 1usize..=64, topk in 1usize..40, count in 0usize..15, threads in 1usize..5,
        largest in prop_oneof![Just(1u8), Just(3), Just(u8::MAX)], seed: u64,
    ) {
        let layout = layout(&shapes, chunk, topk);
        let mut rng = rng(seed, "aggregate test", 0, 0);
        let payloads: Vec<PseudoGradient> = (0..count).map(|_| payload(&layout, &mut rng)).collect();
        let mut peers = weighted(&payloads, largest, &mut rng);
        let expected = signs(&layout, &peers);
        prop_assert_eq!(&expected, &by_the_book(&layout, &peers));

        peers.shuffle(&mut rng);
        prop_assert_eq!(&expected, &signs_threads(&layout, &peers, threads));
        prop_assert_eq!(&expected, &signs_from_device(&Device::flex(), &layout, &peers));
        #[cfg(feature = "ndarray")]
        prop_assert_eq!(&expected, &signs_from_device(&crate::model::Device::NdArray.burn(), &layout, &peers));
    }
}

#[test]
fn no_peers_and_silent_peers_give_no_update() {
    let layout = layout(&[vec![64, 64], vec![5]], 64, 4);
    assert_eq!(signs(&layout, &[]), vec![0; layout.total()]);
    let mut silent = payload(&layout, &mut rng(1, "silent", 0, 0));
    silent.tensors.iter_mut().for_each(|tensor| tensor.values.fill(0.0));
    assert_eq!(signs(&layout, &Weighted::equally([&silent, &silent])), vec![0; layout.total()]);
}

#[test]
fn a_peer_that_scales_its_values_gains_nothing() {
    let layout = layout(&[vec![64, 64]], 64, 32);
    let mut rng = rng(2, "scale", 0, 0);
    let (honest, plain) = (payload(&layout, &mut rng), payload(&layout, &mut rng));
    let mut scaled = plain.clone();
    scaled.tensors[0].values.iter_mut().for_each(|value| *value *= 1024.0);
    let signs = |other| signs(&layout, &Weighted::equally([&honest, other]));
    assert_eq!(signs(&plain), signs(&scaled));
}

#[test]
fn large_values_are_clamped() {
    assert_eq!(whole_value(1e30, 1.0), f64::from(1 << 20));
    assert_eq!(whole_value(-1e30, 1.0), -f64::from(1 << 20));
    assert_eq!(whole_value(3.0, 0.0), 0.0);
}

#[test]
fn the_update_steps_against_the_sign() {
    assert_eq!(apply(&[1.0, 1.0, -0.0], &[1, -1, 0], 0.25), [0.75, 1.25, -0.0]);
}

/// Weights whose sums do not fit into 32 bits on a device.
#[test]
fn the_largest_weights_are_summed_exactly_on_devices() {
    let layout = layout(&[vec![32, 16], vec![7]], 16, 9);
    let mut rng = rng(3, "weights", 0, 0);
    let payloads: Vec<PseudoGradient> = (0..250).map(|_| payload(&layout, &mut rng)).collect();
    let peers: Vec<Weighted> = payloads.iter().map(|payload| Weighted { payload, weight: u8::MAX }).collect();
    let expected = signs(&layout, &peers);
    assert_eq!(expected, signs(&layout, &Weighted::equally(&payloads)), "a weight of all changes nothing");
    assert_eq!(expected, signs_from_device(&Device::flex(), &layout, &peers));
}

#[test]
fn a_model_stepped_on_a_device_is_the_model_of_the_stepped_parameters() {
    use crate::model::Device;
    let config = LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
    let layout = Arc::new(ChunkLayout::new(&config.layout(), 64, 32).unwrap());
    let mut rng = rng(4, "stepped", 0, 0);
    let payloads: Vec<PseudoGradient> = (0..4).map(|_| payload(&layout, &mut rng)).collect();
    let payloads = Weighted::equally(&payloads);
    for &device in [Device::CpuBf16].iter().chain(Device::UNFUSED) {
        let evaluator = Evaluator::new(config.clone(), device, 2);
        let theta = init_theta(&config, 2);
        let replica = Replica { digest: Digest::of_f32(&theta), model: evaluator.model(&theta), theta };
        let rule = SignOfMean::new(layout.clone(), device);
        let expected = evaluator.model(&rule.step(&replica.theta, &payloads, 0.002));
        let stepped = rule.stepped(&evaluator, &replica, &payloads, 0.002);
        let logits = |model: Llama| model.logits(&[1, 2, 3, 4], 4).into_data();
        assert_ne!(logits(stepped.clone()), logits(replica.model));
        assert_eq!(logits(stepped), logits(expected));
    }
}
