//! Does no work: uploads normal noise, scaled to the payloads that were aggregated last (the Gaussian attack of P.
//! Blanchard, E. M. El Mhamdi, R. Guerraoui and J. Stainer, "Machine Learning with Adversaries: Byzantine Tolerant
//! Gradient Descent", NeurIPS 2017).
//!
//! It uses only public information: the payloads that the previous round's record names.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::seam::{Behaviour, BehaviourSettings, Surroundings};
use crate::random::{ChaCha8Rng, normal};
use crate::settings::Findings;
use crate::training::aggregate::exact::rms;
use crate::training::coefficients::{bounded, largest};
use crate::training::quantise::fit;
use crate::training::{PayloadShape, PseudoGradient, TensorShape};

/// Largest size.
const MOST_SIGMA: f64 = 1e9;

/// The settings of `gaussian`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianSettings {
    /// Root mean square of the noise, relative to that of the payloads aggregated last.
    sigma: f64,
}

impl Default for GaussianSettings {
    fn default() -> Self {
        Self { sigma: 1.0 }
    }
}

impl BehaviourSettings for GaussianSettings {
    fn check(&self, found: &mut Findings) {
        found.positive("sigma", self.sigma);
        found.at_most("sigma", self.sigma, MOST_SIGMA);
    }

    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Gaussian { sigma: self.sigma })
    }
}

struct Gaussian {
    sigma: f64,
}

#[async_trait]
impl Behaviour for Gaussian {
    fn trains(&self) -> bool {
        false
    }

    async fn pseudo_gradient(&self, _own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        let last = match around.round.checked_sub(1) {
            Some(before) => around.aggregated(before).await,
            None => Vec::new(),
        };
        let size = |tensor: usize| {
            let sizes: f64 = last.iter().map(|payload| rms(&payload.tensors[tensor].values)).sum();
            // Before the first aggregation, the size of payloads is not known.
            self.sigma * if last.is_empty() { 1.0 } else { sizes / last.len() as f64 }
        };
        Some(noise(&around.network.shape, size, around.rng("gaussian")))
    }
}

/// The largest normal draws of each chunk, scaled so that each tensor has the root mean square that `size` gives.
fn noise(shape: &PayloadShape, size: impl Fn(usize) -> f64, mut rng: ChaCha8Rng) -> PseudoGradient {
    let tensor = |(at, shape): (usize, &TensorShape)| {
        let mut drawn = largest(shape, |_, whole| whole.fill_with(|| f64::from(normal(&mut rng))));
        // Reduce the values to the precision of the wire before scaling, or rounding on the wire would shrink them.
        fit(&mut drawn.values, shape.value_bits);
        let factor = size(at) / rms(&drawn.values).max(f64::MIN_POSITIVE);
        drawn.values.iter_mut().for_each(|value| *value = bounded(f64::from(*value) * factor));
        drawn
    };
    PseudoGradient { tensors: shape.tensors.iter().enumerate().map(tensor).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::behaviour::testing::refused;
    use crate::training::quantise::distinct;

    #[test]
    fn noise_is_well_formed_and_has_the_set_size() {
        let shape =
            PayloadShape { tensors: vec![TensorShape::new("w", 3, 100, 8, 2), TensorShape::new("n", 1, 4, 4, 32)] };
        let noise = noise(&shape, |tensor| [0.25, 3.0][tensor], crate::random::rng(1, "gaussian", 2, 3));
        assert_eq!(shape.check(&noise), Ok(()));
        for (tensor, size) in noise.tensors.iter().zip([0.25, 3.0]) {
            assert!((rms(&tensor.values) - size).abs() < 1e-5);
        }
        assert!(distinct(&noise.tensors[0].values, 4).is_some(), "two bits a value");
        assert!(noise.tensors[0].values.iter().any(|value| *value < 0.0), "both signs");
        assert_ne!(noise.tensors[0].indices[..8], noise.tensors[0].indices[8..16]);
    }

    #[test]
    fn the_size_has_bounds() {
        assert_eq!(refused("{ kind = \"gaussian\", sigma = 0.0 }"), ["sigma"]);
        assert_eq!(refused("{ kind = \"gaussian\", sigma = 1e10 }"), ["sigma"]);
    }
}
