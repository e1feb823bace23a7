//! Mean payloads of groups, computed before a rule is applied. Means spread less than single payloads, so fewer
//! dishonest payloads can hide among differing honest ones.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::vectors::Geometry;
use crate::random::rng;

/// How groups are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Replaces each payload by the mean of the `n - f` nearest to it, including itself (Allouah et al., arXiv
    /// 2302.01772).
    NearestNeighbourMixing,
    /// Shuffles the payloads and averages them in pairs (Karimireddy et al., arXiv 2006.09365).
    Bucketing,
}

/// Payloads per bucket.
const BUCKET: usize = 2;

/// The members of each group. `lot` keys the shuffle. It follows from the payloads, so the last peer to upload can
/// choose among shuffles.
pub fn groups(before: Option<Before>, geometry: &Geometry, f: usize, lot: u64) -> Vec<Vec<usize>> {
    let n = geometry.len();
    match before {
        None => (0..n).map(|at| vec![at]).collect(),
        Some(Before::NearestNeighbourMixing) => (0..n)
            .map(|at| {
                let mut order: Vec<usize> = (0..n).collect();
                // A payload is always in its own group, even if others are equally near.
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

/// Factors of the payloads, derived from factors of the groups' means.
pub fn spread(factors: &[f64], groups: &[Vec<usize>], payloads: usize) -> Vec<f64> {
    let mut of_payloads = vec![0.0; payloads];
    for (factor, group) in factors.iter().zip(groups) {
        for &member in group {
            of_payloads[member] += factor / group.len() as f64;
        }
    }
    of_payloads
}
