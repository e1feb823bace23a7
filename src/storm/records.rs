//! The records of a storm's rounds, as they come into the bucket, each with the payloads that it names. A record in turn,
//! once seen, must stay what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::broken::Broken;
use crate::chain::ChainView;
use crate::node::ports::{Clock, Ports};
use crate::node::{Agreed, Network, fetch_payloads};
use crate::runtime::Run;
use crate::transport::record::{self, RoundRecord};
use crate::transport::simulated::SimClock;
use crate::transport::verified::Verified;
use crate::transport::{Hotkey, keys};

/// A record that lay in the bucket.
pub struct Seen {
    tag: Option<String>,
    bytes: Bytes,
    pub stamp: DateTime<Utc>,
    pub record: RoundRecord,
    /// The payloads that it names, once they could be had.
    pub payloads: Option<Vec<Bytes>>,
}

/// All records seen so far.
pub struct Records {
    run: Arc<Run>,
    /// By round, in the order in which they took one another's place.
    seen: BTreeMap<u64, Vec<Seen>>,
}

impl Records {
    /// None yet.
    pub fn new(run: Arc<Run>) -> Self {
        Self { run, seen: BTreeMap::new() }
    }

    /// The last record of a round.
    pub fn of(&self, round: u64) -> Option<&RoundRecord> {
        self.all_of(round).last().map(|seen| &seen.record)
    }

    /// All records that a round has had, one after the other.
    pub fn all_of(&self, round: u64) -> &[Seen] {
        self.seen.get(&round).map_or(&[], Vec::as_slice)
    }

    /// Whether a record was written in its author's turn. `void` are the rounds that do not count.
    pub fn is_in_turn(&self, seen: &Seen, void: &[u64], chain: &dyn ChainView, clock: &Clock) -> bool {
        let before = (0..seen.record.round).rev().find(|round| !void.contains(round));
        let before = before.and_then(|before| self.of(before));
        let agreed = before.map_or(Agreed::default(), |before| Agreed::default().followed(before.validator));
        agreed.is_in_turn(chain, clock, &seen.record, seen.stamp)
    }

    /// The records that were in turn and were replaced nevertheless. A record out of turn is none, and may be. So may that
    /// of a validator that is not honest, by the same validator: nobody can keep it from that.
    pub fn broken(&self, chain: &dyn ChainView, clock: &Clock, is_honest: impl Fn(&Hotkey) -> bool) -> Vec<Broken> {
        let void = chain.void_rounds();
        let mut found = Vec::new();
        for (round, seen) in self.seen.iter().filter(|(round, _)| !void.contains(round)) {
            for pair in seen.windows(2) {
                let author = pair[0].record.validator;
                let by_itself = author == pair[1].record.validator && !is_honest(&author);
                if !by_itself && self.is_in_turn(&pair[0], &void, chain, clock) {
                    let of = |seen: &Seen| {
                        let ms = SimClock::ms_of(seen.stamp) as f64 / 1e3;
                        format!("{} at {ms:.3} s", seen.record.validator)
                    };
                    let detail =
                        format!("round {round} had a record of {}, and now has one of {}", of(&pair[0]), of(&pair[1]));
                    found.push(Broken { what: "one record a round", detail });
                }
            }
        }
        found
    }

    fn decoded(&self, round: u64, bytes: &[u8]) -> Option<RoundRecord> {
        let longest = record::max_len(self.run.scenario.protocol.top_peers);
        let is_validator = |hotkey: &Hotkey| self.run.is_validator(hotkey);
        record::decode(bytes, longest, &self.run.id, round, is_validator, &Verified::default()).ok()
    }

    /// Takes in what was put where records lie, though another one may have taken its place by now.
    pub fn note(&mut self, location: &Path, bytes: Bytes, stamp: DateTime<Utc>) {
        let round = keys::round_of_record(location.as_ref());
        let Some((round, record)) = round.and_then(|round| Some((round, self.decoded(round, &bytes)?))) else { return };
        let all = self.seen.entry(round).or_default();
        if all.iter().all(|seen| seen.bytes != bytes) {
            all.push(Seen { tag: None, bytes, stamp, record, payloads: None });
        }
    }

    /// Looks at the records that are in the bucket now.
    pub async fn look(&mut self, bucket: &dyn ObjectStore) {
        let listed: Vec<_> =
            bucket.list(Some(&keys::records())).try_collect().await.expect("no fault meets the observer");
        for meta in listed {
            let Some(round) = keys::round_of_record(meta.location.as_ref()) else { continue };
            let last = self.seen.get(&round).and_then(|seen| seen.last());
            if last.is_some_and(|last| last.tag == meta.e_tag) {
                continue;
            }
            let Ok(found) = bucket.get(&meta.location).await else { continue };
            let (tag, stamp) = (found.meta.e_tag.clone(), found.meta.last_modified);
            let Ok(bytes) = found.bytes().await else { continue };
            let Some(record) = self.decoded(round, &bytes) else { continue };
            let all = self.seen.entry(round).or_default();
            match all.last_mut().filter(|last| last.bytes == bytes) {
                Some(last) => (last.tag, last.stamp) = (tag, stamp),
                None => all.push(Seen { tag, bytes, stamp, record, payloads: None }),
            }
        }
    }

    /// Fetches payloads that records name which were written since, as far as they can be had now.
    pub async fn fetch_payloads(&mut self, network: &Network, ports: &Ports, since: DateTime<Utc>) {
        let missing = |seen: &&mut Seen| seen.payloads.is_none() && seen.stamp >= since;
        for seen in self.seen.values_mut().flatten().filter(missing) {
            seen.payloads = fetch_payloads(network, ports, &seen.record, true).await;
        }
    }
}
