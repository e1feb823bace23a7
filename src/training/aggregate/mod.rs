//! Exact aggregation: the same bytes on every node.
//!
//! Payloads whose values are the update itself have their mean taken in [`mean`]. DeMo's are of another kind: the update
//! of a round is the sign of the decoded mean of the aggregated peers' payloads (Lidin et al., arXiv
//! 2505.21684). Decoding in floating point rounds differently on different devices, and where the mean is near zero
//! `sign` turns a rounding into a full step. Here everything that is summed is a whole number below 2^53 carried in
//! f64, and such sums are exact in any order, with or without fused multiply-add, on any IEEE device. Rounding happens
//! one value at a time, always as `floor(x + 1/2)`:
//!
//! 1. **Value**: `v / rms` in f64, clamped to +-32, times 2^15, rounded. `rms` is the root of the mean of v^2 over all
//!    values the peer sent of the tensor: squares in f64, summed in eight interleaved partial sums that are then added
//!    in order, on the host. If it is 0, every value is 0. The clamp bounds what one coefficient of one peer can do.
//! 2. **Mean** over the peers that sent the coefficient: whole-number sum divided by their number, rounded. A
//!    coefficient nobody sent is 0.
//! 3. **Back along the rows** of the chunk with a basis of whole numbers, `round(DCT * 2^20)`, halves away from zero;
//!    then times 2^-20, rounded.
//! 4. **Back along the columns** with the same basis, and the sign: -1, 0 or 1.
//!
//! [`aggregate`] does this on the CPU, skipping zeros and using the symmetry of the basis; [`aggregate_on`] does it
//! with dense products on any Burn device. No peers at all give a sign of 0 everywhere; one peer gives the sign of its
//! own pseudo-gradient, as LossScore uses it.

mod device;
mod host;
pub mod mean;

pub use device::{aggregate_on, signs_on};
pub use host::{aggregate, aggregate_threads};
pub use mean::mean_step;

/// Fraction bits of a normalised value.
const VALUE_BITS: i32 = 15;

/// A normalised value is clamped to this many times the root mean square.
const VALUE_LIMIT: f64 = 32.0;

/// `theta - step * sign` for each parameter: one exact product and one rounded difference, the same on every machine.
///
/// # Panics
/// If there are not as many signs as parameters.
pub fn apply(theta: &[f32], signs: &[i8], step: f32) -> Vec<f32> {
    assert_eq!(theta.len(), signs.len(), "one sign a parameter");
    theta.iter().zip(signs).map(|(&theta, &sign)| theta - step * f32::from(sign)).collect()
}

/// Root mean square of the values a peer sent of a tensor, summed in one order everywhere.
fn rms(values: &[f32]) -> f64 {
    let mut sums = [0.0; 8];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        sums = std::array::from_fn(|lane| sums[lane] + f64::from(block[lane]) * f64::from(block[lane]));
    }
    for (sum, &value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(value) * f64::from(value);
    }
    (sums.iter().sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// A value as a whole number of 2^-15 rms, at most 2^20 in magnitude.
#[inline(always)]
fn whole_value(value: f32, rms: f64) -> f64 {
    let normalised = if rms > 0.0 { (f64::from(value) / rms).clamp(-VALUE_LIMIT, VALUE_LIMIT) } else { 0.0 };
    round(normalised * f64::from(1 << VALUE_BITS))
}

/// To the nearest whole number, halves upwards.
#[inline(always)]
fn round(value: f64) -> f64 {
    (value + 0.5).floor()
}

#[cfg(test)]
mod tests;
