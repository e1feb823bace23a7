//! Central AdamW (Loshchilov and Hutter, arXiv 1711.05101), the baseline for a network's loss.

use serde::{Deserialize, Serialize};

use super::adamw::{AdamW, Moments};
use super::gradient::{gradient_over, loss_over};
use super::schedule::Schedule;
use crate::model::{Device, Llama, LlamaConfig};
use crate::training::{BaselineSettings, TrainingSettings};

/// The warm-up starts at this fraction of the peak learning rate.
const WARMUP_FROM: f64 = 0.1;

/// A model trained by AdamW. One weight decay applies to all its parameters, gains of the norms included.
pub struct Baseline {
    config: LlamaConfig,
    /// At least one. The CPU appears once per thread.
    devices: Vec<Device>,
    adamw: AdamW,
    schedule: Schedule,
    micro_batch: usize,
    state: BaselineState,
}

/// All that changes from step to step. Training resumed from a saved state gives the same bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineState {
    /// The parameters, in the layout's order.
    pub theta: Vec<f32>,
    /// The optimiser's moments, with the number of steps done.
    pub moments: Moments,
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
        let schedule = TrainingSettings {
            lr: settings.lr,
            warmup_rounds: settings.warmup_rounds,
            warmup_from: WARMUP_FROM,
            final_fraction: settings.final_fraction,
            ..Default::default()
        };
        let BaselineSettings { beta1, beta2, weight_decay, clip_norm, .. } = *settings;
        Self {
            config: config.clone(),
            devices: vec![*device],
            adamw: AdamW { beta1, beta2, weight_decay, clip_norm },
            schedule: Schedule::new(&schedule, rounds),
            micro_batch,
            state: BaselineState { theta: theta.to_vec(), moments: Moments::new(theta.len()) },
        }
    }

    /// Uses several devices of one kind, or one thread of the CPU for each time that it is named. Each computes a part
    /// of a step's gradient. The bits are the same as on one device.
    ///
    /// # Panics
    /// If there are no devices.
    pub fn on(self, devices: Vec<Device>) -> Self {
        assert!(!devices.is_empty(), "training needs a device");
        Self { devices, ..self }
    }

    /// Resumes from a saved state.
    ///
    /// # Panics
    /// If the state belongs to a model of another size.
    pub fn restore(&mut self, state: BaselineState) {
        let parameters = self.state.theta.len();
        let moments = state.moments.of_size(parameters, parameters).expect("the state of a model of this size");
        assert_eq!(state.theta.len(), parameters, "the state of a model of this size");
        self.state = BaselineState { theta: state.theta, moments };
    }

    /// The state to save.
    pub fn state(&self) -> &BaselineState {
        &self.state
    }

    /// Learning rate of the next step.
    pub fn lr(&self) -> f64 {
        self.schedule.lr(self.state.moments.steps)
    }

    /// The parameters, in the layout's order.
    pub fn theta(&self) -> &[f32] {
        &self.state.theta
    }

    /// The model on each of the devices; threads of the CPU share one.
    fn models(&self) -> Vec<Llama> {
        let mut models: Vec<Llama> = Vec::new();
        for (at, device) in self.devices.iter().enumerate() {
            let known = self.devices[..at].iter().position(|other| other == device);
            let build = || Llama::from_flat(&self.config, &self.state.theta, device);
            models.push(known.map_or_else(build, |known| models[known].clone()));
        }
        models
    }

    /// Mean loss of the present model on these pages, in nats a token.
    pub fn loss(&self, pages: &[Vec<u32>]) -> f64 {
        loss_over(&self.models(), pages, self.micro_batch)
    }

    /// One step on these pages. Returns their mean loss before the step, in nats a token.
    pub fn step(&mut self, pages: &[Vec<u32>]) -> f64 {
        let gradient = gradient_over(&self.models(), pages, self.micro_batch);
        let (lr, BaselineState { theta, moments }) = (self.lr(), &mut self.state);
        self.adamw.step(moments, theta, &gradient.values, lr);
        gradient.loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;
    use crate::model::init_theta;

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
    fn threads_do_not_change_the_bits() {
        let one = &mut baseline(&BaselineSettings::default());
        let three = &mut baseline(&BaselineSettings::default()).on(vec![Device::Cpu; 3]);
        for _ in 0..3 {
            assert_eq!(one.step(&pages()), three.step(&pages()));
            assert_eq!(one.loss(&pages()), three.loss(&pages()));
        }
        assert_eq!(one.state(), three.state());
    }

    #[test]
    fn first_step_is_the_learning_rate_where_there_is_a_gradient() {
        let settings = BaselineSettings { weight_decay: 0.0, ..Default::default() };
        let mut baseline = baseline(&settings);
        let before = baseline.theta().to_vec();
        let gradient = gradient_over(&baseline.models(), &pages(), 2).values;
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
}
