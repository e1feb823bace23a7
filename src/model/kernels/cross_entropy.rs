//! Softmax cross-entropy of a row of logits against a token.

use super::math::exp;
use super::vector::{LANES, load, multiversion, store};

multiversion! {
    /// Turns logits [targets.len(), vocabulary] into exponentials. Writes `-ln p(target)` of each row, and the factor
    /// that turns its exponentials into probabilities.
    pub fn forward<V>(
        logits: &mut [f32],
        vocabulary: usize,
        targets: &[u32],
        losses: &mut [f32],
        normalisers: &mut [f32],
    ) {
        let rows = logits.chunks_exact_mut(vocabulary).zip(targets);
        for ((row, &target), (loss, normaliser)) in rows.zip(losses.iter_mut().zip(normalisers)) {
            let of_target = row[target as usize];
            let mut largest = V::splat(f32::NEG_INFINITY);
            for at in (0..vocabulary).step_by(LANES) {
                largest = largest.larger(load(row, at, f32::NEG_INFINITY));
            }
            let largest = largest.max();
            let mut totals = V::splat(0.0);
            for at in (0..vocabulary).step_by(LANES) {
                let value = exp(load::<V>(row, at, f32::NEG_INFINITY).subtract(V::splat(largest)));
                totals = totals.add(value);
                store(value, row, at);
            }
            let total = totals.sum();
            *loss = libm::logf(total) + largest - of_target;
            *normaliser = 1.0 / total;
        }
    }
}

multiversion! {
    /// Turns exponentials into the gradient of the logits, given the gradient of each row's loss.
    pub fn backward<V>(
        exponentials: &mut [f32],
        vocabulary: usize,
        targets: &[u32],
        normalisers: &[f32],
        upstream: &[f32],
    ) {
        let rows = exponentials.chunks_exact_mut(vocabulary).zip(targets);
        for ((row, &target), (&normaliser, &upstream)) in rows.zip(normalisers.iter().zip(upstream)) {
            for at in (0..vocabulary).step_by(LANES) {
                store(load::<V>(row, at, 0.0).multiply(V::splat(normaliser * upstream)), row, at);
            }
            row[target as usize] -= upstream;
        }
    }
}
