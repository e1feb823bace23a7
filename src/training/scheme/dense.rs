//! Sends everything: the upper bound that compressed schemes are compared with.
//!
//! A peer's update is its mean gradient times the learning rate, or the movement of some steps of AdamW or Muon (local
//! AdamW, as DiLoCo without its outer momentum; Douillard et al., arXiv 2311.08105). It is sent in full, and all nodes
//! subtract the mean, after clipping each tensor of a peer to the median norm.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::Table;

use super::footprint::Footprint;
use super::local_steps::{InnerSettings, KEPT, LocalSteps};
use super::seam::{LocalTraining, Scheme, SchemeSettings};
use crate::model::ParamLayout;
use crate::settings::Findings;
use crate::training::adamw::Moments;
use crate::training::optimiser::OptimiserKind;
use crate::training::state::make_room;
use crate::training::{
    Basis, ChunkError, ChunkLayout, Evaluator, PayloadLayout, PayloadShape, PseudoGradient, Replica, Round,
};

/// Updates sent in full: the upper bound for compression. `training.lr` is the rate of the inner steps, or the factor
/// of a gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenseSettings {
    /// What is sent. The settings below are for a peer's own steps.
    pub update: DenseUpdate,
    /// The optimiser of the steps: `adamw`, or `muon` for the matrices of the blocks.
    #[serde(skip_serializing_if = "OptimiserKind::is_adamw")]
    pub inner: OptimiserKind,
    /// A peer's own steps, each on an equal part of the round's pages. Default: 30, or the pages of a round if they are
    /// fewer.
    pub inner_steps: usize,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    /// Largest L2 norm of a step's gradient.
    pub clip_norm: f64,
    /// Weight of Muon's momentum. Default: 0.95.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Factor of `training.lr` for the matrices that Muon steps. Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_lr: Option<f64>,
    /// Factor of the mean of the peers' updates.
    pub outer_lr: f64,
}

/// What a peer of the dense scheme sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenseUpdate {
    /// Its mean gradient.
    Gradient,
    /// The movement of its own steps of AdamW.
    Adamw,
    /// The movement of its own steps of whichever optimiser.
    Steps,
}

impl Default for DenseSettings {
    fn default() -> Self {
        let InnerSettings { inner, inner_steps, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr } =
            InnerSettings::default();
        Self {
            update: DenseUpdate::Adamw,
            inner,
            inner_steps,
            beta1,
            beta2,
            weight_decay,
            clip_norm,
            momentum,
            matrix_lr,
            outer_lr: 1.0,
        }
    }
}

impl DenseSettings {
    /// The steps that a peer makes alone.
    pub fn inner(&self) -> InnerSettings {
        let Self { inner, inner_steps, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr, .. } = *self;
        InnerSettings { inner, inner_steps, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr }
    }
}

impl SchemeSettings for DenseSettings {
    fn check(&self, found: &mut Findings, pages_per_round: usize) {
        found.positive("outer_lr", self.outer_lr);
        if self.update != DenseUpdate::Gradient {
            self.inner().check(found, pages_per_round);
        }
        let agree = self.update == DenseUpdate::Steps || self.inner.is_adamw();
        found.require_with(agree, "inner", "muon", "adamw, unless scheme.update is steps", Some("scheme.update"));
    }

    fn dependent_defaults(&self, pages_per_round: usize) -> Table {
        match self.update {
            DenseUpdate::Gradient => Table::new(),
            DenseUpdate::Adamw | DenseUpdate::Steps => {
                let mut defaults = self.inner().dependent_defaults(pages_per_round);
                if !self.inner.is_adamw() {
                    defaults.insert("update".into(), "steps".into());
                }
                defaults
            }
        }
    }

    fn inner_steps(&self) -> Option<usize> {
        (self.update != DenseUpdate::Gradient).then_some(self.inner_steps)
    }

    fn basis(&self) -> Basis {
        BASIS
    }

    fn build(&self, params: &ParamLayout) -> Result<Box<dyn Scheme>, ChunkError> {
        Ok(Box::new(Dense::new(self, params)?))
    }
}

