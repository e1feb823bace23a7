//! Central AdamW (Loshchilov and Hutter, arXiv 1711.05101), which a network's loss is compared with.

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::gradient::gradient;
use super::schedule::Schedule;
use crate::model::{Device, Llama, LlamaConfig};
use crate::scenario::{BaselineSettings, TrainingSettings};

/// What AdamW adds to the root of the second moment.
const EPSILON: f32 = 1e-8;
/// The warm-up starts at this fraction of the peak learning rate.
const WARMUP_FROM: f64 = 0.1;

/// A model in training by AdamW, all its parameters (gains of the norms included) under one weight decay.
pub struct Baseline {
    config: LlamaConfig,
    device: Device,
    optimizer: AdamW,
    schedule: Schedule,
    clip_norm: f64,
    micro_batch: usize,
    state: BaselineState,
}

/// All that changes from step to step. Saved and restored, training goes on to the same bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineState {
    /// Steps done.
    pub steps: u64,
    /// The parameters, in the layout's order.
    pub theta: Vec<f32>,
    /// Moving average of the gradient; as many as parameters.
    pub moment_1: Vec<f32>,
    /// Moving average of the squared gradient; as many as parameters.
    pub moment_2: Vec<f32>,
}

impl Baseline {
    /// Starts from `theta`; the learning rate's cosine ends after `rounds` steps.
    ///
    /// `micro_batch` is the number of pages in one forward and backward pass.
    pub fn new(
        config: &LlamaConfig,
        theta: &[f32],
        settings: &BaselineSettings,
        rounds: u64,
        micro_batch: usize,
        device: &Device,
    ) -> Self {
        let optimizer = AdamWConfig::new()
            .with_beta_1(settings.beta1 as f32)
            .with_beta_2(settings.beta2 as f32)
            .with_epsilon(EPSILON)
            .with_weight_decay(settings.weight_decay as f32)
            .build();
        let schedule = TrainingSettings {
            lr: settings.lr,
            warmup_rounds: settings.warmup_rounds,
            warmup_from: WARMUP_FROM,
            final_fraction: settings.final_fraction,
            ..Default::default()
        };
        let zeros = vec![0.0; theta.len()];
        Self {
            config: config.clone(),
            device: *device,
            optimizer,
            schedule: Schedule::new(&schedule, rounds),
            clip_norm: settings.clip_norm,
            micro_batch,
            state: BaselineState { steps: 0, theta: theta.to_vec(), moment_1: zeros.clone(), moment_2: zeros },
        }
    }

    /// Goes on from a saved state.
    ///
    /// # Panics
    /// If the state is of a model of another size.
    pub fn restore(&mut self, state: BaselineState) {
        for values in [&state.theta, &state.moment_1, &state.moment_2] {
            assert_eq!(values.len(), self.state.theta.len(), "the state of a model of this size");
        }
        self.state = state;
    }

    /// What to save.
    pub fn state(&self) -> &BaselineState {
        &self.state
    }

    /// Learning rate of the next step.
    pub fn lr(&self) -> f64 {
        self.schedule.lr(self.state.steps)
    }

    /// The parameters, in the layout's order.
    pub fn theta(&self) -> &[f32] {
        &self.state.theta
    }

    /// The model, to measure a loss with.
    pub fn model(&self) -> Llama {
        Llama::from_flat(&self.config, &self.state.theta, &self.device)
    }

