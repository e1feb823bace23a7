//! Central AdamW (Loshchilov and Hutter, arXiv 1711.05101) or Muon, the baseline for a network's loss.

use serde::{Deserialize, Serialize};

use super::Average;
use super::adamw::Moments;
use super::gradient::{gradient_over, loss_over};
use super::optimiser::Optimiser;
use super::schedule::Schedule;
use crate::model::{Device, Llama, LlamaConfig};
use crate::training::{BaselineSettings, TrainingSettings};

/// The warm-up starts at this fraction of the peak learning rate.
const WARMUP_FROM: f64 = 0.1;

/// A model trained by one optimiser. One weight decay applies to all its parameters, gains of the norms included.
pub struct Baseline {
    config: LlamaConfig,
    /// At least one. The CPU appears once per thread.
    devices: Vec<Device>,
    optimiser: Optimiser,
    /// Steps on the pages of a round.
    steps_per_round: usize,
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
    /// The average of the models after each round, if it is wanted. It is saved after the rest, so that states without
    /// one are as they were.
    #[serde(skip)]
    pub average: Option<Average>,
}

impl BaselineState {
    /// The bytes to save.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = postcard::to_stdvec(self).expect("a plain structure");
        if let Some(average) = &self.average {
            average.save(&mut bytes);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, for a run that averages by this factor or not at all.
    ///
    /// # Errors
    /// The bytes are damaged, or of a run with another average.
    pub fn from_bytes(bytes: &[u8], average: Option<f64>) -> Result<Self, String> {
        let (state, rest): (Self, _) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
        let empty = average.map(|factor| Average::new(factor, state.theta.len()));
        let average = match empty {
            Some(empty) => Some(empty.restored(rest)?),
            None if rest.is_empty() => None,
            None => return Err(format!("{} bytes follow the state", rest.len())),
        };
        Ok(Self { average, ..state })
    }
}

impl Baseline {
    /// Starts from `theta`; the learning rate's cosine ends after `rounds` rounds.
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
        let optimiser = Optimiser::new(&settings.optimiser(), &config.layout());
        Self {
            config: config.clone(),
            devices: vec![*device],
            steps_per_round: settings.steps_per_round,
            schedule: Schedule::new(&schedule, rounds),
            micro_batch,
            state: BaselineState { theta: theta.to_vec(), moments: optimiser.moments(), average: None },
            optimiser,
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

    /// Also averages the models after each round, by this factor.
    pub fn averaging(mut self, factor: Option<f64>) -> Self {
        self.state.average = factor.map(|factor| Average::new(factor, self.state.theta.len()));
        self
    }

    /// Mean loss of the average of the models so far; `None` without an average.
    pub fn average_loss(&self, pages: &[Vec<u32>]) -> Option<f64> {
        let theta = self.state.average.as_ref()?.theta()?;
        Some(loss_over(&self.models_of(theta), pages, self.micro_batch))
    }

    /// Resumes from a saved state.
    ///
    /// # Panics
    /// If the state belongs to a model of another size.
    pub fn restore(&mut self, state: BaselineState) {
        let parameters = self.state.theta.len();
        let moments = self.optimiser.restored(state.moments).expect("the state of a model of this size");
        assert_eq!(state.theta.len(), parameters, "the state of a model of this size");
        let average = self.state.average.take().map(|empty| state.average.unwrap_or(empty));
        self.state = BaselineState { theta: state.theta, moments, average };
    }

    /// The state to save.
    pub fn state(&self) -> &BaselineState {
        &self.state
    }

    /// Rounds done.
    pub fn rounds(&self) -> u64 {
        self.state.moments.steps / self.steps_per_round as u64
    }

    /// Learning rate of the next step. It is the same for all steps of a round.
    pub fn lr(&self) -> f64 {
        self.schedule.lr(self.rounds())
    }

    /// The parameters, in the layout's order.
    pub fn theta(&self) -> &[f32] {
        &self.state.theta
    }

    fn models(&self) -> Vec<Llama> {
        self.models_of(&self.state.theta)
    }

    /// The model of these parameters on each of the devices; threads of the CPU share one.
    fn models_of(&self, theta: &[f32]) -> Vec<Llama> {
        let mut models: Vec<Llama> = Vec::new();
        for (at, device) in self.devices.iter().enumerate() {
            let known = self.devices[..at].iter().position(|other| other == device);
            let build = || Llama::from_flat(&self.config, theta, device);
            models.push(known.map_or_else(build, |known| models[known].clone()));
        }
        models
    }

    /// Mean loss of the present model on these pages, in nats a token.
    pub fn loss(&self, pages: &[Vec<u32>]) -> f64 {
        loss_over(&self.models(), pages, self.micro_batch)
    }

    /// The steps of a round, each on an equal part of these pages, in order.
    ///
    /// # Panics
    /// If there are fewer pages than steps.
    pub fn round(&mut self, pages: &[Vec<u32>]) {
        let steps = self.steps_per_round;
        for step in 0..steps {
            self.step(&pages[step * pages.len() / steps..(step + 1) * pages.len() / steps]);
        }
        let BaselineState { theta, average, .. } = &mut self.state;
        if let Some(average) = average {
            average.add(theta);
        }
    }

    /// One step on these pages. Returns their mean loss before the step, in nats a token.
    pub fn step(&mut self, pages: &[Vec<u32>]) -> f64 {
        let gradient = gradient_over(&self.models(), pages, self.micro_batch);
        let (lr, BaselineState { theta, moments, .. }) = (self.lr(), &mut self.state);
        self.optimiser.step(&self.devices[0], moments, theta, &gradient.values, lr);
        gradient.loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSettings;
    use crate::model::init_theta;
    use crate::training::optimiser::OptimiserKind;

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

    fn of_both() -> [BaselineSettings; 2] {
        let muon = BaselineSettings { optimizer: OptimiserKind::Muon, steps_per_round: 2, ..Default::default() };
        [BaselineSettings::default(), muon]
    }

    #[test]
    fn a_restored_state_goes_on_to_the_same_bits() {
        for (settings, factor) in of_both().into_iter().zip([None, Some(0.9)]) {
            let mut whole = baseline(&settings).averaging(factor);
            for _ in 0..3 {
                whole.round(&pages());
            }
            let saved = whole.state().to_bytes();
            let mut resumed = baseline(&settings).averaging(factor);
            resumed.restore(BaselineState::from_bytes(&saved, factor).unwrap());
            assert_eq!(resumed.rounds(), 3);
            for _ in 0..3 {
                assert_eq!(whole.step(&pages()), resumed.step(&pages()));
            }
            assert_eq!(whole.state(), resumed.state());
            assert_eq!(whole.lr(), resumed.lr());
            let other = if factor.is_some() { None } else { Some(0.9) };
            assert!(BaselineState::from_bytes(&saved, other).is_err(), "a state of a run with another average");
        }
    }

    /// It changes nothing of the training, and lies between the models.
    #[test]
    fn models_are_averaged_after_each_round() {
        let settings = BaselineSettings { steps_per_round: 2, ..Default::default() };
        let (mut plain, mut averaging) = (baseline(&settings), baseline(&settings).averaging(Some(0.5)));
        assert_eq!((plain.average_loss(&pages()), averaging.average_loss(&pages())), (None, None));
        let mut models = Vec::new();
        for _ in 0..2 {
            plain.round(&pages());
            averaging.round(&pages());
            models.push(plain.theta().to_vec());
        }
        assert_eq!((plain.theta(), &plain.state().moments), (averaging.theta(), &averaging.state().moments));
        let average = averaging.state().average.as_ref().unwrap().theta().unwrap().to_vec();
        for ((average, first), second) in average.iter().zip(&models[0]).zip(&models[1]) {
            assert!((average - (first + 2.0 * second) / 3.0).abs() < 1e-6);
        }
        let of_average = Baseline::new(&averaging.config, &average, &settings, 60, 2, &Device::Cpu).loss(&pages());
        assert_eq!(averaging.average_loss(&pages()), Some(of_average));
    }

    #[test]
    fn threads_do_not_change_the_bits() {
        for settings in of_both() {
            let one = &mut baseline(&settings);
            let three = &mut baseline(&settings).on(vec![Device::Cpu; 3]);
            for _ in 0..3 {
                assert_eq!(one.step(&pages()), three.step(&pages()));
                assert_eq!(one.loss(&pages()), three.loss(&pages()));
            }
            assert_eq!(one.state(), three.state());
        }
    }

    /// The steps of a round take its pages in turn, at one learning rate.
    #[test]
    fn a_round_of_several_steps_is_steps_on_its_parts() {
        let settings = BaselineSettings { steps_per_round: 2, warmup_rounds: 5, ..Default::default() };
        let (mut by_rounds, mut by_steps) = (baseline(&settings), baseline(&settings));
        for _ in 0..2 {
            let lr = by_rounds.lr();
            by_rounds.round(&pages());
            for part in pages().chunks(2) {
                assert_eq!(by_steps.lr(), lr);
                by_steps.step(part);
            }
            assert!(by_steps.lr() > lr, "the warm-up is by rounds");
        }
        assert_eq!(by_rounds.state(), by_steps.state());
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
