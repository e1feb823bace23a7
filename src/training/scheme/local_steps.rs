//! Several steps of AdamW that a peer makes alone, for its update of a round.

use toml::{Table, Value};

use super::seam::Footprint;
use crate::settings::Findings;
use crate::training::adamw::{AdamW, Moments};
use crate::training::{Evaluator, Replica};

/// A peer's own steps of AdamW in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InnerSettings {
    /// Steps, each on an equal part of the round's pages.
    pub inner_steps: usize,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    /// Largest L2 norm of a step's gradient.
    pub clip_norm: f64,
}

impl Default for InnerSettings {
    fn default() -> Self {
        Self { inner_steps: 30, beta1: 0.9, beta2: 0.95, weight_decay: 0.1, clip_norm: 1.0 }
    }
}

impl InnerSettings {
    /// Checks what the types cannot, for this many pages a round.
    pub fn check(&self, found: &mut Findings, pages: usize) {
        let (steps, related) = (self.inner_steps, Some("training.pages_per_round"));
        let expected = format!("1 to {pages}, the pages of a round");
        found.require_with((1..=pages).contains(&steps), "inner_steps", steps, expected, related);
        found.below_one("beta1", self.beta1);
        found.below_one("beta2", self.beta2);
        found.not_negative("weight_decay", self.weight_decay);
        found.positive("clip_norm", self.clip_norm);
    }

    /// The default number of steps: no more than a round has pages.
    pub fn dependent_defaults(pages: usize) -> Table {
        let steps = Self::default().inner_steps.min(pages.max(1));
        [("inner_steps".to_string(), Value::Integer(steps as i64))].into_iter().collect()
    }
}

/// How far a step moves the agreed parameters, as a fraction of the learning rate. Each step moves a parameter by about
/// the rate, in directions that cancel from step to step and from peer to peer. Measured on `tiny` with eight steps of
/// eight peers; it is the same with all values sent as with a sixteenth of them.
const MOVED: f64 = 0.1;

/// What schemes with such steps keep, in words.
pub const KEPT: &str = "error feedback and moments";

/// Steps from the agreed parameters. The optimiser's state is kept from round to round.
#[derive(Clone, Debug)]
pub struct LocalSteps {
    steps: usize,
    adamw: AdamW,
}

impl LocalSteps {
    /// Steps with these settings.
    pub fn new(settings: &InnerSettings) -> Self {
        let InnerSettings { inner_steps, beta1, beta2, weight_decay, clip_norm } = *settings;
        Self { steps: inner_steps, adamw: AdamW { beta1, beta2, weight_decay, clip_norm } }
    }

    /// How far a round moves a parameter at this learning rate.
    pub fn size(&self, lr: f64) -> f64 {
        MOVED * self.steps as f64 * lr
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
        lr: f64,
    ) -> Vec<f32> {
        let steps = self.steps.min(pages.len());
        let mut theta = replica.theta.clone();
        for step in 0..steps {
            let pages = &pages[step * pages.len() / steps..(step + 1) * pages.len() / steps];
            let gradient = match step {
                0 => evaluator.gradient(&replica.model, pages),
                _ => evaluator.gradient(&evaluator.model(&theta), pages),
            };
            self.adamw.step(moments, &mut theta, &gradient.values, lr);
        }
        theta.iter_mut().zip(&replica.theta).for_each(|(local, agreed)| *local = agreed - *local);
        theta
    }
}
