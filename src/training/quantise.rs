//! Replaces many values by few distinct ones, to make a payload small (SparseLoCo, Sarfi et al., arXiv 2508.15706).

/// The bins span this many standard deviations, half of them on each side of the mean.
const SPREAD: f64 = 6.0;

/// Replaces the values of a tensor by at most 2^`bits` distinct ones. Equal bins span three standard deviations on each
/// side of the mean; values outside go to the outermost bins. Each value becomes the mean of its bin, so the sum stays
/// the same, and a value inside the span moves by at most the width of a bin. With 32 bits nothing changes.
///
/// If a value is not finite, the result is not finite either: no honest payload has such values.
pub fn quantise(values: &mut [f32], bits: u32) {
    if bits >= 32 || values.is_empty() {
        return;
    }
    let bins = Bins::of(values, bits);
    let mut sums = vec![(0.0, 0u32); 1 << bits];
    for &value in &*values {
        let (sum, count) = &mut sums[bins.of_value(value)];
        *sum += f64::from(value);
        *count += 1;
    }
    let means: Vec<f32> = sums.iter().map(|(sum, count)| (sum / f64::from(*count)) as f32).collect();
    values.iter_mut().for_each(|value| *value = means[bins.of_value(*value)]);
}

/// Quantises a tensor of more than 2^`bits` distinct values; others can be sent as they are.
pub fn fit(values: &mut [f32], bits: u32) {
    if bits < 32 && distinct(values, 1 << bits).is_none() {
        quantise(values, bits);
    }
}

/// The distinct values, ascending; `None` if there are more than `most`.
pub fn distinct(values: &[f32], most: usize) -> Option<Vec<f32>> {
    let mut found: Vec<f32> = Vec::with_capacity(most);
    for value in values {
        if let Err(place) = found.binary_search_by(|other| other.total_cmp(value)) {
            if found.len() == most {
                return None;
            }
            found.insert(place, *value);
        }
    }
    Some(found)
}

/// Equal bins around the mean.
struct Bins {
    from: f64,
    per_unit: f64,
    last: f64,
}

impl Bins {
    fn of(values: &[f32], bits: u32) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
        let (bins, reach) = (f64::from(1 << bits), SPREAD * variance.sqrt());
        let per_unit = if reach > 0.0 { bins / reach } else { 0.0 };
        Self { from: mean - reach / 2.0, per_unit, last: bins - 1.0 }
    }

    fn of_value(&self, value: f32) -> usize {
        // A NaN goes to the first bin.
        ((f64::from(value) - self.from) * self.per_unit).clamp(0.0, self.last) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distinct(values: &[f32]) -> usize {
        values.iter().map(|value| value.to_bits()).collect::<std::collections::BTreeSet<_>>().len()
    }

    #[test]
    fn two_bits_are_the_means_of_four_bins() {
        // Mean 0, standard deviation 2: the bins end at -3, 0 and 3.
        let mut values = [-4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.0];
        values[6..].copy_from_slice(&[1.0, -1.0, 0.5, -0.5]);
        let deviation = (values.iter().map(|v| v * v).sum::<f32>() / 10.0).sqrt();
        let mut scaled = values.map(|value| value * 2.0 / deviation);
        quantise(&mut scaled, 2);
        let back = scaled.map(|value| value * deviation / 2.0);
        let expected = [-4.0, -1.125, -1.125, 1.125, 1.125, 4.0, 1.125, -1.125, 1.125, -1.125];
        for (got, expected) in back.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{back:?}");
        }
    }

    #[test]
    fn what_is_no_number_does_not_become_one() {
        for hostile in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = [1.0, hostile, 2.0, -3.0];
            quantise(&mut values, 2);
            assert!(values.iter().any(|value| !value.is_finite()), "{values:?}");
        }
        let mut equal = [0.25; 5];
        quantise(&mut equal, 4);
        assert_eq!(equal, [0.25; 5]);
        quantise(&mut [], 2);
    }

    proptest! {
        #[test]
        fn errors_are_bounded(
            raw in prop::collection::vec(-1000i32..1000, 1..400), scale in -20i32..20, bits in prop::sample::select(vec![2u32, 4, 8, 32]),
        ) {
            let original: Vec<f32> = raw.iter().map(|&value| value as f32 * 2f32.powi(scale)).collect();
            let mut values = original.clone();
            quantise(&mut values, bits);
            if bits == 32 {
                prop_assert_eq!(values, original);
                return Ok(());
            }
            prop_assert!(distinct(&values) <= 1 << bits);

            let count = original.len() as f64;
            let mean = original.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
            let deviation = (original.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
            let slack = 1e-5 * (mean.abs() + deviation);
            let width = 6.0 * deviation / f64::from(1 << bits) + slack;
            for (&before, &after) in original.iter().zip(&values) {
                let (before, after) = (f64::from(before), f64::from(after));
                // In an outermost bin, a value may be as far from the bin's mean as it is beyond the edge.
                let beyond = ((before - mean).abs().max((after - mean).abs()) - 3.0 * deviation).max(0.0);
                prop_assert!((before - after).abs() <= width + beyond, "{} became {}", before, after);
            }
            let sum_after = values.iter().map(|&v| f64::from(v)).sum::<f64>();
            prop_assert!((sum_after - mean * count).abs() <= slack * count, "the sum stays");
        }
    }
}
