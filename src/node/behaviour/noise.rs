//! Does no work: uploads random positions with random values, in the right shape.

use async_trait::async_trait;
use rand::RngExt;
use rand::seq::index;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::random::ChaCha8Rng;
use crate::training::{PayloadShape, PseudoGradient, SparseTensor, TensorShape};

/// The settings of `noise`: it has none.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoiseSettings {}

impl BehaviourSettings for NoiseSettings {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Noise)
    }
}

struct Noise;

#[async_trait]
impl Behaviour for Noise {
    fn trains(&self) -> bool {
        false
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        Some(random_pseudo_gradient(&around.network.shape, around.rng("noise")))
    }
}

/// Distinct random positions in each chunk, values uniform in -1..1.
fn random_pseudo_gradient(shape: &PayloadShape, mut rng: ChaCha8Rng) -> PseudoGradient {
    let tensor = |shape: &TensorShape| {
        let mut sparse = SparseTensor::default();
        for _ in 0..shape.chunks {
            let chosen = index::sample(&mut rng, shape.chunk_len, shape.per_chunk);
            sparse.indices.extend(chosen.iter().map(|index| index as u16));
            sparse.values.extend((0..shape.per_chunk).map(|_| rng.random_range(-1.0f32..1.0)));
        }
        sparse
    };
    PseudoGradient { tensors: shape.tensors.iter().map(tensor).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_well_formed() {
        let shape =
            PayloadShape { tensors: vec![TensorShape::new("w", 3, 100, 8, 2), TensorShape::new("n", 1, 4, 4, 2)] };
        let noise = random_pseudo_gradient(&shape, crate::random::rng(1, "noise", 2, 3));
        assert_eq!(shape.check(&noise), Ok(()));
        assert!(noise.tensors[0].values.iter().any(|value| *value < 0.0), "both signs");
    }
}
