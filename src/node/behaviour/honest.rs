//! Trains on its assigned pages, or on `data` times as many.

use super::{Behaviour, Surroundings};
use crate::corpus::PageId;

pub struct Honest {
    /// 2.0: the assigned pages and as many others; 1.0: the assigned ones.
    pub data: f64,
}

impl Behaviour for Honest {
    fn pages(&self, around: &Surroundings) -> Vec<PageId> {
        let mut pages = around.assigned();
        let wanted = (pages.len() as f64 * self.data).round().max(1.0) as usize;
        if wanted > pages.len() {
            pages.extend(around.network.assignment.extra(around.uid, around.round, wanted - pages.len()));
        }
        pages.truncate(wanted);
        pages
    }
}
