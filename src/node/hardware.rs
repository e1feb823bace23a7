//! How long work takes on a node's hardware, in virtual time.

use std::time::Duration;

use crate::scenario::{Hardware, Scenario};

/// A forward pass is about a third of forward and backward.
const FORWARD_SHARE: f64 = 1.0 / 3.0;

/// A node's processor.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    tokens_per_second: f64,
}

impl Processor {
    /// The processor of a scenario; without a stated speed, one that trains on the assigned pages in half of a round.
    pub fn new(hardware: &Hardware, scenario: &Scenario, sequence_length: usize) -> Self {
        let round_seconds = scenario.chain.block_seconds * scenario.chain.blocks_per_round as f64;
        let round_tokens = (scenario.training.pages_per_round * sequence_length) as f64;
        Self { tokens_per_second: hardware.tokens_per_second.unwrap_or(round_tokens / (round_seconds / 2.0)) }
    }

    /// Forward and backward of so many tokens.
    pub fn training(&self, tokens: f64) -> Duration {
        Duration::from_secs_f64(tokens / self.tokens_per_second)
    }

    /// Forward of so many tokens.
    pub fn evaluation(&self, tokens: f64) -> Duration {
        self.training(tokens * FORWARD_SHARE)
    }
}
