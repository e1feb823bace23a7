//! The optimisers of local steps and of the baseline: AdamW, or Muon with AdamW.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::adamw::{AdamW, Moments};
use super::muon::Muon;
use crate::model::{Device, ParamLayout, newton_schulz};
use crate::settings::Findings;

/// An optimiser by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserKind {
    /// AdamW on all parameters.
    #[default]
    Adamw,
    /// Muon on the matrices of the blocks, AdamW on the rest.
    Muon,
}

impl OptimiserKind {
    /// Whether it is the default, which a file need not name.
    pub fn is_adamw(&self) -> bool {
        *self == Self::Adamw
    }

    /// Its name, for tables and pictures.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Adamw => "AdamW",
            Self::Muon => "Muon",
        }
    }
}

/// Weight of the momentum (Jordan et al.).
const MOMENTUM: f64 = 0.95;
/// Factor of the learning rate for matrices. Tuned on `tiny`.
const MATRIX_LR: f64 = 2.0;

/// What an optimiser is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimiserSettings {
    pub kind: OptimiserKind,
    pub beta1: f64,
    pub beta2: f64,
    pub weight_decay: f64,
    /// Largest L2 norm of a gradient.
    pub clip_norm: f64,
    /// Weight of Muon's momentum. Default: 0.95.
    pub momentum: Option<f64>,
    /// Factor of the learning rate for the matrices that Muon steps. Default: 2.
    pub matrix_lr: Option<f64>,
}

impl OptimiserSettings {
    /// Checks what the types cannot. `kind_key` is the full path of the key that names the optimiser.
    pub fn check(&self, found: &mut Findings, kind_key: &'static str) {
        found.below_one("beta1", self.beta1);
        found.below_one("beta2", self.beta2);
        found.not_negative("weight_decay", self.weight_decay);
        found.positive("clip_norm", self.clip_norm);
        for (key, value) in [("momentum", self.momentum), ("matrix_lr", self.matrix_lr)] {
            if let (OptimiserKind::Adamw, Some(value)) = (self.kind, value) {
                let expected = format!("nothing, because it is for {kind_key} = \"muon\"");
                found.require_with(false, key, value, expected, Some(kind_key));
            }
        }
        found.below_one("momentum", self.momentum.unwrap_or(MOMENTUM));
        found.positive("matrix_lr", self.matrix_lr.unwrap_or(MATRIX_LR));
    }

    /// Muon's own settings as a table, with their defaults; empty for AdamW.
    pub fn table(&self) -> Table {
        let own = [("momentum", self.momentum, MOMENTUM), ("matrix_lr", self.matrix_lr, MATRIX_LR)];
        let own = own.map(|(key, value, default)| (key.to_string(), Value::Float(value.unwrap_or(default))));
        if self.kind.is_adamw() { Table::new() } else { own.into_iter().collect() }
    }
}

/// An optimiser of a model.
#[derive(Clone, Debug)]
pub enum Optimiser {
    AdamW { adamw: AdamW, parameters: usize },
    Muon { muon: Muon, parameters: usize },
}

impl Optimiser {
    /// The optimiser of these settings for a model of this layout.
    pub fn new(settings: &OptimiserSettings, layout: &ParamLayout) -> Self {
        let OptimiserSettings { kind, beta1, beta2, weight_decay, clip_norm, momentum, matrix_lr } = *settings;
        let adamw = AdamW { beta1, beta2, weight_decay, clip_norm };
        let parameters = layout.total();
        match kind {
            OptimiserKind::Adamw => Self::AdamW { adamw, parameters },
            OptimiserKind::Muon => {
                let (momentum, matrix_lr) = (momentum.unwrap_or(MOMENTUM), matrix_lr.unwrap_or(MATRIX_LR));
                Self::Muon { muon: Muon::new(momentum, matrix_lr, adamw, layout), parameters }
            }
        }
    }

    /// Which one it is.
    pub fn kind(&self) -> OptimiserKind {
        match self {
            Self::AdamW { .. } => OptimiserKind::Adamw,
            Self::Muon { .. } => OptimiserKind::Muon,
        }
    }

    /// Numbers of first and of second moments.
    fn sizes(&self) -> [usize; 2] {
        match self {
            Self::AdamW { parameters, .. } => [*parameters; 2],
            Self::Muon { muon, parameters } => [*parameters, muon.second_moments()],
        }
    }

    /// The moments before the first step.
    pub fn moments(&self) -> Moments {
        let [first, second] = self.sizes();
        Moments::of_sizes(first, second)
    }

    /// Number of f32 values that it keeps from step to step.
    pub fn kept_values(&self) -> usize {
        self.sizes().iter().sum()
    }

    /// Floating-point operations of a step's matrix products.
    pub fn flops(&self) -> f64 {
        match self {
            Self::AdamW { .. } => 0.0,
            Self::Muon { muon, .. } => {
                muon.shapes().map(|(shape, count)| count as f64 * newton_schulz::flops(shape)).sum()
            }
        }
    }

    /// f32 values that a step takes on the device and on the host while it is computed.
    pub fn scratch_values(&self, device: &Device) -> [usize; 2] {
        match self {
            Self::AdamW { .. } => [0, 0],
            Self::Muon { muon, .. } => {
                let of_shape = |(shape, count)| newton_schulz::scratch_values(device, count, shape);
                muon.shapes().map(of_shape).max_by_key(|values| values.iter().sum::<usize>()).unwrap_or_default()
            }
        }
    }

    /// Returns saved moments if they are of this optimiser and model.
    ///
    /// # Errors
    /// Tells how many there are.
    pub fn restored(&self, moments: Moments) -> Result<Moments, String> {
        let [first, second] = self.sizes();
        moments.of_size(first, second)
    }

    /// One step of `theta` at this learning rate. `device` is the model's, where large products are computed.
    ///
    /// # Panics
    /// If the moments or the gradient are not of this optimiser and model.
    pub fn step(&self, device: &Device, moments: &mut Moments, theta: &mut [f32], gradient: &[f32], lr: f64) {
        match self {
            Self::AdamW { adamw, .. } => adamw.step(moments, theta, gradient, lr),
            Self::Muon { muon, .. } => muon.step(device, moments, theta, gradient, lr),
        }
    }
}
