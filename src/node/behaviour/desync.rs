//! Pauses for some rounds, then goes on with the model it has: it never applies what it missed.

use super::{Behaviour, Presence};

pub struct Desync {
    pub at: u64,
    pub pause: u64,
}

impl Behaviour for Desync {
    fn presence(&mut self, _seed: u64, _who: u64, round: u64) -> Presence {
        if (self.at..self.at + self.pause).contains(&round) { Presence::Paused } else { Presence::Active }
    }

    fn mends(&self) -> bool {
        false
    }
}
