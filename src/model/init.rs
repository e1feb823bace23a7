//! theta_0: the initial parameters of a run.

use super::LlamaConfig;
use crate::random;

/// Standard deviation of initial weights.
const DEVIATION: f32 = 0.02;

/// Initial parameters: weights from N(0, 0.02), gains of the norms 1.
///
/// They are drawn on the CPU, with a generator for each tensor, so that theta_0 depends only on the seed and the sizes.
pub fn init_theta(config: &LlamaConfig, seed: u64) -> Vec<f32> {
    let layout = config.layout();
    let mut theta = vec![1.0; layout.total()];
    for (index, tensor) in layout.tensors.iter().enumerate() {
        if tensor.shape.len() == 2 {
            let mut rng = random::rng(seed, "theta_0", index as u64, 0);
            theta[tensor.range.clone()].fill_with(|| DEVIATION * random::normal(&mut rng));
        }
    }
    theta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;

    #[test]
    fn weights_are_normal_and_norms_are_one() {
        let config = LlamaConfig::from_settings(&ModelSettings::default()).unwrap();
        let theta = init_theta(&config, 7);
        assert_eq!(theta, init_theta(&config, 7));
        assert_ne!(theta, init_theta(&config, 8));
        for tensor in config.layout().tensors {
            let values = &theta[tensor.range];
            if tensor.shape.len() == 1 {
                assert!(values.iter().all(|&value| value == 1.0));
                continue;
            }
            let count = values.len() as f64;
            let mean = values.iter().map(|&v| v as f64).sum::<f64>() / count;
            let variance = values.iter().map(|&v| v as f64 * v as f64).sum::<f64>() / count;
            assert!(mean.abs() < 5.0 * DEVIATION as f64 / count.sqrt(), "{}: mean {mean}", tensor.name);
            assert!((variance.sqrt() / DEVIATION as f64 - 1.0).abs() < 0.05, "{}: {variance}", tensor.name);
            let inside = values.iter().filter(|v| v.abs() < DEVIATION).count() as f64 / count;
            assert!((inside - 0.6827).abs() < 0.04, "{}: {inside} within one deviation", tensor.name);
        }
    }
}
