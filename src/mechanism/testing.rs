//! Made-up uploads for tests of mechanisms.

use super::facts::{Comparisons, Overlap};
use crate::Uid;

/// Pairs of similar uploads.
pub struct Alike(pub Vec<Overlap>);

impl Comparisons for Alike {
    fn overlaps(&self, least: f64, _salt: u64) -> Vec<Overlap> {
        self.0.iter().copied().filter(|pair| pair.shared >= least).collect()
    }

    fn cosine(&self, _a: Uid, _b: Uid) -> Option<f64> {
        None
    }
}
