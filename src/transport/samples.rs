//! Sync samples: with its upload a peer publishes two values of every tensor of its model. From these a validator tells
//! how many steps the peer's replica is away from its own (Lidin et al., arXiv 2505.21684, section on synchronisation).
//!
//! The positions change with the round, so that a peer cannot keep a few values right and let the rest drift.

use rand::Rng;

use crate::model::ParamLayout;

/// The two positions within tensor number `tensor`, of `len` values, that peers publish in a round. They differ if
/// `len` is at least 2.
pub fn positions(seed: u64, round: u64, tensor: usize, len: usize) -> [usize; 2] {
    let mut rng = crate::random::rng(seed, "sync samples", tensor as u64, round);
    let mut below = |bound: usize| ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize;
    let first = below(len);
    let other = below(len.saturating_sub(1));
    [first, if len > 1 && other >= first { other + 1 } else { other }]
}

/// The values that a peer publishes, two per tensor in the layout's order.
///
/// # Panics
/// If `theta` is shorter than the layout, or the layout has an empty tensor.
pub fn of_model(theta: &[f32], layout: &ParamLayout, seed: u64, round: u64) -> Vec<[f32; 2]> {
    layout
        .tensors
        .iter()
        .enumerate()
        .map(|(number, tensor)| {
            let values = &theta[tensor.range.clone()];
            positions(seed, round, number, values.len()).map(|at| values[at])
        })
        .collect()
}

/// How many sign steps of size `lr` the peer's model is away from the validator's: mean |theta_validator - theta_peer|
/// / lr over the sampled parameters. Infinite if the samples cannot be compared: their numbers differ, there are none,
/// or one is not finite.
pub fn steps_behind(validator_samples: &[f32], peer_samples: &[f32], lr: f64) -> f64 {
    if validator_samples.len() != peer_samples.len() || peer_samples.is_empty() {
        return f64::INFINITY;
    }
    let distance: f64 = validator_samples
        .iter()
        .zip(peer_samples)
        .map(|(&ours, &theirs)| (f64::from(ours) - f64::from(theirs)).abs())
        .sum();
    let steps = distance / peer_samples.len() as f64 / lr;
    if distance == 0.0 {
        0.0
    } else if steps.is_nan() {
        f64::INFINITY
    } else {
        steps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn positions_differ_and_reach_every_value() {
        let mut seen = BTreeSet::new();
        for round in 0..200 {
            let [first, second] = positions(7, round, 3, 5);
            assert!(first < 5 && second < 5 && first != second);
            seen.insert((first, second));
        }
        assert_eq!(seen.len(), 20, "all ordered pairs of 5 positions occur");
        assert_eq!(positions(7, 0, 0, 1), [0, 0]);
    }

    #[test]
    fn positions_depend_on_seed_round_and_tensor() {
        let len = 1 << 40;
        let base = positions(7, 1, 2, len);
        assert_eq!(base, positions(7, 1, 2, len));
        for other in [positions(8, 1, 2, len), positions(7, 2, 2, len), positions(7, 1, 3, len)] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn samples_are_the_models_values() {
        let layout = ParamLayout::new([("a".into(), vec![4, 2]), ("b".into(), vec![1])]);
        let theta: Vec<f32> = (0..9).map(|i| i as f32).collect();
        let samples = of_model(&theta, &layout, 7, 5);
        assert_eq!(samples[0], positions(7, 5, 0, 8).map(|at| at as f32));
        assert_eq!(samples[1], [8.0, 8.0]);
    }

    #[test]
    fn counts_steps() {
        let ours = [0.0f32, 0.5, -0.25];
        let theirs = [0.002f32, 0.498, -0.248];
        assert!((steps_behind(&ours, &theirs, 1e-3) - 2.0).abs() < 1e-4);
        assert_eq!(steps_behind(&ours, &ours, 1e-3), 0.0);
        assert_eq!(steps_behind(&ours, &ours, 0.0), 0.0);
    }

    #[test]
    fn hostile_samples_are_infinitely_far() {
        let ours = [0.0f32, 1.0];
        for theirs in [&[0.0f32, f32::NAN][..], &[f32::INFINITY, 1.0], &[0.0], &[]] {
            assert_eq!(steps_behind(&ours, theirs, 1e-3), f64::INFINITY, "{theirs:?}");
        }
        assert_eq!(steps_behind(&[], &[], 1e-3), f64::INFINITY);
        assert!(steps_behind(&[f32::MAX; 4], &[f32::MIN; 4], 1e-3).is_finite());
    }
}
