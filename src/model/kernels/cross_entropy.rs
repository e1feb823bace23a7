//! Softmax cross-entropy of a row of logits against a token.

use super::simd::{exp, max, multiply_add, multiversion};

multiversion! {
    /// Turns logits [targets.len(), vocabulary] into probabilities, and writes each row's `-ln p(target)`.
    pub fn forward<FMA>(logits: &mut [f32], vocabulary: usize, targets: &[u32], losses: &mut [f32]) {
        for ((row, &target), loss) in logits.chunks_exact_mut(vocabulary).zip(targets).zip(losses) {
            let largest = max(row);
            let of_target = row[target as usize];
            for value in row.iter_mut() {
                *value = exp::<FMA>(*value - largest);
            }
            let total = super::simd::sum(vocabulary, |i| row[i]);
            *loss = libm::logf(total) + largest - of_target;
            let scale = 1.0 / total;
            for value in row.iter_mut() {
                *value *= scale;
            }
        }
    }
}

multiversion! {
    /// Turns probabilities into the gradient of the logits, given the gradient of each row's loss.
    pub fn backward<FMA>(probabilities: &mut [f32], vocabulary: usize, targets: &[u32], upstream: &[f32]) {
        for ((row, &target), &upstream) in probabilities.chunks_exact_mut(vocabulary).zip(targets).zip(upstream) {
            for value in row.iter_mut() {
                *value *= upstream;
            }
            let of_target = &mut row[target as usize];
            *of_target = multiply_add::<FMA>(-1.0, upstream, *of_target);
        }
    }
}
