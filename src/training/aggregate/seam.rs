//! The interface of an aggregation rule.

use crate::model::{Device, Llama};
use crate::settings::Findings;
use crate::training::{Basis, Evaluator, PayloadLayout, PseudoGradient, Replica};

/// Makes one update from many payloads.
///
/// Replicas stay identical only if a step gives the same bits on every machine and in any order of the payloads.
pub trait Aggregation: Send + Sync {
    /// The parameters after `rate` times the step of these payloads. Without payloads they stay.
    ///
    /// # Panics
    /// If `theta` is not of this model, a payload does not pass
    /// [`PayloadShape::check`](crate::training::PayloadShape::check), or the weights add up to more than [`MOST_WEIGHT`].
    fn step(&self, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32>;

    /// Steps the model of a replica. A rule that does not need the parameters on the host overrides this.
    ///
    /// # Panics
    /// Like [`Aggregation::step`].
    fn stepped(&self, evaluator: &Evaluator, replica: &Replica, payloads: &[Weighted], rate: f64) -> Llama {
        evaluator.model(&self.step(&replica.theta, payloads, rate))
    }
}

/// Largest total weight of payloads that are aggregated together. Sums of whole numbers then stay exact, as 2^37 times
/// it is below 2^53.
pub const MOST_WEIGHT: u32 = (1 << 16) - 1;

/// A payload and its weight. Weights are whole numbers so that weighted sums are exact. A payload of weight 0 is
/// ignored.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    pub payload: &'a PseudoGradient,
    /// How often the payload counts.
    pub weight: u8,
}

impl<'a> Weighted<'a> {
    /// A payload of weight 1.
    pub fn once(payload: &'a PseudoGradient) -> Self {
        Self { payload, weight: 1 }
    }

    /// Payloads of weight 1 each.
    pub fn equally(payloads: impl IntoIterator<Item = &'a PseudoGradient>) -> Vec<Self> {
        payloads.into_iter().map(Self::once).collect()
    }
}

/// Sum of the weights.
///
/// # Panics
/// If it is above [`MOST_WEIGHT`].
pub fn total_weight(payloads: &[Weighted]) -> u32 {
    let total = payloads.iter().map(|weighted| u64::from(weighted.weight)).sum::<u64>();
    assert!(total <= MOST_WEIGHT.into(), "weights add up to {total}, expected {MOST_WEIGHT} at most");
    total as u32
}

/// The settings of a rule, in a scenario's `[aggregation]`.
pub trait RuleSettings: Send + Sync {
    /// Checks what types cannot express. Paths are relative to the section.
    fn check(&self, _found: &mut Findings) {}

    /// Whether the rule takes payloads of this kind.
    fn works_on(&self, sent: Basis) -> bool;

    /// Whether payloads may count unequally. A rule that looks for the odd ones among equals cannot tell a large weight from
    /// many that agree.
    fn takes_weights(&self) -> bool {
        false
    }

    /// The rule for payloads of this layout, with its heavy work on the device.
    fn build(&self, payloads: &PayloadLayout, device: Device) -> Box<dyn Aggregation>;
}
