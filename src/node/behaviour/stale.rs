//! Computes on the model of some rounds ago, as a peer does that is too slow to keep up.

use super::Behaviour;

pub struct Stale {
    pub rounds: u64,
}

impl Behaviour for Stale {
    fn model_age(&self) -> usize {
        self.rounds as usize
    }
}
