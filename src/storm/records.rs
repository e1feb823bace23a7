//! The records of a storm's rounds, as they come into the bucket: a record once seen must stay what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::broken::Broken;
use crate::runtime::Run;
use crate::transport::record::{self, RoundRecord};
use crate::transport::{Hotkey, keys};

/// All records seen so far.
pub struct Records {
    run: Arc<Run>,
    /// By round: the tag of the object, its bytes, and the record in them.
    seen: BTreeMap<u64, (Option<String>, Bytes, RoundRecord)>,
    pub broken: Vec<Broken>,
}

impl Records {
    /// None yet.
    pub fn new(run: Arc<Run>) -> Self {
        Self { run, seen: BTreeMap::new(), broken: Vec::new() }
    }

    /// The record of a round.
    pub fn of(&self, round: u64) -> Option<&RoundRecord> {
        self.seen.get(&round).map(|(_, _, record)| record)
    }

    /// Looks at the records that are in the bucket now.
    pub async fn look(&mut self, bucket: &dyn ObjectStore) {
        let listed: Vec<_> =
            bucket.list(Some(&keys::records())).try_collect().await.expect("no fault meets the observer");
        for meta in listed {
            let Some(round) = keys::round_of_record(meta.location.as_ref()) else { continue };
            if self.seen.get(&round).is_some_and(|(tag, _, _)| *tag == meta.e_tag) {
                continue;
            }
            let Ok(found) = bucket.get(&meta.location).await else { continue };
            let Ok(bytes) = found.bytes().await else { continue };
            let longest = record::max_len(self.run.scenario.protocol.top_peers);
            let is_validator = |hotkey: &Hotkey| self.run.is_validator(hotkey);
            let Ok(record) = record::decode(&bytes, longest, &self.run.id, round, is_validator) else { continue };
            match self.seen.get(&round) {
                Some((_, before, _)) if *before != bytes => self.broken.push(Broken {
                    what: "one record a round",
                    detail: format!("round {round} had a record, and now has another"),
                }),
                Some(_) => {}
                None => drop(self.seen.insert(round, (meta.e_tag, bytes, record))),
            }
        }
    }
}
