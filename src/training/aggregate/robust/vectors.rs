//! The payloads of a round as vectors of whole numbers, and their geometry.

use crate::digest::Digest;
use crate::training::aggregate::exact::{VALUE_LIMIT, rms, round};
use crate::training::aggregate::seam::Weighted;
use crate::training::{Basis, ChunkLayout, PayloadLayout, PseudoGradient, SparseTensor, TensorChunks};

/// Fraction bits of a factor in an inner product.
const PRODUCT_BITS: i32 = 15;

/// Fraction bits of a value, relative to its unit.
fn fraction_bits(basis: Basis) -> i32 {
    match basis {
        Basis::Dct => 15,
        Basis::Values => 32,
    }
}

/// Payloads of one layout in a canonical order, each repeated by its weight.
///
/// A value is `v / unit`, clamped to +-32 and rounded to a multiple of 2^-15 for DCT coefficients or 2^-32 for
/// parameter values. For DCT coefficients, the unit is the root mean square of the payload's tensor, as in
/// `sign-of-mean`. For parameter values it is the median of the payloads' root mean squares, the same for all, so that
/// sizes keep their meaning.
pub struct Vectors<'a> {
    pub chunks: &'a ChunkLayout,
    pub basis: Basis,
    payloads: Vec<&'a PseudoGradient>,
    /// The unit of each payload, by tensor.
    units: Vec<Vec<f64>>,
    lot: u64,
}

/// All payloads' values of one chunk.
pub struct Row<'a> {
    /// One per payload.
    values: &'a [Vec<f64>],
    scratch: Vec<f64>,
}

impl<'a> Vectors<'a> {
    pub fn new(layout: &'a PayloadLayout, payloads: &[Weighted<'a>]) -> Self {
        let mut sorted: Vec<(Digest, &PseudoGradient)> = (payloads.iter())
            .flat_map(|weighted| {
                let one = (digest(weighted.payload), weighted.payload);
                std::iter::repeat_n(one, weighted.weight.into())
            })
            .collect();
        sorted.sort_by_key(|(digest, _)| *digest);
        let all = Digest::of_parts(sorted.iter().map(|(digest, _)| &digest.0[..]));
        let lot = u64::from_le_bytes(*all.0.first_chunk().expect("a digest has 32 bytes"));
        let payloads: Vec<&PseudoGradient> = sorted.into_iter().map(|(_, payload)| payload).collect();
        let units = (0..layout.chunks.tensors.len()).map(|tensor| units(layout.basis, &payloads, tensor)).collect();
        Self { chunks: &layout.chunks, basis: layout.basis, payloads, units, lot }
    }

    /// A number derived from all payloads.
    pub fn lot(&self) -> u64 {
        self.lot
    }

    /// The value that the whole number 1 stands for in a tensor whose unit is the same for all payloads.
    pub fn one(&self, tensor: usize) -> f64 {
        self.units[tensor][0] / power_of_two(fraction_bits(self.basis))
    }

    /// Passes the chunks of a tensor to `take`, one after another.
    pub fn each_chunk(&self, tensor: usize, mut take: impl FnMut(usize, Row)) {
        let chunks = &self.chunks.tensors[tensor];
        let mut values = vec![vec![0.0; chunks.size()]; self.payloads.len()];
        for chunk in 0..chunks.chunks() {
            for ((payload, unit), values) in self.payloads.iter().zip(&self.units[tensor]).zip(&mut values) {
                values.fill(0.0);
                dense(&payload.tensors[tensor], chunks, chunk, (*unit, fraction_bits(self.basis)), values);
            }
            take(chunk, Row { values: &values, scratch: Vec::new() });
        }
    }
}

impl Row<'_> {
    /// The sum of the payloads' values, each times its factor.
    pub fn sum(&self, factors: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (values, factor) in self.values.iter().zip(factors).filter(|(_, factor)| **factor != 0.0) {
            out.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
        }
    }

    /// Applies `decide` to the groups' means of each coefficient.
    pub fn coordinates(mut self, groups: &[Vec<usize>], decide: impl Fn(&mut [f64]) -> f64, out: &mut [f64]) {
        for (at, out) in out.iter_mut().enumerate() {
            self.scratch.clear();
            let mean = |group: &Vec<usize>| {
                group.iter().map(|&member| self.values[member][at]).sum::<f64>() / group.len() as f64
            };
            self.scratch.extend(groups.iter().map(mean));
            *out = decide(&mut self.scratch);
        }
    }
}

