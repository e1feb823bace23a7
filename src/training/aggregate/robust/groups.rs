//! Mean payloads of groups, made before a rule is applied: they spread less than single payloads, which hides fewer
//! dishonest ones among honest ones that differ.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::vectors::Geometry;
use crate::random::rng;

/// How groups are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Each payload is replaced by the mean of the `n - f` nearest to it, itself among them (Allouah et al., arXiv
    /// 2302.01772).
    NearestNeighbourMixing,
    /// Payloads are shuffled and averaged in pairs (Karimireddy et al., arXiv 2006.09365).
    Bucketing,
}

/// Payloads in a bucket.
const BUCKET: usize = 2;

/// The members of each group. `lot` keys the shuffle. It follows from the payloads, so that
/// who uploads last can choose among shuffles.
pub fn groups(before: Option<Before>, geometry: &Geometry, f: usize, lot: u64) -> Vec<Vec<usize>> {
    let n = geometry.len();
    match before {
        None => (0..n).map(|at| vec![at]).collect(),
        Some(Before::NearestNeighbourMixing) => (0..n)
            .map(|at| {
                let mut order: Vec<usize> = (0..n).collect();
                // A payload is in its own group, whatever else is as near.
                let distance = |to: usize| if to == at { -1.0 } else { geometry.distance2(at, to) };
                order.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
                order.truncate(n - f);
                order.sort_unstable();
                order
            })
            .collect(),
        Some(Before::Bucketing) => {
            let mut order: Vec<usize> = (0..n).collect();
            order.shuffle(&mut rng(lot, "bucketing", 0, 0));
            order.chunks(BUCKET).map(|bucket| bucket.to_vec()).collect()
        }
    }
}

/// Factors of payloads, from factors of the groups' means.
pub fn spread(factors: &[f64], groups: &[Vec<usize>], payloads: usize) -> Vec<f64> {
    let mut of_payloads = vec![0.0; payloads];
    for (factor, group) in factors.iter().zip(groups) {
        for &member in group {
            of_payloads[member] += factor / group.len() as f64;
        }
    }
    of_payloads
}
