//! Reads the store's clock. Stamps decide what is on time, so the network's time is the store's, and a node whose own
//! clock is wrong can still take part.
//!
//! A small object is put and its stamp is read. By the store's clock, the stamp lies between the put's start and end,
//! give or take the stamps' resolution. This bounds the difference between the two clocks. Puts are repeated until the
//! bounds are close: a store that stamps whole seconds reveals its clock when a second ends.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::time::Instant;

use super::Bucket;
use crate::transport::{Hotkey, keys};

/// Bounds this close are close enough: a put window is wider.
const CLOSE: TimeDelta = TimeDelta::milliseconds(120);
/// Maximum number of puts, each a little later than the one before: somewhat more than a second in all.
const PUTS: u32 = 14;
const PAUSE: Duration = Duration::from_millis(80);

/// What the store's clock showed at an instant of this process.
#[derive(Clone, Copy, Debug)]
pub struct StoreTime {
    at: Instant,
    time: DateTime<Utc>,
}

impl StoreTime {
    /// What it shows now.
    pub fn now(&self) -> DateTime<Utc> {
        self.time + TimeDelta::from_std(self.at.elapsed()).unwrap_or_default()
    }
}

/// Reads the store's clock, with an object below the prefix of `node`.
///
/// # Errors
/// The store refuses the object.
pub async fn read(bucket: &Bucket, node: &Hotkey) -> object_store::Result<StoreTime> {
    let start = Instant::now();
    let resolution = TimeDelta::from_std(bucket.stamp_resolution).unwrap_or_default();
    let mut bounds: Option<Bounds> = None;
    for _ in 0..PUTS {
        let before = elapsed(start);
        let stamp = put(bucket.store.as_ref(), node).await?;
        let after = elapsed(start);
        let seen = Bounds { least: stamp - after, most: stamp + resolution - before };
        // If the clock was set meanwhile, the newest observation counts.
        let both = bounds.and_then(|bounds| bounds.intersection(&seen)).unwrap_or(seen);
        bounds = Some(both);
        if both.most - both.least <= CLOSE {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let bounds = bounds.expect("at least one put");
    Ok(StoreTime { at: start, time: bounds.least + (bounds.most - bounds.least) / 2 })
}

/// The earliest and the latest time that the store's clock can have shown at the start.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    least: DateTime<Utc>,
    most: DateTime<Utc>,
}

impl Bounds {
    fn intersection(&self, other: &Self) -> Option<Self> {
        let both = Self { least: self.least.max(other.least), most: self.most.min(other.most) };
        (both.least <= both.most).then_some(both)
    }
}

fn elapsed(start: Instant) -> TimeDelta {
    TimeDelta::from_std(start.elapsed()).unwrap_or_default()
}

async fn put(store: &dyn ObjectStore, node: &Hotkey) -> object_store::Result<DateTime<Utc>> {
    let key = keys::clock(node);
    store.put(&key, Vec::from(*b"what time is it?").into()).await?;
    Ok(store.head(&key).await?.last_modified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Identity;

    #[tokio::test]
    async fn a_folder_shows_this_machines_time() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = super::super::bucket::open(folder.path().to_str().unwrap(), false).unwrap();
        let time = read(&bucket, &Identity::from_seed(1, "peer", 0).hotkey()).await.unwrap();
        let apart = (time.now() - Utc::now()).abs();
        assert!(apart < TimeDelta::seconds(2), "{apart}");
    }

    #[test]
    fn bounds_close_in_on_the_end_of_a_second() {
        let at = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap();
        // The clock shows 9.85 s at the start and stamps whole seconds; the puts are at 100 ms and 180 ms.
        let first = Bounds { least: at(9_000 - 120), most: at(10_000 - 100) };
        let second = Bounds { least: at(10_000 - 200), most: at(11_000 - 180) };
        assert_eq!(first.intersection(&second), Some(Bounds { least: at(9_800), most: at(9_900) }));
        assert_eq!(first.intersection(&Bounds { least: at(20_000), most: at(21_000) }), None);
    }
}
