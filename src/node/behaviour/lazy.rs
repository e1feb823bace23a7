//! Trains on a part of its assigned pages, hoping that nobody can tell. The loss on the pages it skipped tells.

use super::{Behaviour, Surroundings};
use crate::corpus::PageId;

pub struct Lazy {
    pub fraction: f64,
}

impl Behaviour for Lazy {
    fn pages(&self, around: &Surroundings) -> Vec<PageId> {
        let mut pages = around.assigned();
        pages.truncate((pages.len() as f64 * self.fraction).round().max(1.0) as usize);
        pages
    }
}
