//! Rows of a table by their numbers.

/// `out` row `i` is row `ids[i]` of the table; rows have `width` values.
pub fn forward(table: &[f32], width: usize, ids: &[u32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(ids.len() * width);
    for &id in ids {
        out.extend_from_slice(&table[id as usize * width..][..width]);
    }
    out
}

/// Gradient of a table of `values` values, given that of the rows taken from it.
pub fn backward(values: usize, width: usize, ids: &[u32], upstream: &[f32]) -> Vec<f32> {
    let mut table = vec![0.0; values];
    for (&id, upstream) in ids.iter().zip(upstream.chunks_exact(width)) {
        for (sum, value) in table[id as usize * width..][..width].iter_mut().zip(upstream) {
            *sum += value;
        }
    }
    table
}
