//! Causal grouped-query attention on rotated queries, keys and values, a block of queries at a time.
//!
//! Scores are not kept. The backward pass recomputes them with each row's maximum and sum (as in FlashAttention, Dao et
//! al., arXiv 2205.14135). Keys after the last query of a block are skipped.

use super::buffer::Buffer;
use super::math::{dot, exp};
use super::matrix::{Factor, Matrix, MatrixMut, multiply_by};
use super::vector::{LANES, Vector, load, multiversion, store};

/// Queries in a block: as many as a vector holds keys, so that the causal mask only cuts the last vector of a row.
const BLOCK: usize = LANES;

/// Shape of a batch: heads and sequence length.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub count: usize,
    /// Key and value heads.
    pub kv_count: usize,
    /// Width of a head.
    pub size: usize,
    /// Tokens in a sequence.
    pub length: usize,
}

/// What turns a query's scores into probabilities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// The largest score, scaled.
    largest: f32,
    /// 1 / the sum of exponentials of the scores less the largest.
    normaliser: f32,
}

impl Heads {
    /// Values of a token in `qkv`: queries, then keys, then values.
    pub fn row(&self) -> usize {
        (self.count + 2 * self.kv_count) * self.size
    }

    /// Values of a token in the output.
    pub fn mixed(&self) -> usize {
        self.count * self.size
    }

    fn scale(&self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// Columns at which a head's query, key and value begin in a row.
    fn columns(&self, head: usize) -> [usize; 3] {
        let kv_head = head / (self.count / self.kv_count);
        [head, self.count + kv_head, self.count + self.kv_count + kv_head].map(|index| index * self.size)
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.length).step_by(BLOCK).map(|start| (start, (start + BLOCK).min(self.length)))
    }
}

/// Attends: reads `qkv` [tokens, row], writes `mixed` [tokens, count x size] and `sums` [sequences, count, length].
pub fn forward(heads: Heads, qkv: &[f32], mixed: &mut [f32], sums: &mut [Sum]) {
    let (row, width, length, size) = (heads.row(), heads.mixed(), heads.length, heads.size);
    let mut scores = Buffer::new(BLOCK * length.next_multiple_of(LANES));
    let sequences = qkv.chunks_exact(length * row).zip(mixed.chunks_exact_mut(length * width));
    for ((qkv, mixed), sums) in sequences.zip(sums.chunks_exact_mut(heads.count * length)) {
        for (head, sums) in sums.chunks_exact_mut(length).enumerate() {
            let [query, key, value] = heads.columns(head);
            let keys = Factor::new(Matrix::strided(&qkv[key..], length, size, row).transposed());
            let values = Factor::new(Matrix::strided(&qkv[value..], length, size, row));
            for (start, end) in heads.blocks() {
                let (rows, stride) = (end - start, end.next_multiple_of(LANES));
                let scores = &mut scores[..rows * stride];
                let queries = Matrix::strided(&qkv[start * row + query..], rows, size, row);
                multiply_by(MatrixMut::strided(scores, rows, end, stride), queries, &keys, 0, false);
                exponentials(scores, stride, heads.scale(), &mut sums[start..end]);
                let out = MatrixMut::strided(&mut mixed[start * width + head * size..], rows, size, width);
                multiply_by(out, Matrix::strided(scores, rows, end, stride), &values, 0, false);
                scale_rows(&mut mixed[start * width + head * size..], size, width, &sums[start..end]);
            }
        }
    }
}

/// Adds the gradients of queries, keys and values to `qkv_grad`, given the gradient `upstream` of `mixed`.
pub fn backward(heads: Heads, qkv: &[f32], mixed: &[f32], sums: &[Sum], upstream: &[f32], qkv_grad: &mut [f32]) {
    let (row, width, length, size) = (heads.row(), heads.mixed(), heads.length, heads.size);
    let mut scores = Buffer::new(BLOCK * length.next_multiple_of(LANES));
    let mut score_grads = scores.clone();
    let mut along = [0.0; BLOCK];
    let sequences = qkv.chunks_exact(length * row).zip(qkv_grad.chunks_exact_mut(length * row));
    let mixes = mixed.chunks_exact(length * width).zip(upstream.chunks_exact(length * width));
    for (((qkv, qkv_grad), (mixed, upstream)), sums) in
        sequences.zip(mixes).zip(sums.chunks_exact(heads.count * length))
    {
        for (head, sums) in sums.chunks_exact(length).enumerate() {
            let [query, key, value] = heads.columns(head);
            let whole = |column: usize| Matrix::strided(&qkv[column..], length, size, row);
            let out_grad = Matrix::strided(&upstream[head * size..], length, size, width);
            let factors = [whole(key).transposed(), whole(value).transposed(), whole(key), whole(query), out_grad];
            let [keys_transposed, values_transposed, keys, queries, out_grads] = &factors.map(Factor::new);

            for (start, end) in heads.blocks() {
                let (rows, stride) = (end - start, end.next_multiple_of(LANES));
                let (scores, score_grads) = (&mut scores[..rows * stride], &mut score_grads[..rows * stride]);
                let query_block = Matrix::strided(&qkv[start * row + query..], rows, size, row);
                let out_grad = &upstream[start * width + head * size..];
                row_products(out_grad, &mixed[start * width + head * size..], size, width, &mut along[..rows]);
                let out_grad = Matrix::strided(out_grad, rows, size, width);

                multiply_by(MatrixMut::strided(scores, rows, end, stride), query_block, keys_transposed, 0, false);
                multiply_by(MatrixMut::strided(score_grads, rows, end, stride), out_grad, values_transposed, 0, false);
                softmax_backward(scores, score_grads, stride, heads.scale(), &sums[start..end], &along);

                let (scores, score_grads) =
                    (Matrix::strided(scores, rows, end, stride), Matrix::strided(score_grads, rows, end, stride));
                let mut add = |column: usize, count: usize, a: Matrix, b: &Factor, first_row: usize| {
                    let out = MatrixMut::strided(&mut qkv_grad[column..], count, size, row);
                    multiply_by(out, a, b, first_row, true);
                };
                add(value, end, scores.transposed(), out_grads, start);
                add(key, end, score_grads.transposed(), queries, start);
                add(start * row + query, rows, score_grads, keys, 0);
            }
        }
    }
}

