//! Audits: how validators ask for the training states that peers' work of a round started from, and how peers show them.
//!
//! Whom a validator audits, it decides after the put window, when nothing of the round's work can be changed any more. It asks in an
//! object of its own. Peers look at what all validators ask for when the time for asking is over
//! ([`Clock::audit_window`](super::ports::Clock::audit_window)), and those that are named put their states.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::bundle::parts_of;
use super::network::Network;
use super::ports::{Clock, Ports};
use crate::Uid;
use crate::bucket::untrusted::{body, create, get_stamped};
use crate::digest::Digest;
use crate::transport::audit::{self, REQUEST_LEN, Request};
use crate::transport::bundle::{PART, parts};
use crate::transport::retry::is_refusal;
use crate::transport::{Hotkey, keys};

/// After a time, objects that arrived then are visible.
const A_MOMENT: Duration = Duration::from_millis(10);

/// Reads of a state that the store refuses while it answers for other objects, before the state's owner is to blame.
const REFUSALS: usize = 3;

/// Parts of the time for showing after which a peer looks whether it is asked.
const LOOKS: [f64; 2] = [0.0, 0.25];

/// The training state that a slot's work of a round started from, until nobody can ask for it any more.
#[derive(Clone, Debug)]
pub struct Start {
    pub round: u64,
    pub uid: Uid,
    pub state: Bytes,
}

/// What a peer has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    State(Bytes),
    /// No state in time, or something else.
    Nothing,
}

/// Asks for the states of these peers; does nothing if there are none. Returns whether they can know in time.
pub async fn ask(network: &Network, ports: &Ports, round: u64, uids: Vec<Uid>) -> bool {
    let closes = ports.clock.audit_window(round).opens;
    // After the last round, nobody is there to answer.
    if uids.is_empty() || round + 1 == network.rules.rounds || ports.clock.now() > closes {
        return false;
    }
    let request = audit::encode(&Request { run: network.run, round, uids }, &ports.identity);
    let key = keys::audits(&ports.identity.hotkey(), round);
    let put = ports.bucket.put(&key, request.into());
    let put = tokio::time::timeout(closes.saturating_sub(ports.clock.now()), put).await;
    match &put {
        // The store's clock decides.
        Ok(Ok(_)) => {
            let stamp = ports.bucket.head(&key).await.map(|meta| ports.clock.since_genesis(meta.last_modified));
            return stamp.is_ok_and(|stamp| stamp <= closes);
        }
        Ok(Err(error)) => tracing::warn!(round, %error, "the request for audits could not be put"),
        Err(_) => tracing::warn!(round, "the request for audits could not be put in time"),
    }
    false
}

/// Shows the states that validators ask for. Each start comes with the ports of the key that its upload was made under.
pub async fn answer(network: Arc<Network>, starts: Vec<(Ports, Start)>) {
    let Some((ports, Start { round, .. })) = starts.first() else { return };
    let window = ports.clock.audit_window(*round);
    let mut shown = BTreeSet::new();
    // A store may fail once, and clocks differ a little.
    for part in LOOKS {
        ports.clock.sleep_until(window.opens + A_MOMENT + (window.closes - window.opens).mul_f64(part)).await;
        if ports.clock.now() > window.closes {
            return;
        }
        let asked = asked(&network, ports, *round).await;
        let named = starts.iter().filter(|(_, start)| asked.contains(&start.uid) && !shown.contains(&start.uid));
        let show = async |(ports, start): &(Ports, Start)| show(ports, start, window.closes).await.then_some(start.uid);
        let put = join_all(named.map(show)).await;
        shown.extend(put.into_iter().flatten());
    }
}

/// The peers that any validator audits in a round, as far as is known by now.
pub async fn asked(network: &Network, ports: &Ports, round: u64) -> BTreeSet<Uid> {
    let latest = ports.clock.audit_window(round).opens;
    let validators = ports.chain.view().await.validators();
    let requests = validators.into_iter().map(async |(validator, _)| {
        let validator = Hotkey(validator);
        let key = keys::audits(&validator, round);
        let (bytes, stamp) = get_stamped(&ports.bucket, &key, REQUEST_LEN as u64).await?;
        if ports.clock.since_genesis(stamp) > latest {
            return None;
        }
        audit::decode(&bytes, &network.run, round, &validator, &network.verified).ok()
    });
    join_all(requests).await.into_iter().flatten().flatten().collect()
}

/// Puts a state part by part, except what is there already: a later stamp must not replace one in time. Returns whether all of it is there. A
/// failure is a failed audit, not an error.
async fn show(ports: &Ports, start: &Start, closes: Duration) -> bool {
    ports.host.trace(&format!("state {}", start.round));
    let key = keys::state(&ports.identity.hotkey(), start.round);
    for (key, part) in parts_of(&key, &start.state) {
        if ports.clock.now() > closes {
            tracing::warn!(round = start.round, "there was no time for all of the training state for an audit");
            return false;
        }
        if let Err(error) = create(&*ports.own_uploads, &key, part).await {
            tracing::warn!(round = start.round, %error, "the training state for an audit could not be put");
            return false;
        }
    }
    true
}

/// Removes what a peer may have shown of its work of a round, a state of at most `most` bytes.
pub async fn forget(bucket: &dyn ObjectStore, peer: &Hotkey, round: u64, most: usize) {
    let key = keys::state(peer, round);
    let _ = bucket.delete(&key).await;
    for part in (1..parts(most)).map(|part| keys::part(&key, part)) {
        // In most rounds nobody asks.
        if matches!(bucket.head(&part).await, Err(Error::NotFound { .. })) {
            return;
        }
        let _ = bucket.delete(&part).await;
    }
}

