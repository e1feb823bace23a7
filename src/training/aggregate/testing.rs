//! Random layouts, payloads and weights for the tests of rules.

use proptest::prelude::*;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::Weighted;
use crate::model::ParamLayout;
use crate::random::ChaCha8Rng;
use crate::training::{ChunkLayout, PseudoGradient, SparseTensor, TensorChunks};

pub fn layout(shapes: &[Vec<usize>], chunk: usize, topk: usize) -> ChunkLayout {
    let params = ParamLayout::new(shapes.iter().enumerate().map(|(i, shape)| (format!("t{i}"), shape.clone())));
    ChunkLayout::new(&params, chunk, topk).unwrap()
}

/// A valid payload with ordinary values, zeros, values far apart and values far beyond the clamp.
pub fn payload(layout: &ChunkLayout, rng: &mut ChaCha8Rng) -> PseudoGradient {
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

pub fn shapes() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let size = prop_oneof![1usize..40, Just(32), Just(48), Just(64)];
    prop::collection::vec(prop::collection::vec(size, 1..=2), 1..4)
}

/// Payloads with weights from 1 to `largest`.
pub fn weighted<'a>(payloads: &'a [PseudoGradient], largest: u8, rng: &mut ChaCha8Rng) -> Vec<Weighted<'a>> {
    payloads.iter().map(|payload| Weighted { payload, weight: rng.random_range(1..=largest) }).collect()
}
