//! Blocks, rounds and time: the clock that all nodes share.
//!
//! Blocks follow one another at a fixed interval from genesis, and a round is a fixed number of blocks, so each of the
//! three gives the other two. Times are whole milliseconds since genesis, so all nodes agree on every border.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chain::ChainSettings;

/// Converts between blocks, rounds and time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundClock {
    block_ms: u64,
    blocks_per_round: u64,
}

/// When an upload may be stamped, as times since genesis; both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutWindow {
    pub opens: Duration,
    pub closes: Duration,
}

impl RoundClock {
    /// The clock of a chain. A block lasts at least a millisecond.
    pub fn new(settings: &ChainSettings) -> Self {
        let block_ms = ((settings.block_seconds * 1000.0).round() as u64).max(1);
        Self { block_ms, blocks_per_round: settings.blocks_per_round.max(1) }
    }

    /// The round that a block belongs to.
    pub fn round_of(&self, block: u64) -> u64 {
        block / self.blocks_per_round
    }

    /// The first block of a round.
    pub fn first_block(&self, round: u64) -> u64 {
        round.saturating_mul(self.blocks_per_round)
    }

    /// The block at a time.
    pub fn block_at(&self, time: Duration) -> u64 {
        time.as_millis() as u64 / self.block_ms
    }

    /// The round at a time.
    pub fn round_at(&self, time: Duration) -> u64 {
        self.round_of(self.block_at(time))
    }

    /// When a block starts.
    pub fn block_start(&self, block: u64) -> Duration {
        Duration::from_millis(block.saturating_mul(self.block_ms))
    }

    /// How long a round is.
    pub fn round_length(&self) -> Duration {
        self.block_start(self.blocks_per_round)
    }

    /// When a round starts.
    pub fn start(&self, round: u64) -> Duration {
        self.block_start(self.first_block(round))
    }

    /// When a round ends, which is when the next one starts.
    pub fn end(&self, round: u64) -> Duration {
        self.start(round + 1)
    }

    /// The put window of a round: `seconds` wide, centred on the end of the round.
    pub fn put_window(&self, round: u64, seconds: f64) -> PutWindow {
        let (end, half) = (self.end(round), Duration::from_millis((seconds * 500.0).round() as u64));
        PutWindow { opens: end.saturating_sub(half), closes: end + half }
    }

    /// When the keys of sealed uploads of a round count: `seconds` long, from the end of its put window.
    pub fn reveal_window(&self, put_window: PutWindow, seconds: f64) -> PutWindow {
        let length = Duration::from_millis((seconds * 1000.0).round() as u64);
        PutWindow { opens: put_window.closes, closes: put_window.closes + length }
    }
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
        let seconds = Duration::from_secs;
        assert_eq!((clock.start(2), clock.end(2), clock.round_length()), (seconds(168), seconds(252), seconds(84)));
        assert_eq!((clock.round_of(13), clock.round_of(14), clock.first_block(2)), (1, 2, 14));
        assert_eq!((clock.round_at(Duration::from_millis(167_999)), clock.round_at(seconds(168))), (1, 2));
        let window = clock.put_window(2, 10.0);
        assert_eq!((window.opens, window.closes), (seconds(247), seconds(257)));
        let reveal = clock.reveal_window(window, 5.0);
        assert_eq!((reveal.opens, reveal.closes), (seconds(257), seconds(262)));
        assert_eq!(clock.reveal_window(window, 0.0).closes, window.closes);
        assert_eq!(clock.put_window(0, 1000.0).opens, Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_block_is_current_from_its_start_on(block in 0u64..10_000_000, seconds in 0.001..100.0f64) {
            let clock = clock(seconds, 3);
            prop_assert_eq!(clock.block_at(clock.block_start(block)), block);
            prop_assert_eq!(clock.block_at(clock.block_start(block + 1) - Duration::from_millis(1)), block);
        }
    }
}