/// What a peer has shown of its work of a round by the end of the window; `None` if the network's store does not answer. A bucket of
/// the peer's own must: otherwise a peer could choose its audits. Transfers no more than `most` bytes. A state has the digest that its peer
/// has committed to.
pub async fn shown(ports: &Ports, peer: &Hotkey, round: u64, most: usize, committed: Digest) -> Option<Shown> {
    let (clock, closes) = (&ports.clock, ports.clock.audit_window(round).closes);
    clock.sleep_until(closes + A_MOMENT).await;
    let Some(bucket) = ports.uploads_of(peer).await else { return Some(Shown::Nothing) };
    let request = keys::audits(&ports.identity.hotkey(), round);
    let is_up = || async { get_stamped(&ports.bucket, &request, REQUEST_LEN as u64).await.is_some() };
    let digest_of = |state: Bytes| ports.run(Duration::ZERO, move || Digest::of(&state));
    // One that does not answer must not put off the audits of the next round. A round may be decided later than that.
    let next = clock.put_window(round + 1).opens;
    let until = (closes + next.saturating_sub(closes) / 4).max(clock.now() + clock.round_length() / 8);
    let place = Place { bucket, key: keys::state(peer, round), most, clock, closes };
    let found = place.find(committed, until, is_up, digest_of).await;
    let is_own = ports.chain.view().await.bucket_of(&peer.0).is_some();
    found.or_else(|| is_own.then_some(Shown::Nothing))
}

/// Where a state of at most `most` bytes has to be by the end of a window.
struct Place<'a> {
    bucket: Arc<dyn ObjectStore>,
    key: Path,
    most: usize,
    clock: &'a Clock,
    closes: Duration,
}

impl Place<'_> {
    /// What is there; `None` if the bucket does not answer in time. `is_up` says whether the network's store answers for another object.
    /// A read may be damaged in transit, so that something else than what was committed to is read twice, if there is time.
    async fn find<U: Future<Output = bool>, D: Future<Output = Digest>>(
        &self,
        committed: Digest,
        until: Duration,
        is_up: impl Fn() -> U,
        digest_of: impl Fn(Bytes) -> D,
    ) -> Option<Shown> {
        let mut other = None;
        let look = async {
            while let Some(state) = self.read(&is_up).await {
                let digest = digest_of(state.clone()).await;
                if digest == committed {
                    return Shown::State(state);
                }
                if other.replace(digest) == Some(digest) {
                    break;
                }
            }
            Shown::Nothing
        };
        let found = tokio::time::timeout(until.saturating_sub(self.clock.now()), look).await.ok();
        found.or_else(|| other.map(|_| Shown::Nothing))
    }

    /// A state; `None` if there is none, it is longer, or a part of it came late or is refused. Waits while the store fails.
    async fn read<U: Future<Output = bool>>(&self, is_up: &impl Fn() -> U) -> Option<Bytes> {
        let Part::There(first) = self.part(&self.key, self.most.min(PART), is_up).await else { return None };
        if first.len() < PART {
            return Some(first);
        }
        // A vector that grows would be copied.
        let mut state = BytesMut::with_capacity(self.most);
        state.extend_from_slice(&first);
        for number in 1..parts(self.most) {
            let left = (self.most - state.len()).min(PART);
            let part = match self.part(&keys::part(&self.key, number), left, is_up).await {
                Part::There(part) => part,
                // The one before was the last, and as long as others.
                Part::Absent => break,
                Part::Wrong => return None,
            };
            state.extend_from_slice(&part);
            if part.len() < PART {
                break;
            }
        }
        Some(state.freeze())
    }

    /// A part of at most `most` bytes. The owner of an object can store it in a way in which nobody else can read it (archived, or with a
    /// key of its own), so that the store refuses it while it answers for others.
    async fn part<U: Future<Output = bool>>(&self, key: &Path, most: usize, is_up: &impl Fn() -> U) -> Part {
        let mut refused = 0;
        let is_late = |stamp| self.clock.since_genesis(stamp) > self.closes;
        loop {
            match read_part(&self.bucket, key, most, is_late).await {
                Ok(Some(part)) => return Part::There(part),
                Ok(None) => return Part::Wrong,
                Err(Error::NotFound { .. }) => return Part::Absent,
                Err(error) => {
                    tracing::warn!(%key, %error, "a training state could not be read");
                    refused += usize::from(is_refusal(&error) && is_up().await);
                }
            }
            if refused == REFUSALS {
                return Part::Wrong;
            }
            self.clock.sleep(self.clock.round_length() / 100).await;
        }
    }
}

/// What is found in the place of a part of a state.
enum Part {
    There(Bytes),
    Absent,
    /// It is longer, late, or refused.
    Wrong,
}

/// An object; `None` if it is longer or late.
async fn read_part(
    bucket: &Arc<dyn ObjectStore>,
    key: &Path,
    most: usize,
    is_late: impl Fn(DateTime<Utc>) -> bool,
) -> object_store::Result<Option<Bytes>> {
    let options = GetOptions { range: Some(GetRange::Bounded(0..most as u64)), ..Default::default() };
    let found = match bucket.get_opts(key, options).await {
        Ok(found) => found,
        Err(error @ Error::NotFound { .. }) => return Err(error),
        Err(error) => {
            let meta = bucket.head(key).await?;
            return match meta.size {
                // Its owner has changed it, maybe so that the store failed.
                _ if is_late(meta.last_modified) => Ok(None),
                // A range does not fit an empty object, which may be a state, and no range is empty.
                0 => Ok(Some(Bytes::new())),
                _ => Err(error),
            };
        }
    };
    if found.meta.size > most as u64 || is_late(found.meta.last_modified) {
        return Ok(None);
    }
    body(found).await.map(Some)
}

#[cfg(test)]
mod tests;
