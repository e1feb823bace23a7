//! AdamW (Loshchilov and Hutter, arXiv 1711.05101) on flat parameters.
//!
//! It makes one pass over memory, and is several times faster than Burn's optimiser, whose element-wise operations take
//! one pass each (`cargo bench --bench sparseloco`). It uses one thread and no fused operations, so its bits are the
//! same on every CPU.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::state::{append_counted, append_number};

/// Added to the root of the second moment.
const EPSILON: f32 = 1e-8;

/// Settings that stay the same from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    pub beta1: f64,
    pub beta2: f64,
    /// Decoupled weight decay of all parameters, gains of the norms included.
    pub weight_decay: f64,
    /// Largest L2 norm of a gradient, over all tensors together. A larger gradient is scaled down to it.
    pub clip_norm: f64,
}

/// Moving averages of gradients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Steps done.
    pub steps: u64,
    /// Average gradient, one value per parameter.
    pub moment_1: Vec<f32>,
    /// Average squared gradient, one value per parameter that AdamW steps.
    pub moment_2: Vec<f32>,
}

impl Moments {
    /// The moments of AdamW before the first step.
    pub fn new(parameters: usize) -> Self {
        Self::of_sizes(parameters, parameters)
    }

    /// So many first and second moments before the first step.
    pub fn of_sizes(first: usize, second: usize) -> Self {
        Self { steps: 0, moment_1: vec![0.0; first], moment_2: vec![0.0; second] }
    }

    /// Appends them to a state, as postcard does.
    pub fn append(&self, state: &mut Vec<u8>) {
        append_number(self.steps, state);
        append_counted(&self.moment_1, state);
        append_counted(&self.moment_2, state);
    }

    /// Returns these moments if there are so many first and second ones.
    ///
    /// # Errors
    /// Tells how many there are.
    pub fn of_size(self, first: usize, second: usize) -> Result<Self, String> {
        for (moment, expected) in [(&self.moment_1, first), (&self.moment_2, second)] {
            if moment.len() != expected {
                return Err(format!("moments of {} parameters, expected {expected}", moment.len()));
            }
        }
        Ok(self)
    }
}

impl AdamW {
    /// One step of `theta` at this learning rate.
    ///
    /// # Panics
    /// If the moments or the gradient differ in number from the parameters.
    pub fn step(&self, moments: &mut Moments, theta: &mut [f32], gradient: &[f32], lr: f64) {
        for values in [&moments.moment_1[..], &moments.moment_2, gradient] {
            assert_eq!(values.len(), theta.len(), "one a parameter");
        }
        let all = 0..theta.len();
        self.step_parts(self.clip(gradient), moments, std::slice::from_ref(&all), theta, gradient, lr);
    }

    /// One step of parts of `theta`, of a gradient that is scaled by `clip`. There is a first moment per parameter, and
    /// a second one per parameter of the parts, one after another.
    pub(super) fn step_parts(
        &self,
        clip: f32,
        moments: &mut Moments,
        parts: &[Range<usize>],
        theta: &mut [f32],
        gradient: &[f32],
        lr: f64,
    ) {
        moments.steps = moments.steps.saturating_add(1);
        let steps = moments.steps.min(i32::MAX as u64) as i32;
        let constants = Constants {
            clip,
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            unbias1: (1.0 / (1.0 - self.beta1.powi(steps))) as f32,
            unbias2: (1.0 / (1.0 - self.beta2.powi(steps))) as f32,
            lr: lr as f32,
            keep: (1.0 - lr * self.weight_decay) as f32,
        };
        let mut second = &mut moments.moment_2[..];
        for part in parts {
            let (moment_2, later) = second.split_at_mut(part.len());
            let moment_1 = &mut moments.moment_1[part.clone()];
            update(constants, moment_1, moment_2, &mut theta[part.clone()], &gradient[part.clone()]);
            second = later;
        }
    }

