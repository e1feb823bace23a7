//! `sign-of-mean`: the sign of the decoded mean of the payloads. This is DeMo's rule in Gauntlet (Lidin et al., arXiv
//! 2505.21684).
//!
//! If the mean is near zero, `sign` turns a rounding error into a full step. So everything between the payloads and the
//! sign is computed in whole numbers ([`exact`](super::exact)):
//!
//! 1. **Value**: `v / rms` in f64, clamped to +-32, times 2^15, rounded: 2^20 at most. `rms` is the root mean square of
//!    all values that the peer sent of the tensor. If it is 0, every value is 0.
//! 2. **Mean** over the peers that sent the coefficient: the sum of weight times value, below 2^36, divided by the sum
//!    of their weights, rounded. A coefficient that no peer sent is 0.
//! 3. **Back along the rows** of the chunk with a basis of whole numbers, `round(DCT * 2^20)`, halves away from zero;
//!    then times 2^-20, rounded.
//! 4. **Back along the columns** with the same basis, and the sign: -1, 0 or 1.
//! 5. **Step**: theta minus `rate` in f32 times the sign.
//!
//! [`signs`] runs on the CPU, skips zeros and uses the symmetry of the basis. [`signs_from_device`] uses dense products
//! on any Burn device. For a single payload the result is the sign of that pseudo-gradient, as LossScore uses it. The
//! rule has no settings.

mod device;
mod host;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use device::{signs_from_device, signs_on_device};
pub use host::{signs, signs_threads};
use serde::{Deserialize, Serialize};

use super::seam::{Aggregation, RuleSettings, Weighted};
use crate::model::{Device, Llama};
use crate::training::{Basis, ChunkLayout, Evaluator, PayloadLayout, Replica};

/// Its name in a scenario.
pub const NAME: &str = "sign-of-mean";

/// The rule has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOfMeanSettings {}

impl RuleSettings for SignOfMeanSettings {
    fn works_on(&self, sent: Basis) -> bool {
        sent == Basis::Dct
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn build(&self, payloads: &PayloadLayout, device: Device) -> Box<dyn Aggregation> {
        Box::new(SignOfMean::new(payloads.chunks.clone(), device))
    }
}

/// The rule for payloads of one layout.
#[derive(Clone, Debug)]
pub struct SignOfMean {
    layout: Arc<ChunkLayout>,
    device: Device,
}

impl SignOfMean {
    /// Decodes on `device`; the bits are the same on every device.
    pub fn new(layout: Arc<ChunkLayout>, device: Device) -> Self {
        Self { layout, device }
    }
}

impl Aggregation for SignOfMean {
    fn step(&self, theta: &[f32], payloads: &[Weighted], rate: f64) -> Vec<f32> {
        let signs = match self.device {
            Device::Cpu => signs(&self.layout, payloads),
            device => signs_from_device(&device.burn(), &self.layout, payloads),
        };
        apply(theta, &signs, rate as f32)
    }

    fn stepped(&self, evaluator: &Evaluator, replica: &Replica, payloads: &[Weighted], rate: f64) -> Llama {
        if self.device == Device::Cpu {
            return evaluator.model(&self.step(&replica.theta, payloads, rate));
        }
        let device = self.device.burn();
        replica.model.stepped(rate as f32, signs_on_device(&device, &self.layout, payloads))
    }
}

/// `theta - step * sign` for each parameter: one exact product and one rounded difference, the same on every machine.
///
/// # Panics
/// If the number of signs differs from the number of parameters.
pub fn apply(theta: &[f32], signs: &[i8], step: f32) -> Vec<f32> {
    assert_eq!(theta.len(), signs.len(), "one sign a parameter");
    theta.iter().zip(signs).map(|(&theta, &sign)| theta - step * f32::from(sign)).collect()
}
