//! Whole numbers carried in f64: the arithmetic that gives the same bytes on every node.
//!
//! Decoding in floating point rounds differently on different devices, and a replica that is off by one bit is a
//! different replica. So all sums over payloads are of whole numbers below 2^53. Such sums are exact in any order, with
//! or without fused multiply-add, on any IEEE device. Rounding happens one value at a time, always as `floor(x + 1/2)`.

/// Values are clamped to this many times their unit, which bounds the effect of one coefficient of one peer.
pub const VALUE_LIMIT: f64 = 32.0;

/// Root mean square of the values that a peer sent of a tensor. The order of summation is fixed: squares in f64, in
/// eight interleaved partial sums that are then added in order, on the host.
pub fn rms(values: &[f32]) -> f64 {
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

/// Rounds to the nearest whole number, halves upwards.
#[inline(always)]
pub fn round(value: f64) -> f64 {
    (value + 0.5).floor()
}

/// Fraction bits of a normalised value.
const VALUE_BITS: i32 = 15;

/// A value in units of 2^-15 rms, as a whole number of at most 2^20 in magnitude.
#[inline(always)]
pub fn whole_value(value: f32, rms: f64) -> f64 {
    let normalised = if rms > 0.0 { (f64::from(value) / rms).clamp(-VALUE_LIMIT, VALUE_LIMIT) } else { 0.0 };
    round(normalised * f64::from(1 << VALUE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_upwards_and_an_empty_tensor_has_size_zero() {
        assert_eq!([-1.5, -0.5, 0.5, 1.5].map(round), [-1.0, 0.0, 1.0, 2.0]);
        assert_eq!((rms(&[]), rms(&[3.0, -4.0])), (0.0, 12.5f64.sqrt()));
    }
}
