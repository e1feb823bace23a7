//! The records of a storm's rounds, as they come into the bucket: a record in turn, once seen, must stay what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::broken::Broken;
use crate::chain::ChainView;
use crate::node::Agreed;
use crate::node::ports::Clock;
use crate::runtime::Run;
use crate::transport::record::{self, RoundRecord};
use crate::transport::{Hotkey, keys};

/// A record as it lies in the bucket.
struct Seen {
    tag: Option<String>,
    bytes: Bytes,
    stamp: DateTime<Utc>,
    record: RoundRecord,
}

/// All records seen so far.
pub struct Records {
    run: Arc<Run>,
    /// The newest by round.
    seen: BTreeMap<u64, Seen>,
    /// Those that another one has taken the place of.
    replaced: Vec<Seen>,
}

impl Records {
    /// None yet.
    pub fn new(run: Arc<Run>) -> Self {
        Self { run, seen: BTreeMap::new(), replaced: Vec::new() }
    }

    /// The record of a round.
    pub fn of(&self, round: u64) -> Option<&RoundRecord> {
        self.seen.get(&round).map(|seen| &seen.record)
    }

    /// The records that were in turn and were replaced nevertheless. A record out of turn is none, and may be.
    pub fn broken(&self, chain: &dyn ChainView, clock: &Clock) -> Vec<Broken> {
        let void = chain.void_rounds();
        let in_turn = |seen: &&Seen| {
            let before = (0..seen.record.round).rev().find(|round| !void.contains(round));
            let before = before.and_then(|before| self.of(before));
            let agreed = before.map_or(Agreed::default(), |before| Agreed::default().followed(before.validator));
            agreed.is_in_turn(chain, clock, &seen.record, seen.stamp)
        };
        let told = |seen: &Seen| Broken {
            what: "one record a round",
            detail: format!("round {} had a record, and now has another", seen.record.round),
        };
        self.replaced.iter().filter(|seen| !void.contains(&seen.record.round)).filter(in_turn).map(told).collect()
    }

    /// Looks at the records that are in the bucket now.
    pub async fn look(&mut self, bucket: &dyn ObjectStore) {
        let listed: Vec<_> =
            bucket.list(Some(&keys::records())).try_collect().await.expect("no fault meets the observer");
        for meta in listed {
            let Some(round) = keys::round_of_record(meta.location.as_ref()) else { continue };
            if self.seen.get(&round).is_some_and(|seen| seen.tag == meta.e_tag) {
                continue;
            }
            let Ok(found) = bucket.get(&meta.location).await else { continue };
            let Ok(bytes) = found.bytes().await else { continue };
            let longest = record::max_len(self.run.scenario.protocol.top_peers);
            let is_validator = |hotkey: &Hotkey| self.run.is_validator(hotkey);
            let Ok(record) = record::decode(&bytes, longest, &self.run.id, round, is_validator) else { continue };
            let now = Seen { tag: meta.e_tag, bytes, stamp: meta.last_modified, record };
            if let Some(before) = self.seen.insert(round, now)
                && before.bytes != self.seen[&round].bytes
            {
                self.replaced.push(before);
            }
        }
    }
}