    /// One step on these pages. Returns their mean loss before it, in nats a token.
    pub fn step(&mut self, pages: &[Vec<u32>]) -> f64 {
        let mut gradient = gradient(&self.model(), pages, self.micro_batch);
        clip(&mut gradient.values, self.clip_norm);

        // Element-wise, so it gains nothing from another device; here it is the same on all.
        let device = Device::Cpu.burn();
        let tensor = |values: Vec<f32>| {
            let size = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [size]), &device)
        };
        let lr = self.lr();
        let state = &mut self.state;
        let [theta, moment_1, moment_2] =
            [&mut state.theta, &mut state.moment_1, &mut state.moment_2].map(|values| tensor(std::mem::take(values)));
        let moments = AdaptiveMomentumState::new(state.steps as usize, moment_1, moment_2);
        let (theta, moments) = self.optimizer.step(lr, theta, tensor(gradient.values), Some(AdamWState::new(moments)));
        let moments = moments.expect("AdamW keeps moments").momentum;
        let values = |tensor: Tensor<1>| tensor.into_data().try_into_vec::<f32>().expect("f32 values");
        *state = BaselineState {
            steps: moments.time as u64,
            theta: values(theta),
            moment_1: values(moments.moment_1),
            moment_2: values(moments.moment_2),
        };
        gradient.loss
    }
}

/// Scales a gradient to this L2 norm, if its own, over all tensors together, is above it (Burn clips each tensor by
/// itself).
fn clip(gradient: &mut [f32], largest: f64) {
    let norm = gradient.iter().map(|&value| value as f64 * value as f64).sum::<f64>().sqrt();
    if norm > largest {
        let scale = (largest / norm) as f32;
        gradient.iter_mut().for_each(|value| *value *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::init_theta;
    use crate::scenario::ModelSettings;

    fn baseline(settings: &BaselineSettings) -> Baseline {
        let config =
            LlamaConfig::from_settings(&ModelSettings { preset: "nano".into(), ..Default::default() }).unwrap();
        Baseline::new(&config, &init_theta(&config, 1), settings, 60, 2, &Device::Cpu)
    }

    fn pages() -> Vec<Vec<u32>> {
        (0..4).map(|page| (0..33).map(|at| (at * (page + 2) + page) % 11).collect()).collect()
    }

    #[test]
    fn learns_its_pages() {
        let mut baseline = baseline(&BaselineSettings { warmup_rounds: 5, lr: 1e-2, ..Default::default() });
        let losses: Vec<f64> = (0..60).map(|_| baseline.step(&pages())).collect();
        assert!((losses[0] - 256f64.ln()).abs() < 0.05, "before training: {}", losses[0]);
        assert!(losses[59] < 0.5, "after 60 steps: {}", losses[59]);
    }

    #[test]
    fn a_restored_state_goes_on_to_the_same_bits() {
        let mut whole = baseline(&BaselineSettings::default());
        for _ in 0..3 {
            whole.step(&pages());
        }
        let saved = postcard::to_stdvec(whole.state()).unwrap();
        let mut resumed = baseline(&BaselineSettings::default());
        resumed.restore(postcard::from_bytes(&saved).unwrap());
        for _ in 0..3 {
            assert_eq!(whole.step(&pages()), resumed.step(&pages()));
        }
        assert_eq!(whole.state(), resumed.state());
        assert_eq!(whole.lr(), resumed.lr());
    }

    #[test]
    fn first_step_is_the_learning_rate_where_there_is_a_gradient() {
        let settings = BaselineSettings { weight_decay: 0.0, ..Default::default() };
        let mut baseline = baseline(&settings);
        let before = baseline.theta().to_vec();
        let gradient = gradient(&baseline.model(), &pages(), 2).values;
        let lr = baseline.lr() as f32;
        assert_eq!(lr, 3e-4);
        baseline.step(&pages());
        for ((before, after), gradient) in before.iter().zip(baseline.theta()).zip(gradient) {
            if gradient.abs() > 1e-4 {
                let step = before - after;
                assert!((step - lr * gradient.signum()).abs() < 1e-6, "step {step}, gradient {gradient}");
            }
        }
    }

    #[test]
    fn clipping_is_of_the_whole_gradient() {
        let mut gradient = [3.0, 4.0];
        clip(&mut gradient, 10.0);
        assert_eq!(gradient, [3.0, 4.0]);
        clip(&mut gradient, 1.0);
        assert_eq!(gradient, [0.6, 0.8]);
    }
}
