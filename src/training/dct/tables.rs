//! The orthonormal DCT-II as tables for matrix products.
//!
//! Frequency u of n points is `x -> s(u) sum_i cos(pi (2i + 1) u / 2n) x[i]`, s(0) = sqrt(1/n), else sqrt(2/n). Its
//! vector is symmetric about the middle for even u and antisymmetric for odd u. So one fold `(x[i] + x[n-1-i], x[i] -
//! x[n-1-i])` leaves two products of half the size, and the even half is a DCT again. Cosines are folded to the first
//! quadrant before they are looked up: symmetries hold to the last bit, also in the rounded table of exact aggregation.

use std::sync::OnceLock;

use crate::training::chunks::MAX_CHUNK;

/// A DCT of this many points or fewer is a plain product: halving it further would leave products narrower than a SIMD
/// register.
const PLAIN: usize = 16;

/// Bits of the fraction of [`exact_inverse`].
pub const EXACT_BITS: i32 = 20;

/// The DCT of `n` points, as a list of products of ever smaller halves.
pub struct Forward {
    pub stages: Vec<Stage>,
    /// Frequency of each output, outputs of the first stage first.
    pub frequency: Vec<u16>,
}

/// One product of a [`Forward`]: `points` folded points give `points` frequencies.
pub struct Stage {
    pub points: usize,
    /// `[points, points]`: point, then frequency.
    pub table: Vec<f32>,
    /// Whether this stage takes the differences of a fold, and later stages the sums. If not, it takes all remaining
    /// points.
    pub folds: bool,
}

/// The first half of each basis vector; the second half is its mirror image, negated for odd frequencies.
pub struct Inverse<T> {
    n: usize,
    /// Points in half a vector, the middle one included: `ceil(n / 2)`.
    pub half: usize,
    /// Vectors of even frequencies, then those of odd ones.
    table: Vec<T>,
}

/// Position of frequency `u` of `n`, with even ones before odd ones.
pub fn by_parity(u: usize, n: usize) -> usize {
    u / 2 + u % 2 * n.div_ceil(2)
}

impl<T> Inverse<T> {
    fn new(n: usize, number: impl Fn(f64) -> T) -> Self {
        let (cosines, half) = (Cosines::new(n), n.div_ceil(2));
        let frequencies = (0..n).step_by(2).chain((1..n).step_by(2));
        let table =
            frequencies.flat_map(|u| (0..half).map(move |i| (u, i))).map(|(u, i)| number(cosines.at(u, i))).collect();
        Self { n, half, table }
    }

    /// The first [`half`](Self::half) values of the basis vector of frequency `u`.
    #[inline(always)]
    pub fn vector(&self, u: usize) -> &[T] {
        &self.table[by_parity(u, self.n) * self.half..][..self.half]
    }

    /// The first [`half`](Self::half) values of the basis vectors of all even (0) or odd (1) frequencies.
    #[inline(always)]
    pub fn of_parity(&self, parity: usize) -> std::slice::ChunksExact<'_, T> {
        let (even, odd) = self.table.split_at(self.half * self.half);
        [even, odd][parity].chunks_exact(self.half)
    }
}

impl Forward {
    fn new(n: usize) -> Self {
        let cosines = Cosines::new(n);
        let (mut stages, mut frequency) = (Vec::new(), Vec::with_capacity(n));
        // After l folds, `left` = n / 2^l points are left and frequencies that are multiples of 2^l to be found.
        let (mut left, mut step) = (n, 1);
        loop {
            let folds = left > PLAIN && left.is_multiple_of(2);
            let points = if folds { left / 2 } else { left };
            let found: Vec<usize> = (0..points).map(|u| if folds { (2 * u + 1) * step } else { u * step }).collect();
            let table = (0..points).flat_map(|i| found.iter().map(move |&u| (u, i)));
            stages.push(Stage { points, table: table.map(|(u, i)| cosines.at(u, i) as f32).collect(), folds });
            frequency.extend(found.iter().map(|&u| u as u16));
            if !folds {
                return Self { stages, frequency };
            }
            (left, step) = (points, 2 * step);
        }
    }
}

/// The DCT of `n` points, 1 to [`MAX_CHUNK`].
pub fn forward(n: usize) -> &'static Forward {
    static TABLES: [OnceLock<Forward>; MAX_CHUNK + 1] = [const { OnceLock::new() }; MAX_CHUNK + 1];
    TABLES[n].get_or_init(|| Forward::new(n))
}