/// Infinity for the keys up to a query and negative infinity for later ones, if read at `LANES - 1 - query % LANES`.
const MASK: [f32; 2 * LANES - 1] = {
    let mut mask = [f32::INFINITY; 2 * LANES - 1];
    let mut later = LANES;
    while later < mask.len() {
        mask[later] = f32::NEG_INFINITY;
        later += 1;
    }
    mask
};

/// Scores of query number `offset` in its block, from key `at` on.
///
/// The last vector may reach past the end of the sequence, to memory with any content. Taking the minimum with the mask
/// removes it.
#[inline(always)]
fn masked<V: Vector>(row: &[f32], at: usize, offset: usize) -> V {
    let scores = load::<V>(row, at, 0.0);
    if at + LANES == row.len() { scores.smaller(load(&MASK, LANES - 1 - offset, 0.0)) } else { scores }
}

multiversion! {
    /// Turns the scores of a block of queries, in rows of `stride` values, into exponentials; 0 for keys after the
    /// query.
    ///
    /// It makes two passes over the block, because the steps within a row wait for each other.
    fn exponentials<V>(scores: &mut [f32], stride: usize, scale: f32, sums: &mut [Sum]) {
        for (offset, (row, sum)) in scores.chunks_exact(stride).zip(sums.iter_mut()).enumerate() {
            let mut largest = V::splat(f32::NEG_INFINITY);
            for at in (0..stride).step_by(LANES) {
                largest = largest.larger(masked(row, at, offset));
            }
            sum.largest = largest.max() * scale;
        }
        for (offset, (row, sum)) in scores.chunks_exact_mut(stride).zip(sums.iter_mut()).enumerate() {
            let mut total = V::splat(0.0);
            for at in (0..stride).step_by(LANES) {
                let score = masked::<V>(row, at, offset);
                let value = exp(score.multiply_add(V::splat(scale), V::splat(-sum.largest)));
                total = total.add(value);
                store(value, row, at);
            }
            sum.normaliser = 1.0 / total.sum();
        }
    }
}

multiversion! {
    /// Turns scores into probabilities again, and their gradients into those of the products of query and key.
    fn softmax_backward<V>(
        scores: &mut [f32],
        grads: &mut [f32],
        stride: usize,
        scale: f32,
        sums: &[Sum],
        along: &[f32],
    ) {
        let rows = scores.chunks_exact_mut(stride).zip(grads.chunks_exact_mut(stride));
        for (offset, ((row, grads), (sum, &along))) in rows.zip(sums.iter().zip(along)).enumerate() {
            for at in (0..stride).step_by(LANES) {
                let score = masked::<V>(row, at, offset);
                let value = exp(score.multiply_add(V::splat(scale), V::splat(-sum.largest)));
                let probability = value.multiply(V::splat(sum.normaliser));
                let grad = load::<V>(grads, at, 0.0).subtract(V::splat(along)).multiply(V::splat(scale));
                store(probability, row, at);
                store(probability.multiply(grad), grads, at);
            }
        }
    }
}

multiversion! {
    /// Multiplies the first `size` values of each row by its normaliser.
    fn scale_rows<V>(rows: &mut [f32], size: usize, stride: usize, sums: &[Sum]) {
        for (index, sum) in sums.iter().enumerate() {
            let row = &mut rows[index * stride..index * stride + size];
            for at in (0..size).step_by(LANES) {
                store(load::<V>(row, at, 0.0).multiply(V::splat(sum.normaliser)), row, at);
            }
        }
    }
}

multiversion! {
    /// Dot products of the first `size` values of each row of `a` and `b`.
    fn row_products<V>(a: &[f32], b: &[f32], size: usize, stride: usize, out: &mut [f32]) {
        for (index, out) in out.iter_mut().enumerate() {
            let row = index * stride..index * stride + size;
            *out = dot::<V>(&a[row.clone()], &b[row]);
        }
    }
}
