//! Rules that combine each coefficient separately.

/// The mean without the `f` largest and the `f` smallest values. 2 f is less than the number of values.
pub fn trimmed_mean(values: &mut [f64], f: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let kept = &values[f..values.len() - f];
    kept.iter().sum::<f64>() / kept.len() as f64
}

/// The middle value, or the mean of the two middle ones.
pub fn median(values: &mut [f64], _f: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}
