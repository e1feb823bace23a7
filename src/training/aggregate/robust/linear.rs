//! Rules whose update is a weighted sum of the vectors. Each returns a factor for every vector.

use super::vectors::Geometry;

/// Iterations of clipping around a moving centre.
const CLIPPINGS: usize = 3;

/// The same factor for all vectors.
pub fn mean(geometry: &Geometry) -> Vec<f64> {
    let n = geometry.len();
    vec![1.0 / n as f64; n]
}

/// Selects the vector whose neighbours are closest; the first if several are equal.
pub fn krum(geometry: &Geometry, f: usize) -> Vec<f64> {
    let scores = scores(geometry, f);
    let best = (0..scores.len()).min_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("a payload");
    (0..scores.len()).map(|at| f64::from(u8::from(at == best))).collect()
}

/// Selects the `n - f` best by the same score, with equal factors.
pub fn multi_krum(geometry: &Geometry, f: usize) -> Vec<f64> {
    let scores = scores(geometry, f);
    let (n, kept) = (scores.len(), scores.len() - f);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut factors = vec![0.0; n];
    order[..kept].iter().for_each(|&at| factors[at] = 1.0 / kept as f64);
    factors
}

/// Krum's score: the sum of squared distances to the `n - f - 1` nearest others.
fn scores(geometry: &Geometry, f: usize) -> Vec<f64> {
    let n = geometry.len();
    let score = |at: usize| {
        let mut distances: Vec<f64> = (0..n).filter(|&to| to != at).map(|to| geometry.distance2(at, to)).collect();
        distances.sort_by(f64::total_cmp);
        distances[..n - f - 1].iter().sum()
    };
    (0..n).map(score).collect()
}

/// Starts from 0 and moves the centre by the mean difference to the vectors, each clipped to `radius` median norms.
///
/// The centre is itself a sum of the vectors, so distances from it follow from inner products.
pub fn centered_clip(geometry: &Geometry, radius: f64) -> Vec<f64> {
    let n = geometry.len();
    let mut norms: Vec<f64> = (0..n).map(|at| geometry.product(at, at).sqrt()).collect();
    norms.sort_by(f64::total_cmp);
    let limit = radius * norms[(n - 1) / 2];
    let mut centre = vec![0.0; n];
    for _ in 0..CLIPPINGS {
        let clipped: Vec<f64> = (0..n)
            .map(|at| {
                let distance = geometry.distance2_from_sum(at, &centre).sqrt();
                if distance > limit { limit / distance } else { 1.0 }
            })
            .collect();
        let kept = 1.0 - clipped.iter().sum::<f64>() / n as f64;
        for (factor, clipped) in centre.iter_mut().zip(&clipped) {
            *factor = *factor * kept + clipped / n as f64;
        }
    }
    centre
}
