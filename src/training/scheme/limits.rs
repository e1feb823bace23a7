//! Checks of settings that several schemes share.

use crate::settings::Findings;

/// Largest side of a chunk: sums over more products would no longer be exact in f64.
const MAX_CHUNK: usize = 64;
/// Widths of a value on the wire; 32 is the f32 itself.
const VALUE_BITS: [u32; 4] = [2, 4, 8, 32];

/// Checks the side of a chunk, and the number of values sent per chunk.
pub fn chunks(found: &mut Findings, chunk: usize, topk: usize) {
    found.require((1..=MAX_CHUNK).contains(&chunk), "chunk", chunk, format!("1 to {MAX_CHUNK}"));
    let most = chunk.saturating_mul(chunk);
    let expected = format!("1 to {most}, the coefficients of a chunk");
    found.require_with((1..=most).contains(&topk), "topk", topk, expected, Some("scheme.chunk"));
}

/// Checks the width of a sent value.
pub fn bits(found: &mut Findings, bits: u32) {
    found.require(VALUE_BITS.contains(&bits), "bits", bits, "2, 4, 8 or 32");
}
