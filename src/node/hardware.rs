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
    /// A peer's processor; without a stated speed, one that trains on the assigned pages in half of a round.
    pub fn of_peer(hardware: &Hardware, scenario: &Scenario, sequence_length: usize) -> Self {
        Self::new(hardware, scenario, (scenario.training.pages_per_round * sequence_length) as f64)
    }

    /// A validator's processor; without a stated speed, one that does its primary evaluations in half of a round.
    pub fn of_validator(hardware: &Hardware, scenario: &Scenario, sequence_length: usize) -> Self {
        let settings = &scenario.gauntlet;
        let pages = (scenario.training.pages_per_round as f64 * settings.evaluated_fraction).max(1.0);
        // Before and after on assigned pages, after on unassigned ones; and these once before.
        let forward = pages * (3 * settings.evaluated_per_round + 1) as f64;
        Self::new(hardware, scenario, forward * FORWARD_SHARE * sequence_length as f64)
    }

    fn new(hardware: &Hardware, scenario: &Scenario, tokens_in_half_a_round: f64) -> Self {
        let usual = tokens_in_half_a_round / (scenario.round_seconds() / 2.0);
        Self { tokens_per_second: hardware.tokens_per_second.unwrap_or(usual) }
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
