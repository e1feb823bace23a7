//! The clock of a simulated world: virtual time since its start, and the store's stamps.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

/// 2025-01-01T00:00:00Z in milliseconds since 1970: the start of every simulated world.
const EPOCH_MS: i64 = 1_735_689_600_000;

/// Virtual time in milliseconds since the start of the world.
#[derive(Clone, Copy, Debug)]
pub struct SimClock {
    start: Instant,
    offset_us: u64,
}

impl SimClock {
    /// A clock that shows `now_ms` now: 0 in a new world, the saved time in a resumed one.
    pub fn showing(now_ms: u64) -> Self {
        Self { start: Instant::now(), offset_us: now_ms * 1000 }
    }

    /// Whole milliseconds since the world's start.
    pub fn now_ms(&self) -> u64 {
        self.now_us() / 1000
    }

    /// The store's stamp of a virtual time.
    pub fn stamp(ms: u64) -> DateTime<Utc> {
        i64::try_from(ms)
            .ok()
            .and_then(|ms| DateTime::from_timestamp_millis(EPOCH_MS.checked_add(ms)?))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The virtual time of a stamp, in milliseconds; negative before the world's start.
    pub fn ms_of(stamp: DateTime<Utc>) -> i64 {
        stamp.timestamp_millis().saturating_sub(EPOCH_MS)
    }

    /// Sleeps until a virtual time; returns at once when it has passed.
    pub async fn sleep_until_ms(&self, ms: u64) {
        tokio::time::sleep_until(self.instant(ms.saturating_mul(1000))).await;
    }

    /// Microseconds since the world's start.
    pub(super) fn now_us(&self) -> u64 {
        self.offset_us + self.start.elapsed().as_micros() as u64
    }

    /// Sleeps until the first whole millisecond at or after a virtual time in microseconds.
    pub(super) async fn sleep_until_us(&self, us: u64) {
        self.sleep_until_ms(us.div_ceil(1000)).await;
    }

    fn instant(&self, us: u64) -> Instant {
        self.start + Duration::from_micros(us.saturating_sub(self.offset_us))
    }
}