/// Inner products of vectors.
pub struct Geometry {
    n: usize,
    products: Vec<f64>,
}

impl Geometry {
    /// The inner products of all payloads, which are exact sums of whole numbers within a tensor.
    pub fn of(vectors: &Vectors) -> Self {
        let n = vectors.payloads.len();
        let mut products = vec![0.0; n * n];
        for (tensor, units) in vectors.units.iter().enumerate() {
            let mut exact = vec![0i128; n * n];
            let down = power_of_two(fraction_bits(vectors.basis) - PRODUCT_BITS).recip();
            vectors.each_chunk(tensor, |_, row| {
                let whole = |values: &Vec<f64>| values.iter().map(|value| round(value * down) as i64).collect();
                let values: Vec<Vec<i64>> = row.values.iter().map(whole).collect();
                for a in 0..n {
                    for b in 0..=a {
                        exact[a * n + b] += i128::from(product(&values[a], &values[b]));
                    }
                }
            });
            let square = match vectors.basis {
                Basis::Values => units[0] * units[0],
                Basis::Dct => 1.0,
            };
            for (sum, exact) in products.iter_mut().zip(exact) {
                *sum += square * exact as f64;
            }
        }
        for a in 0..n {
            for b in 0..a {
                products[b * n + a] = products[a * n + b];
            }
        }
        Self { n, products }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.n
    }

    pub fn product(&self, a: usize, b: usize) -> f64 {
        self.products[a * self.n + b]
    }

    /// The squared distance between two vectors.
    pub fn distance2(&self, a: usize, b: usize) -> f64 {
        (self.product(a, a) + self.product(b, b) - 2.0 * self.product(a, b)).max(0.0)
    }

    /// The squared distance between a vector and the weighted sum of all.
    pub fn distance2_from_sum(&self, at: usize, factors: &[f64]) -> f64 {
        let with = |of: usize| -> f64 { (0..self.n).map(|j| factors[j] * self.product(of, j)).sum() };
        let square: f64 = (0..self.n).map(|i| factors[i] * with(i)).sum();
        (self.product(at, at) - 2.0 * with(at) + square).max(0.0)
    }

    /// The geometry of the groups' means.
    pub fn of_groups(&self, groups: &[Vec<usize>]) -> Self {
        let n = groups.len();
        let mut products = vec![0.0; n * n];
        for (a, of_a) in groups.iter().enumerate() {
            for (b, of_b) in groups.iter().enumerate() {
                let pairs = of_a.iter().flat_map(|&i| of_b.iter().map(move |&j| (i, j)));
                let sum: f64 = pairs.map(|(i, j)| self.product(i, j)).sum();
                products[a * n + b] = sum / (of_a.len() * of_b.len()) as f64;
            }
        }
        Self { n, products }
    }
}

/// A sum of 2^16 products of numbers up to 2^20 is far below the limit of an i64.
fn product(a: &[i64], b: &[i64]) -> i64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The unit of each payload's values of a tensor.
fn units(basis: Basis, payloads: &[&PseudoGradient], tensor: usize) -> Vec<f64> {
    let mut sizes: Vec<f64> = payloads.iter().map(|payload| rms(&payload.tensors[tensor].values)).collect();
    if basis == Basis::Values {
        sizes.sort_by(f64::total_cmp);
        let median = sizes[(sizes.len() - 1) / 2];
        sizes.fill(median);
    }
    sizes
}

/// Writes a chunk of a payload into `values`.
fn dense(sparse: &SparseTensor, chunks: &TensorChunks, chunk: usize, (unit, bits): (f64, i32), values: &mut [f64]) {
    if unit == 0.0 {
        return;
    }
    let sent = chunk * chunks.k..(chunk + 1) * chunks.k;
    for (&index, &value) in sparse.indices[sent.clone()].iter().zip(&sparse.values[sent]) {
        let relative = (f64::from(value) / unit).clamp(-VALUE_LIMIT, VALUE_LIMIT);
        values[usize::from(index)] = round(relative * power_of_two(bits));
    }
}

/// Digest of a payload's coefficients.
fn digest(payload: &PseudoGradient) -> Digest {
    let mut bytes = Vec::new();
    for tensor in &payload.tensors {
        tensor.indices.iter().for_each(|index| bytes.extend(index.to_le_bytes()));
        tensor.values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    }
    Digest::of(&bytes)
}

fn power_of_two(exponent: i32) -> f64 {
    (1u64 << exponent) as f64
}
