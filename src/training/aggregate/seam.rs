//! What a rule of aggregation is.

use crate::model::{Device, Llama};
use crate::settings::Findings;
use crate::training::{Basis, Evaluator, PayloadLayout, PseudoGradient, Replica};

/// The rule that makes one update of many payloads.
///
/// Replicas stay the same only if a step is the same to the bit on every machine and in any order of the payloads.
pub trait Aggregation: Send + Sync {
    /// The parameters after `rate` times the step that these payloads make. No payloads leave them as they are.
    ///
    /// # Panics
    /// If `theta` is not of this model, a payload does not pass
    /// [`PayloadShape::check`](crate::training::PayloadShape::check), or the weights add up to more than [`MOST_WEIGHT`].
    fn step(&self, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32>;

    /// The model of a replica after such a step. A rule that can do without the parameters on the host does so here.
    ///
    /// # Panics
    /// As [`Aggregation::step`].
    fn stepped(&self, evaluator: &Evaluator, replica: &Replica, payloads: &[Weighted], rate: f64) -> Llama {
        evaluator.model(&self.step(&replica.theta, payloads, rate))
    }
}

/// Weights of payloads that are aggregated together add up to this at most, so that sums of whole numbers stay exact:
/// 2^37 times it is below 2^53. The 250 slots of a chain with the largest weight each stay below.
pub const MOST_WEIGHT: u32 = (1 << 16) - 1;

/// A payload and how often it counts. Weights are whole so that weighted sums are exact; one of 0 means the payload is
/// not there.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    pub payload: &'a PseudoGradient,
    /// 1 or more.
    pub weight: u8,
}

impl<'a> Weighted<'a> {
    /// A payload that counts once.
    pub fn once(payload: &'a PseudoGradient) -> Self {
        Self { payload, weight: 1 }
    }

    /// Payloads that count once each.
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
    /// Checks what a type cannot tell; paths are relative to the section.
    fn check(&self, _found: &mut Findings) {}

    /// Whether the rule works on payloads of this kind.
    fn works_on(&self, sent: Basis) -> bool;

    /// The rule for payloads of this layout, with its heavy work on the device.
    fn build(&self, payloads: &PayloadLayout, device: Device) -> Box<dyn Aggregation>;
}
