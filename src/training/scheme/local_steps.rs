//! Several steps of AdamW or Muon that a peer makes alone, for its update of a round.

use toml::{Table, Value};

use super::footprint::Footprint;
use crate::model::ParamLayout;
use crate::settings::Findings;
use crate::training::adamw::Moments;
use crate::training::optimiser::{Optimiser, OptimiserKind, OptimiserSettings};
use crate::training::{Evaluator, Replica, Round};

/// A peer's own steps in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InnerSettings {
    /// The optimiser.
    pub inner: OptimiserKind,
    /// Steps, each on an equal part of the round's pages.
    pub inner_steps: usize,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    /// Largest L2 norm of a step's gradient.
    pub clip_norm: f64,
    /// Weight of Muon's momentum. Default: 0.95.
    pub momentum: Option<f64>,
    /// Factor of the learning rate for the matrices that Muon steps. Default: 2.
    pub matrix_lr: Option<f64>,
}

impl Default for InnerSettings {
    fn default() -> Self {
        Self {
            inner: OptimiserKind::Adamw,
            inner_steps: 30,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 0.1,
            clip_norm: 1.0,
            momentum: None,
            matrix_lr: None,
        }
    }
}

/// Defaults that differ where Muon makes the steps, tuned on `tiny`. Local steps average to little while weight decay
/// does not, so it is small; no gradient has so large a norm that it is clipped.
const WITH_MUON: [(&str, f64); 3] = [("beta2", 0.999), ("weight_decay", 0.02), ("clip_norm", 1e9)];

impl InnerSettings {
    /// Checks what the types cannot, for this many pages a round.
    pub fn check(&self, found: &mut Findings, pages: usize) {
        let (steps, related) = (self.inner_steps, Some("training.pages_per_round"));
        let expected = format!("1 to {pages}, the pages of a round");
        found.require_with((1..=pages).contains(&steps), "inner_steps", steps, expected, related);
        self.optimiser().check(found, "scheme.inner");
    }

    /// Defaults for this optimiser: no more steps than a round has pages.
    pub fn dependent_defaults(&self, pages: usize) -> Table {
        let steps = Self::default().inner_steps.min(pages.max(1));
        let mut defaults = self.optimiser().table();
        defaults.insert("inner_steps".to_string(), Value::Integer(steps as i64));
        if self.inner == OptimiserKind::Muon {
            defaults.extend(WITH_MUON.map(|(key, value)| (key.to_string(), Value::Float(value))));
        }
        defaults
    }

    fn optimiser(&self) -> OptimiserSettings {
        let Self { inner: kind, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr, .. } = *self;
        OptimiserSettings { kind, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr }
    }
}

/// How far a step moves the agreed parameters, as a fraction of the learning rate. Each step moves a parameter by about
/// the rate, in directions that cancel from step to step and from peer to peer. Measured on `tiny` with eight steps of
/// eight peers; it is the same with all values sent as with a sixteenth of them.
const MOVED: f64 = 0.1;

/// The same with Muon. Measured on `tiny` with eight and with four steps, synthetic and text: a peer that is one round
/// behind is 0.9 to 1.1 steps behind on average, two rounds 1.6 to 2.0.
const MOVED_BY_MUON: f64 = 0.12;

/// What schemes with such steps keep, in words.
pub const KEPT: &str = "error feedback and moments";

/// Steps from the agreed parameters. The optimiser's state is kept from round to round.
#[derive(Clone, Debug)]
pub struct LocalSteps {
    steps: usize,
    optimiser: Optimiser,
}

impl LocalSteps {
    /// Steps with these settings, of a model of this layout.
    pub fn new(settings: &InnerSettings, layout: &ParamLayout) -> Self {
        Self { steps: settings.inner_steps, optimiser: Optimiser::new(&settings.optimiser(), layout) }
    }

    /// Steps of a round, if a peer does not say otherwise.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Floating-point operations of a round's steps beside their gradients.
    pub fn flops(&self) -> f64 {
        self.steps as f64 * self.optimiser.flops()
    }

    /// The optimiser of the steps.
    pub fn optimiser(&self) -> &Optimiser {
        &self.optimiser
    }

    /// How far a round moves a parameter at this learning rate.
    pub fn size(&self, lr: f64) -> f64 {
        let moved = match self.optimiser.kind() {
            OptimiserKind::Adamw => MOVED,
            OptimiserKind::Muon => MOVED_BY_MUON,
        };
        moved * self.steps as f64 * lr
    }

    /// The memory that they need.
    pub fn footprint(&self) -> Footprint {
        Footprint { kept: KEPT, own_model: self.steps > 1, ..Footprint::default() }
    }

    /// The update of a round: `theta - theta_local`. The pages are split evenly among the steps, in order. With fewer
    /// pages than steps, each page makes one step.
    pub fn update(
        &self,
        evaluator: &Evaluator,
        moments: &mut Moments,
        replica: &Replica,
        pages: &[Vec<u32>],
        round: Round,
    ) -> Vec<f32> {
        let steps = round.steps.unwrap_or(self.steps).min(pages.len());
        let mut theta = replica.theta.clone();
        for step in 0..steps {
            let pages = &pages[step * pages.len() / steps..(step + 1) * pages.len() / steps];
            let gradient = match step {
                0 => evaluator.gradient(&replica.model, pages),
                _ => evaluator.gradient(&evaluator.model(&theta), pages),
            };
            self.optimiser.step(&evaluator.device, moments, &mut theta, &gradient.values, round.lr);
        }
        theta.iter_mut().zip(&replica.theta).for_each(|(local, agreed)| *local = agreed - *local);
        theta
    }
}
