//! Comes and goes at random, a two-state Markov chain; catches up each time it is back.

use rand::RngExt;

use super::{Behaviour, Presence};

pub struct Offline {
    /// Probability of going away, a round.
    pub leave: f64,
    /// Probability of coming back, a round.
    pub come_back: f64,
    pub away: bool,
}

impl Behaviour for Offline {
    fn presence(&mut self, seed: u64, who: u64, round: u64) -> Presence {
        let draw: f64 = crate::random::rng(seed, "offline", who, round).random();
        self.away = if self.away { draw >= self.come_back } else { draw < self.leave };
        if self.away { Presence::Away } else { Presence::Active }
    }

    fn save(&self) -> Vec<u8> {
        vec![self.away.into()]
    }

    fn restore(&mut self, state: &[u8]) {
        self.away = state == [1];
    }
}
