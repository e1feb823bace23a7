//! How fast the nodes of a scenario compute if it does not say.

use super::sections::Scenario;
use crate::node::{Hardware, Processor};

impl Scenario {
    /// The processor of a peer, or of an operator, with this many pages a round for all its slots. Without a stated speed,
    /// it trains on them in half a round.
    pub fn peer_processor(&self, hardware: &Hardware, pages: usize, sequence_length: usize) -> Processor {
        let round_tokens = (pages * sequence_length) as f64;
        Processor::of_peer(hardware, round_tokens, self.round_seconds())
    }

    /// The processor of a validator. Without a stated speed it is as fast as a peer, or faster if it would not keep up
    /// with its evaluations otherwise.
    pub fn validator_processor(&self, hardware: &Hardware, sequence_length: usize) -> Processor {
        let round_tokens = (self.training.pages_per_round * sequence_length) as f64;
        let judge = self.judge();
        let passes = judge.forward_passes(self.training.pages_per_round, self.protocol.top_peers);
        // Who is audited may say that it did as much as counts.
        let most = if judge.audits() { self.protocol.most_pages.max(1.0) } else { 1.0 };
        let evaluated = (most * passes * sequence_length as f64, judge.audits());
        Processor::of_validator(hardware, round_tokens, evaluated, self.round_seconds())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scenario(overrides: &[&str]) -> Scenario {
        let overrides: Vec<String> = overrides.iter().map(|text| text.to_string()).collect();
        Scenario::from_toml("name = 'n'\n[[peers]]\ncount = 20", "n.toml", &overrides).unwrap()
    }

    #[test]
    fn a_peer_trains_in_half_of_a_round_unless_its_speed_is_stated() {
        let scenario = scenario(&["training.pages_per_round=8"]);
        let seconds = |speed| {
            let hardware = Hardware { tokens_per_second: speed, ..Hardware::default() };
            scenario.peer_processor(&hardware, 8, 64).training(512.0).as_secs_f64()
        };
        assert!((seconds(None) - 42.0).abs() < 1e-6);
        assert!((seconds(Some(51.2)) - 10.0).abs() < 1e-6);
        let eight = Hardware { tokens_per_second: Some(6.4), devices: 8 };
        let together = scenario.peer_processor(&eight, 8, 64).training(512.0);
        assert!((together.as_secs_f64() - 10.0).abs() < 1e-6, "the stated speed is that of each device");
        let unstated = Hardware { devices: 8, ..Hardware::default() };
        let together = scenario.peer_processor(&unstated, 8, 64).training(512.0);
        assert!((together.as_secs_f64() - 42.0).abs() < 1e-6, "half a round, with any number of devices");
        let of_three = scenario.peer_processor(&Hardware::default(), 3 * 8, 64);
        assert!((of_three.training(3.0 * 512.0).as_secs_f64() - 42.0).abs() < 1e-6, "three slots, one after the other");
    }

    #[test]
    fn a_validator_keeps_up_with_any_number_of_evaluations() {
        for (fraction, evaluated) in [("0.1", 5), ("1.0", 5), ("1.0", 200)] {
            let number = format!("mechanism.evaluated_per_round={evaluated}");
            let scenario = scenario(&[&format!("mechanism.evaluated_fraction={fraction}"), &number]);
            let validator = scenario.validator_processor(&Hardware::default(), 64);
            let pages = (192.0 * fraction.parse::<f64>().unwrap()).round();
            let takes = validator.evaluation(pages * 64.0 * (1.0 + 3.0 * f64::from(evaluated)));
            assert!(takes.as_secs_f64() <= 0.8 * 84.0 + 1e-6, "{takes:?}");
            let slow = Hardware { tokens_per_second: Some(1.0), ..Hardware::default() };
            let stated = scenario.validator_processor(&slow, 64);
            assert_eq!(stated.training(5.0), Duration::from_secs(5), "what is stated is taken");
        }
    }
}
