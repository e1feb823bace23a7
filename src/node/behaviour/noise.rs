//! Does no work: uploads random positions with random values, in the right shape.

use async_trait::async_trait;
use rand::RngExt;
use rand::seq::index;

use super::{Behaviour, Surroundings};
use crate::training::{PseudoGradient, SparseTensor, TensorShape};

pub struct Noise;

#[async_trait]
impl Behaviour for Noise {
    fn trains(&self) -> bool {
        false
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        Some(random_pseudo_gradient(around))
    }
}

/// Distinct random positions in each chunk, values uniform in -1..1.
fn random_pseudo_gradient(around: &Surroundings) -> PseudoGradient {
    let mut rng = around.rng("noise");
    let tensor = |shape: &TensorShape| {
        let mut sparse = SparseTensor::default();
        for _ in 0..shape.chunks {
            let chosen = index::sample(&mut rng, shape.chunk_len, shape.per_chunk);
            sparse.indices.extend(chosen.iter().map(|index| index as u16));
            sparse.values.extend((0..shape.per_chunk).map(|_| rng.random_range(-1.0f32..1.0)));
        }
        sparse
    };
    PseudoGradient { tensors: around.network.shape.tensors.iter().map(tensor).collect() }
}
