//! Whole numbers carried in f64: the arithmetic that gives the same bytes on every node.
//!
//! Decoding in floating point rounds differently on different devices, and a replica that is off by one bit is another
//! replica. So everything that is summed over payloads is a whole number below 2^53, and such sums are exact in any
//! order, with or without fused multiply-add, on any IEEE device. Rounding happens one value at a time, always as
//! `floor(x + 1/2)`.

/// A value is clamped to this many times its unit: it bounds what one coefficient of one peer can do.
pub const VALUE_LIMIT: f64 = 32.0;

/// Root mean square of the values a peer sent of a tensor, summed in one order everywhere: squares in f64, in eight
/// interleaved partial sums that are then added in order, on the host.
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

/// To the nearest whole number, halves upwards.
#[inline(always)]
pub fn round(value: f64) -> f64 {
    (value + 0.5).floor()
}

/// Fraction bits of a normalised value.
const VALUE_BITS: i32 = 15;

/// A value as a whole number of 2^-15 rms, at most 2^20 in magnitude.
#[inline(always)]
pub fn whole_value(value: f32, rms: f64) -> f64 {
    let normalised = if rms > 0.0 { (f64::from(value) / rms).clamp(-VALUE_LIMIT, VALUE_LIMIT) } else { 0.0 };
    round(normalised * f64::from(1 << VALUE_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_upwards_and_nothing_has_no_size() {
        assert_eq!([-1.5, -0.5, 0.5, 1.5].map(round), [-1.0, 0.0, 1.0, 2.0]);
        assert_eq!((rms(&[]), rms(&[3.0, -4.0])), (0.0, 12.5f64.sqrt()));
    }
}
