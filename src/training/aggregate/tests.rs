//! Aggregation against whole numbers, over orders, threads and backends.

use burn::tensor::Device;
use proptest::prelude::*;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::*;
use crate::model::ParamLayout;
use crate::random::{ChaCha8Rng, rng};
use crate::training::scheme::demo::dct;
use crate::training::scheme::{ChunkLayout, TensorChunks};
use crate::training::{PseudoGradient, SparseTensor};

pub(super) fn layout(shapes: &[Vec<usize>], chunk: usize, topk: usize) -> ChunkLayout {
    let params = ParamLayout::new(shapes.iter().enumerate().map(|(i, shape)| (format!("t{i}"), shape.clone())));
    ChunkLayout::new(&params, chunk, topk).unwrap()
}

/// A valid payload, with zeros, values far apart and values far beyond the clamp among the ordinary ones.
pub(super) fn payload(layout: &ChunkLayout, rng: &mut ChaCha8Rng) -> PseudoGradient {
    let value = |rng: &mut ChaCha8Rng| match rng.random_range(0..40) {
        0 => 0.0,
        1 => 1e30,
        2 => -1e-42,
        _ => rng.random_range(-1.0f32..1.0),
    };
    let tensor = |chunks: &TensorChunks| {
        let silent = rng.random_range(0..10) == 0;
        let mut sparse = SparseTensor::default();
        for _ in 0..chunks.chunks() {
            let mut indices: Vec<u16> = (0..=(chunks.size() - 1) as u16).collect();
            indices.shuffle(rng);
            sparse.indices.extend(&indices[..chunks.k]);
            sparse.values.extend((0..chunks.k).map(|_| if silent { 0.0 } else { value(rng) }));
        }
        sparse
    };
    let payload = PseudoGradient { tensors: layout.tensors.iter().map(tensor).collect() };
    layout.shape(32).check(&payload).unwrap();
    payload
}

/// The documented rule in whole numbers of 128 bits, as slowly as it can be said.
fn by_the_book(layout: &ChunkLayout, peers: &[&PseudoGradient]) -> Vec<i8> {
    let half_up = |numerator: i128, denominator: i128| (2 * numerator + denominator).div_euclid(2 * denominator);
    let mut signs = vec![0; layout.total()];
    for (t, chunks) in layout.tensors.iter().enumerate() {
        let (height, width, across) = (chunks.height, chunks.width, chunks.cols / chunks.width);
        let basis = |n| dct::exact_basis(n).into_iter().map(|entry| entry as i128).collect::<Vec<_>>();
        let (by, bx) = (basis(height), basis(width));
        for chunk in 0..chunks.chunks() {
            let mean = |index: usize| {
                let mut sent = Vec::new();
                for sparse in peers.iter().map(|peer| &peer.tensors[t]) {
                    for at in chunk * chunks.k..(chunk + 1) * chunks.k {
                        if usize::from(sparse.indices[at]) == index {
                            sent.push(whole_value(sparse.values[at], rms(&sparse.values)) as i128);
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

pub(super) fn shapes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let size = prop_oneof![1usize..40, Just(32), Just(48), Just(64)];
    prop::collection::vec(prop::collection::vec(size, 1..=2), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn peer_order_threads_and_backend_do_not_change_a_byte(
        shapes in shapes(), chunk in 1usize..=64, topk in 1usize..40, count in 0usize..7, threads in 1usize..5, seed: u64,
    ) {
        let layout = layout(&shapes, chunk, topk);
        let mut rng = rng(seed, "aggregate test", 0, 0);
        let payloads: Vec<PseudoGradient> = (0..count).map(|_| payload(&layout, &mut rng)).collect();
        let mut peers: Vec<&PseudoGradient> = payloads.iter().collect();
        let signs = aggregate(&layout, &peers);
        prop_assert_eq!(&signs, &by_the_book(&layout, &peers));

        peers.shuffle(&mut rng);
        prop_assert_eq!(&signs, &aggregate_threads(&layout, &peers, threads));
        prop_assert_eq!(&signs, &aggregate_on(&Device::flex(), &layout, &peers));
        #[allow(deprecated)]
        let ndarray = Device::ndarray();
        prop_assert_eq!(&signs, &aggregate_on(&ndarray, &layout, &peers));
    }
}

#[test]
fn no_peers_and_silent_peers_give_no_update() {
    let layout = layout(&[vec![64, 64], vec![5]], 64, 4);
    assert_eq!(aggregate(&layout, &[]), vec![0; layout.total()]);
    let mut silent = payload(&layout, &mut rng(1, "silent", 0, 0));
    silent.tensors.iter_mut().for_each(|tensor| tensor.values.fill(0.0));
    assert_eq!(aggregate(&layout, &[&silent, &silent]), vec![0; layout.total()]);
}

#[test]
fn a_peer_that_scales_its_values_gains_nothing() {
    let layout = layout(&[vec![64, 64]], 64, 32);
    let mut rng = rng(2, "scale", 0, 0);
    let (honest, plain) = (payload(&layout, &mut rng), payload(&layout, &mut rng));
    let mut scaled = plain.clone();
    scaled.tensors[0].values.iter_mut().for_each(|value| *value *= 1024.0);
    assert_eq!(aggregate(&layout, &[&honest, &plain]), aggregate(&layout, &[&honest, &scaled]));
}

#[test]
fn halves_go_upwards_and_large_values_are_clamped() {
    assert_eq!([-1.5, -0.5, 0.5, 1.5].map(round), [-1.0, 0.0, 1.0, 2.0]);
    assert_eq!(whole_value(1e30, 1.0), f64::from(1 << 20));
    assert_eq!(whole_value(-1e30, 1.0), -f64::from(1 << 20));
    assert_eq!(whole_value(3.0, 0.0), 0.0);
    assert_eq!((rms(&[]), rms(&[3.0, -4.0])), (0.0, 12.5f64.sqrt()));
}

#[test]
fn the_update_steps_against_the_sign() {
    assert_eq!(apply(&[1.0, 1.0, -0.0], &[1, -1, 0], 0.25), [0.75, 1.25, -0.0]);
}
