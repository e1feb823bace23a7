//! Causal grouped-query attention from rotated queries, keys and values to their mix, a block of queries at a time.
//!
//! Scores are never kept: the backward pass makes them again from the logarithm of each row's sum (as FlashAttention does, Dao et al.,
//! arXiv 2205.14135), and keys after a block's last query are not touched.

use super::matrix::{Matrix, MatrixMut, multiply, multiply_onto};
use super::simd::{dot, exp, max, multiply_add, multiversion, sum};

/// Queries in a block.
const BLOCK: usize = 32;

/// Heads and sequences of a batch.
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

impl Heads {
    /// Values of a token: queries, then keys, then values.
    pub fn row(&self) -> usize {
        (self.count + 2 * self.kv_count) * self.size
    }

    /// Values of a token in the mix.
    pub fn mixed(&self) -> usize {
        self.count * self.size
    }

    fn scale(&self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// Where a head's query, key and value begin in a row.
    fn columns(&self, head: usize) -> [usize; 3] {
        let kv_head = head / (self.count / self.kv_count);
        [head, self.count + kv_head, self.count + self.kv_count + kv_head].map(|index| index * self.size)
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.length).step_by(BLOCK).map(|start| (start, (start + BLOCK).min(self.length)))
    }
}

/// Mixes values: `qkv` [tokens, row] to `mixed` [tokens, count x size], and `log_sums` [sequences, count, length].
pub fn forward(heads: Heads, qkv: &[f32], mixed: &mut [f32], log_sums: &mut [f32]) {
    let (row, width, length, size) = (heads.row(), heads.mixed(), heads.length, heads.size);
    let mut scores = vec![0.0; BLOCK * length];
    let sequences = qkv.chunks_exact(length * row).zip(mixed.chunks_exact_mut(length * width));
    for ((qkv, mixed), log_sums) in sequences.zip(log_sums.chunks_exact_mut(heads.count * length)) {
        for (head, log_sums) in log_sums.chunks_exact_mut(length).enumerate() {
            let [query, key, value] = heads.columns(head);
            for (start, end) in heads.blocks() {
                let scores = &mut scores[..(end - start) * end];
                let queries = Matrix::strided(&qkv[start * row + query..], end - start, size, row);
                let keys = Matrix::strided(&qkv[key..], end, size, row);
                let values = Matrix::strided(&qkv[value..], end, size, row);
                multiply(MatrixMut::new(scores, end - start, end), queries, keys.transposed());
                softmax(scores, start, end, heads.scale(), &mut log_sums[start..end]);
                let out = MatrixMut::strided(&mut mixed[start * width + head * size..], end - start, size, width);
                multiply(out, Matrix::new(scores, end - start, end), values);
            }
        }
    }
}

/// Adds to `qkv_grad` what the gradient `upstream` of the mix means for queries, keys and values.
pub fn backward(heads: Heads, qkv: &[f32], mixed: &[f32], log_sums: &[f32], upstream: &[f32], qkv_grad: &mut [f32]) {
    let (row, width, length, size) = (heads.row(), heads.mixed(), heads.length, heads.size);
    let mut scores = vec![0.0; BLOCK * length];
    let mut score_grads = vec![0.0; BLOCK * length];
    let mut along = [0.0; BLOCK];
    let sequences = qkv.chunks_exact(length * row).zip(qkv_grad.chunks_exact_mut(length * row));
    let mixes = mixed.chunks_exact(length * width).zip(upstream.chunks_exact(length * width));
    for (((qkv, qkv_grad), (mixed, upstream)), log_sums) in
        sequences.zip(mixes).zip(log_sums.chunks_exact(heads.count * length))
    {
        for (head, log_sums) in log_sums.chunks_exact(length).enumerate() {
            let [query, key, value] = heads.columns(head);
            for (start, end) in heads.blocks() {
                let rows = end - start;
                let (scores, score_grads) = (&mut scores[..rows * end], &mut score_grads[..rows * end]);
                let queries = Matrix::strided(&qkv[start * row + query..], rows, size, row);
                let keys = Matrix::strided(&qkv[key..], end, size, row);
                let values = Matrix::strided(&qkv[value..], end, size, row);
                let out_grad = &upstream[start * width + head * size..];
                row_products(out_grad, &mixed[start * width + head * size..], size, width, &mut along[..rows]);
                let out_grad = Matrix::strided(out_grad, rows, size, width);

                multiply(MatrixMut::new(scores, rows, end), queries, keys.transposed());
                multiply(MatrixMut::new(score_grads, rows, end), out_grad, values.transposed());
                softmax_backward(scores, score_grads, start, end, heads.scale(), &log_sums[start..end], &along);

                let (scores, score_grads) = (Matrix::new(scores, rows, end), Matrix::new(score_grads, rows, end));
                let grad = MatrixMut::strided(&mut qkv_grad[value..], end, size, row);
                multiply_onto(grad, scores.transposed(), out_grad);
                let grad = MatrixMut::strided(&mut qkv_grad[key..], end, size, row);
                multiply_onto(grad, score_grads.transposed(), queries);
                let grad = MatrixMut::strided(&mut qkv_grad[start * row + query..], rows, size, row);
                multiply_onto(grad, score_grads, keys);
            }
        }
    }
}

multiversion! {
    /// Turns the scores of queries `start..end` against keys `0..end` into probabilities, later keys having none.
    fn softmax<FMA>(scores: &mut [f32], start: usize, end: usize, scale: f32, log_sums: &mut [f32]) {
        for (offset, (row, log_sum)) in scores.chunks_exact_mut(end).zip(log_sums).enumerate() {
            row[start + offset + 1..].fill(f32::NEG_INFINITY);
            let largest = max(row) * scale;
            for value in row.iter_mut() {
                *value = exp::<FMA>(multiply_add::<FMA>(*value, scale, -largest));
            }
            let total = sum(end, |i| row[i]);
            let normaliser = 1.0 / total;
            for value in row.iter_mut() {
                *value *= normaliser;
            }
            *log_sum = largest + libm::logf(total);
        }
    }
}

multiversion! {
    /// Turns scores into probabilities again, and their gradients into those of the products of query and key.
    fn softmax_backward<FMA>(
        scores: &mut [f32],
        grads: &mut [f32],
        start: usize,
        end: usize,
        scale: f32,
        log_sums: &[f32],
        along: &[f32],
    ) {
        let rows = scores.chunks_exact_mut(end).zip(grads.chunks_exact_mut(end));
        for (offset, ((row, grads), (&log_sum, &along))) in rows.zip(log_sums.iter().zip(along)).enumerate() {
            row[start + offset + 1..].fill(f32::NEG_INFINITY);
            for i in 0..end {
                let probability = exp::<FMA>(multiply_add::<FMA>(row[i], scale, -log_sum));
                row[i] = probability;
                grads[i] = probability * scale * (grads[i] - along);
            }
        }
    }
}

multiversion! {
    /// Products of the first `size` values of each row of `a` and `b`.
    fn row_products<FMA>(a: &[f32], b: &[f32], size: usize, stride: usize, out: &mut [f32]) {
        for (index, out) in out.iter_mut().enumerate() {
            let row = index * stride..index * stride + size;
            *out = dot::<FMA>(&a[row.clone()], &b[row]);
        }
    }
}
