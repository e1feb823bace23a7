//! How long work takes on a node's hardware, in virtual time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// Work that would take longer than this is never done.
const NEVER_SECONDS: f64 = 1e9;
/// A forward pass is about a third of forward and backward.
const FORWARD_SHARE: f64 = 1.0 / 3.0;
/// A validator whose speed is not stated is done with its evaluations after this part of a round at most: one that
/// falls behind finds no uploads any more.
const EVALUATION_SHARE: f64 = 0.8;

/// How fast a node computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hardware {
    /// Forward and backward, tokens a second. The default lets a peer train on its pages, or a validator do its
    /// evaluations, in half of a round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
}

#[allow(clippy::derivable_impls)]
impl Default for Hardware {
    fn default() -> Self {
        Self { tokens_per_second: None }
    }
}

/// A node's processor.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    tokens_per_second: f64,
}

impl Processor {
    /// The processor of a peer; without a stated speed, one that trains on the assigned pages in half of a round.
    pub fn of_peer(hardware: &Hardware, scenario: &Scenario, sequence_length: usize) -> Self {
        let round_tokens = (scenario.training.pages_per_round * sequence_length) as f64;
        let default = round_tokens / (scenario.round_seconds() / 2.0);
        Self { tokens_per_second: hardware.tokens_per_second.unwrap_or(default) }
    }

    /// The processor of a validator; without a stated speed, that of a peer, or a faster one where it would not keep up
    /// with its evaluations.
    pub fn of_validator(hardware: &Hardware, scenario: &Scenario, sequence_length: usize) -> Self {
        let peer = Self::of_peer(hardware, scenario, sequence_length);
        if hardware.tokens_per_second.is_some() {
            return peer;
        }
        let passes = scenario.judge().forward_passes(scenario.training.pages_per_round, scenario.protocol.top_peers);
        let needed = passes * sequence_length as f64 * FORWARD_SHARE / (scenario.round_seconds() * EVALUATION_SHARE);
        Self { tokens_per_second: peer.tokens_per_second.max(needed) }
    }

    /// A real one: its work takes the time that it takes.
    pub fn real() -> Self {
        Self { tokens_per_second: f64::INFINITY }
    }

    /// Forward and backward of so many tokens.
    pub fn training(&self, tokens: f64) -> Duration {
        Duration::from_secs_f64((tokens / self.tokens_per_second).min(NEVER_SECONDS))
    }

    /// Forward of so many tokens.
    pub fn evaluation(&self, tokens: f64) -> Duration {
        self.training(tokens * FORWARD_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(overrides: &[&str]) -> Scenario {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        Scenario::from_toml("name = 'n'\n[[peers]]\ncount = 20", "n.toml", &overrides).unwrap()
    }

    #[test]
    fn a_peer_trains_in_half_of_a_round_unless_its_speed_is_stated() {
        let scenario = scenario(&["training.pages_per_round=8"]);
        let seconds = |speed| {
            let hardware = Hardware { tokens_per_second: speed };
            Processor::of_peer(&hardware, &scenario, 64).training(512.0).as_secs_f64()
        };
        assert!((seconds(None) - 42.0).abs() < 1e-6);
        assert!((seconds(Some(51.2)) - 10.0).abs() < 1e-6);
    }

    #[test]
    fn a_validator_keeps_up_with_any_number_of_evaluations() {
        for (fraction, evaluated) in [("0.1", 5), ("1.0", 5), ("1.0", 200)] {
            let number = format!("mechanism.evaluated_per_round={evaluated}");
            let scenario = scenario(&[&format!("mechanism.evaluated_fraction={fraction}"), &number]);
            let validator = Processor::of_validator(&Hardware::default(), &scenario, 64);
            let pages = (192.0 * fraction.parse::<f64>().unwrap()).round();
            let takes = validator.evaluation(pages * 64.0 * (1.0 + 3.0 * f64::from(evaluated)));
            assert!(takes.as_secs_f64() <= 0.8 * 84.0 + 1e-6, "{takes:?}");
            let slow = Hardware { tokens_per_second: Some(1.0) };
            let stated = Processor::of_validator(&slow, &scenario, 64);
            assert_eq!(stated.training(5.0), Duration::from_secs(5), "what is stated is taken");
        }
    }
}