/// The inverse DCT of `n` points, 1 to [`MAX_CHUNK`].
pub fn inverse(n: usize) -> &'static Inverse<f32> {
    static TABLES: [OnceLock<Inverse<f32>>; MAX_CHUNK + 1] = [const { OnceLock::new() }; MAX_CHUNK + 1];
    TABLES[n].get_or_init(|| Inverse::new(n, |cosine| cosine as f32))
}

/// The whole `[n, n]` matrix of the DCT: frequency, then point.
pub fn basis(n: usize) -> Vec<f32> {
    let cosines = Cosines::new(n);
    (0..n).flat_map(|u| (0..n).map(move |i| (u, i))).map(|(u, i)| cosines.at(u, i) as f32).collect()
}

/// The inverse DCT of `n` points, 1 to [`MAX_CHUNK`], times 2^[`EXACT_BITS`] and rounded to whole numbers, halves away
/// from zero.
pub fn exact_inverse(n: usize) -> &'static Inverse<f64> {
    static TABLES: [OnceLock<Inverse<f64>>; MAX_CHUNK + 1] = [const { OnceLock::new() }; MAX_CHUNK + 1];
    TABLES[n].get_or_init(|| Inverse::new(n, |cosine| (cosine * f64::from(1 << EXACT_BITS)).round()))
}

/// The whole `[n, n]` matrix of [`exact_inverse`]: frequency, then point.
pub fn exact_basis(n: usize) -> Vec<f64> {
    let table = exact_inverse(n);
    let entry = |u: usize, i: usize| match table.vector(u).get(i) {
        Some(&first_half) => first_half,
        None if u.is_multiple_of(2) => table.vector(u)[n - 1 - i],
        None => -table.vector(u)[n - 1 - i],
    };
    (0..n).flat_map(|u| (0..n).map(move |i| entry(u, i))).collect()
}

/// Entries of the orthonormal DCT-II of n points, the same on every machine: one libm cosine for each angle of the
/// first quadrant.
struct Cosines {
    n: usize,
    /// cos(pi a / 2n) for a = 0 to n.
    quadrant: Vec<f64>,
}

impl Cosines {
    fn new(n: usize) -> Self {
        let angle = |a: usize| std::f64::consts::PI * a as f64 / (2 * n) as f64;
        let mut quadrant: Vec<f64> = (0..n).map(|a| libm::cos(angle(a))).collect();
        quadrant.push(0.0);
        Self { n, quadrant }
    }

    /// Point `i` of basis vector `u`.
    fn at(&self, u: usize, i: usize) -> f64 {
        let n = self.n;
        let turn = (2 * i + 1) * u % (4 * n);
        let half_turn = turn.min(4 * n - turn);
        let cosine = if half_turn <= n { self.quadrant[half_turn] } else { -self.quadrant[2 * n - half_turn] };
        let scale = if u == 0 { 1.0 } else { 2.0 };
        cosine * f64::sqrt(scale / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_the_orthonormal_dct() {
        for n in [1, 2, 5, 48, 61, 64, 256] {
            let cosines = Cosines::new(n);
            for u in 0..n {
                let scale = if u == 0 { (1.0 / n as f64).sqrt() } else { (2.0 / n as f64).sqrt() };
                for i in 0..n {
                    let expected = scale * (std::f64::consts::PI * ((2 * i + 1) * u) as f64 / (2 * n) as f64).cos();
                    assert!((cosines.at(u, i) - expected).abs() < 1e-13, "n {n} u {u} i {i}");
                    let mirror = if u % 2 == 0 { 1.0 } else { -1.0 };
                    assert_eq!(cosines.at(u, n - 1 - i), mirror * cosines.at(u, i), "n {n} u {u} i {i}");
                }
            }
        }
    }

    #[test]
    fn every_frequency_is_found_once() {
        for n in 1..=MAX_CHUNK {
            let mut frequencies = forward(n).frequency.clone();
            frequencies.sort_unstable();
            assert!(frequencies.iter().map(|&u| usize::from(u)).eq(0..n), "{n}");
        }
    }

    #[test]
    fn exact_basis_keeps_both_passes_below_2_to_53() {
        // 2^20 bounds a coefficient and rounding 2^-20 of a pass; a column of the basis has an L1 norm of at most about
        // sqrt(n).
        for n in 1..=MAX_CHUNK {
            let table = exact_inverse(n);
            let largest =
                (0..table.half).map(|i| (0..n).map(|u| table.vector(u)[i].abs()).sum::<f64>()).fold(0.0, f64::max);
            let first = largest * f64::from(1 << 20);
            let second = (first / f64::from(1 << EXACT_BITS) + 1.0) * largest;
            assert!(first < 2f64.powi(53) && second < 2f64.powi(53), "{n}: {first} {second}");
        }
    }
}