    /// The factor that scales a gradient to the largest norm.
    pub(super) fn clip(&self, gradient: &[f32]) -> f32 {
        let mut sums = [0.0; 8];
        let (blocks, rest) = gradient.as_chunks::<8>();
        for block in blocks {
            sums = std::array::from_fn(|lane| sums[lane] + f64::from(block[lane]) * f64::from(block[lane]));
        }
        let rest: f64 = rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let norm = (sums.iter().sum::<f64>() + rest).sqrt();
        if norm > self.clip_norm { (self.clip_norm / norm) as f32 } else { 1.0 }
    }
}

#[derive(Clone, Copy)]
struct Constants {
    clip: f32,
    beta1: f32,
    beta2: f32,
    unbias1: f32,
    unbias2: f32,
    lr: f32,
    keep: f32,
}

fn update(constants: Constants, moment_1: &mut [f32], moment_2: &mut [f32], theta: &mut [f32], gradient: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide(c: Constants, moment_1: &mut [f32], moment_2: &mut [f32], theta: &mut [f32], gradient: &[f32]) {
            update_all(c, moment_1, moment_2, theta, gradient);
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the CPU has the feature.
            return unsafe { wide(constants, moment_1, moment_2, theta, gradient) };
        }
    }
    update_all(constants, moment_1, moment_2, theta, gradient);
}

#[inline(always)]
fn update_all(c: Constants, moment_1: &mut [f32], moment_2: &mut [f32], theta: &mut [f32], gradient: &[f32]) {
    for (((theta, m), v), &gradient) in theta.iter_mut().zip(moment_1).zip(moment_2).zip(gradient) {
        let gradient = gradient * c.clip;
        *m = c.beta1 * *m + (1.0 - c.beta1) * gradient;
        *v = c.beta2 * *v + (1.0 - c.beta2) * (gradient * gradient);
        *theta = *theta * c.keep - c.lr * (*m * c.unbias1 / ((*v * c.unbias2).sqrt() + EPSILON));
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::{AdamWConfig, Optimizer};
    use burn::tensor::{Tensor, TensorData};

    use super::*;
    use crate::model::Device;
    use crate::random;

    const SIZE: usize = 1003;

    fn gradient(step: u64) -> Vec<f32> {
        let mut rng = random::rng(2, "adamw test", 0, step);
        (0..SIZE).map(|_| random::normal(&mut rng)).collect()
    }

    #[test]
    fn agrees_with_burn() {
        let ours = AdamW { beta1: 0.9, beta2: 0.95, weight_decay: 0.1, clip_norm: f64::INFINITY };
        let burn =
            AdamWConfig::new().with_beta_1(0.9).with_beta_2(0.95).with_epsilon(EPSILON).with_weight_decay(0.1).build();
        let device = Device::Cpu.burn();
        let tensor = |values: Vec<f32>| Tensor::<1>::from_data(TensorData::new(values, [SIZE]), &device);
        let (mut theta, mut moments) = (gradient(99), Moments::new(SIZE));
        let (mut expected, mut state) = (tensor(theta.clone()), None);
        for step in 0..10 {
            let (lr, gradient) = (1e-2 / (step + 1) as f64, gradient(step));
            ours.step(&mut moments, &mut theta, &gradient, lr);
            (expected, state) = burn.step(lr, expected, tensor(gradient), state);
            let expected = expected.clone().into_data().try_into_vec::<f32>().unwrap();
            for (ours, burn) in theta.iter().zip(expected) {
                assert!((ours - burn).abs() < 2e-6, "step {step}: {ours}, {burn}");
            }
        }
    }

    #[test]
    fn no_number_of_steps_is_too_large() {
        let ours = AdamW { beta1: 0.9, beta2: 0.95, weight_decay: 0.1, clip_norm: 1.0 };
        let mut moments = Moments { steps: u64::MAX, ..Moments::new(1) };
        let mut theta = [1.0];
        ours.step(&mut moments, &mut theta, &[0.5], 1e-3);
        assert!(theta[0].is_finite() && moments.steps == u64::MAX);
    }

    #[test]
    fn clipping_is_of_the_whole_gradient() {
        let clip = |clip_norm| AdamW { beta1: 0.9, beta2: 0.95, weight_decay: 0.0, clip_norm }.clip(&[3.0, 4.0]);
        assert_eq!([clip(10.0), clip(5.0), clip(1.0)], [1.0, 1.0, 0.2]);
    }
}
