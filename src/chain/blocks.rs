//! Blocks, rounds and seconds: everybody's common clock.
//!
//! Blocks follow one another at a fixed interval from genesis on, and a round is a fixed number of blocks, so all three
//! are functions of one another. Times are seconds since genesis, on whatever clock the node has.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::ChainSettings;

/// Converts between blocks, rounds and time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundClock {
    block_seconds: f64,
    blocks_per_round: u64,
}

/// When an upload may be stamped: milliseconds since genesis, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutWindow {
    pub opens_ms: u64,
    pub closes_ms: u64,
}

impl RoundClock {
    pub fn new(settings: &ChainSettings) -> Self {
        Self { block_seconds: settings.block_seconds, blocks_per_round: settings.blocks_per_round.max(1) }
    }

    /// The round that a block belongs to.
    pub fn round_of(&self, block: u64) -> u64 {
        block / self.blocks_per_round
    }

    /// The first block of a round.
    pub fn first_block(&self, round: u64) -> u64 {
        round.saturating_mul(self.blocks_per_round)
    }

    /// The block that is current at `seconds` since genesis.
    pub fn block_at(&self, seconds: f64) -> u64 {
        let block = (seconds / self.block_seconds) as u64;
        // The division may have rounded across the border of a block; the product that says when a block starts
        // decides.
        if self.block_start(block) > seconds {
            block.saturating_sub(1)
        } else if self.block_start(block + 1) <= seconds {
            block + 1
        } else {
            block
        }
    }

    /// The round that is current at `seconds` since genesis.
    pub fn round_at(&self, seconds: f64) -> u64 {
        self.round_of(self.block_at(seconds))
    }

    /// When a block starts, in seconds since genesis.
    pub fn block_start(&self, block: u64) -> f64 {
        block as f64 * self.block_seconds
    }

    /// How long a round is, in seconds.
    pub fn round_seconds(&self) -> f64 {
        self.blocks_per_round as f64 * self.block_seconds
    }

    /// When a round starts, in seconds since genesis.
    pub fn start(&self, round: u64) -> f64 {
        self.block_start(self.first_block(round))
    }

    /// When a round ends and the next one starts, in seconds since genesis.
    pub fn end(&self, round: u64) -> f64 {
        self.start(round + 1)
    }

    /// The put window of a round, `width` seconds centred on the round's end.
    pub fn put_window(&self, round: u64, width: f64) -> PutWindow {
        let end = self.end(round);
        PutWindow { opens_ms: millis(end - width / 2.0), closes_ms: millis(end + width / 2.0) }
    }
}

impl PutWindow {
    /// When it opens, since genesis.
    pub fn opens(&self) -> Duration {
        Duration::from_millis(self.opens_ms)
    }

    /// When it closes, since genesis.
    pub fn closes(&self) -> Duration {
        Duration::from_millis(self.closes_ms)
    }
}

fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(block_seconds: f64, blocks_per_round: u64) -> RoundClock {
        RoundClock::new(&ChainSettings { block_seconds, blocks_per_round, ..ChainSettings::default() })
    }

    #[test]
    fn a_round_is_seven_blocks_of_twelve_seconds() {
        let clock = clock(12.0, 7);
        assert_eq!((clock.start(2), clock.end(2), clock.round_seconds()), (168.0, 252.0, 84.0));
        assert_eq!((clock.round_of(13), clock.round_of(14), clock.first_block(2)), (1, 2, 14));
        assert_eq!((clock.round_at(167.999), clock.round_at(168.0)), (1, 2));
        let window = clock.put_window(2, 10.0);
        assert_eq!((window.opens_ms, window.closes_ms), (247_000, 257_000));
        assert_eq!(clock.put_window(0, 1000.0).opens_ms, 0);
    }

    proptest! {
        #[test]
        fn a_block_is_current_from_its_start_on(block in 0u64..10_000_000, seconds in 0.001..100.0f64) {
            let clock = clock(seconds, 3);
            prop_assert_eq!(clock.block_at(clock.block_start(block)), block);
            prop_assert_eq!(clock.block_at(clock.block_start(block + 1).next_down()), block);
        }
    }
}