/// The meaning of the values that a peer sends.
pub const BASIS: Basis = Basis::Values;

/// Side of the chunks that tensors are sent in; each chunk is sent whole.
const CHUNK: usize = 64;

/// The dense scheme for one model.
#[derive(Clone, Debug)]
pub struct Dense {
    layout: Arc<ChunkLayout>,
    shape: PayloadShape,
    update: DenseUpdate,
    steps: LocalSteps,
    outer_lr: f64,
}

impl Dense {
    /// # Errors
    /// A tensor is neither vector nor matrix.
    pub fn new(settings: &DenseSettings, params: &ParamLayout) -> Result<Self, ChunkError> {
        let layout = ChunkLayout::new(params, CHUNK, CHUNK * CHUNK)?;
        Ok(Self {
            shape: layout.shape(32),
            layout: Arc::new(layout),
            update: settings.update,
            steps: LocalSteps::new(&settings.inner(), params),
            outer_lr: settings.outer_lr,
        })
    }
}

impl Scheme for Dense {
    fn local(&self) -> Box<dyn LocalTraining> {
        let moments = match self.update {
            DenseUpdate::Gradient => Moments::default(),
            DenseUpdate::Adamw | DenseUpdate::Steps => self.steps.optimiser().moments(),
        };
        Box::new(Local { scheme: self.clone(), moments })
    }

    /// The optimiser's moments, or nothing.
    fn kept_values(&self) -> usize {
        match self.update {
            DenseUpdate::Gradient => 0,
            DenseUpdate::Adamw | DenseUpdate::Steps => self.steps.optimiser().kept_values(),
        }
    }

    fn shape(&self) -> &PayloadShape {
        &self.shape
    }

    fn payloads(&self) -> PayloadLayout {
        PayloadLayout { chunks: self.layout.clone(), basis: BASIS }
    }

    fn rate(&self, _lr: f64) -> f64 {
        self.outer_lr
    }

    fn step_size(&self, lr: f64) -> f64 {
        match self.update {
            DenseUpdate::Gradient => self.outer_lr * lr,
            DenseUpdate::Adamw | DenseUpdate::Steps => self.outer_lr * self.steps.size(lr),
        }
    }

    fn local_steps(&self) -> Option<&LocalSteps> {
        match self.update {
            DenseUpdate::Gradient => None,
            DenseUpdate::Adamw | DenseUpdate::Steps => Some(&self.steps),
        }
    }

    fn footprint(&self) -> Footprint {
        match self.update {
            DenseUpdate::Gradient => Footprint { kept: KEPT, ..Footprint::default() },
            DenseUpdate::Adamw | DenseUpdate::Steps => self.steps.footprint(),
        }
    }
}

/// One peer's side.
struct Local {
    scheme: Dense,
    /// Empty if the gradient is sent.
    moments: Moments,
}

impl LocalTraining for Local {
    fn train(&mut self, evaluator: &Evaluator, replica: &Replica, pages: &[Vec<u32>], round: Round) -> PseudoGradient {
        let update = match self.scheme.update {
            DenseUpdate::Gradient => {
                let mut gradient = evaluator.gradient(&replica.model, pages).values;
                gradient.iter_mut().for_each(|value| *value *= round.lr as f32);
                gradient
            }
            DenseUpdate::Adamw | DenseUpdate::Steps => {
                self.scheme.steps.update(evaluator, &mut self.moments, replica, pages, round)
            }
        };
        self.scheme.layout.whole(&update)
    }

    /// All of a round is sent at once.
    fn scale_kept(&mut self, _factor: f32) {}

    fn save(&self, state: &mut Vec<u8>) {
        make_room(self.scheme.kept_values(), state);
        self.moments.append(state);
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        let moments: Moments = postcard::from_bytes(saved).map_err(|error| error.to_string())?;
        self.moments = match self.scheme.update {
            DenseUpdate::Gradient => moments.of_size(0, 0)?,
            DenseUpdate::Adamw | DenseUpdate::Steps => self.scheme.steps.optimiser().restored(moments)?,
        };
        Ok(())
    }
}
