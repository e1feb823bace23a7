//! Rows of a table by number.

/// Row `i` of the result is row `ids[i]` of a table with rows of `width` values.
pub fn forward(table: &[f32], width: usize, ids: &[u32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(ids.len() * width);
    for &id in ids {
        out.extend_from_slice(&table[id as usize * width..][..width]);
    }
    out
}

/// Gradient of a table with `values` values, given that of the rows taken.
pub fn backward(values: usize, width: usize, ids: &[u32], upstream: &[f32]) -> Vec<f32> {
    let mut table = vec![0.0; values];
    for (&id, upstream) in ids.iter().zip(upstream.chunks_exact(width)) {
        for (sum, value) in table[id as usize * width..][..width].iter_mut().zip(upstream) {
            *sum += value;
        }
    }
    table
}
