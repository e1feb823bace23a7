//! Audits: how validators ask for the training states that peers' work of a round started from, and how peers show them.
//!
//! Whom a validator audits, it decides after the put window, when nothing of the round's work can be changed any more. It asks in an
//! object of its own. Peers look at what all validators ask for when the time for asking is over
//! ([`Clock::audit_window`](super::ports::Clock::audit_window)), and those that are named put their states.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt};

use super::network::Network;
use super::ports::Ports;
use super::upload::KEPT_UPLOADS;
use crate::Uid;
use crate::bucket::untrusted::get_stamped;
use crate::digest::Digest;
use crate::transport::audit::{self, REQUEST_LEN, Request};
use crate::transport::{Hotkey, keys};

/// After a time, objects that arrived then are visible.
const A_MOMENT: Duration = Duration::from_millis(10);

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
    /// No state in time, or something that is longer.
    Nothing,
}

/// Asks for the states of these peers. Returns whether they can know in time.
pub async fn ask(network: &Network, ports: &Ports, round: u64, uids: Vec<Uid>) -> bool {
    let key = keys::audits(&ports.identity.hotkey(), round);
    let request = audit::encode(&Request { run: network.run, round, uids }, &ports.identity);
    let put = ports.bucket.put(&key, request.into()).await;
    if let Some(old) = round.checked_sub(KEPT_UPLOADS) {
        let _ = ports.bucket.delete(&keys::audits(&ports.identity.hotkey(), old)).await;
    }
    if let Err(error) = &put {
        tracing::warn!(round, %error, "the request for audits could not be put");
    }
    put.is_ok() && ports.clock.now() <= ports.clock.audit_window(round).opens
}

/// Shows the states that validators ask for. Each start comes with the ports of the key that its upload was made under.
pub async fn answer(network: Arc<Network>, starts: Vec<(Ports, Start)>) {
    let Some((ports, Start { round, .. })) = starts.first() else { return };
    ports.clock.sleep_until(ports.clock.audit_window(*round).opens + A_MOMENT).await;
    let asked = asked(&network, ports, *round).await;
    let named = starts.iter().filter(|(_, start)| asked.contains(&start.uid));
    join_all(named.map(|(ports, start)| show(ports, start))).await;
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

/// Puts a state; a failure is a failed audit, not an error.
async fn show(ports: &Ports, start: &Start) {
    ports.host.trace(&format!("state {} {}", start.round, Digest::of(&start.state)));
    let key = keys::state(&ports.identity.hotkey(), start.round);
    if let Err(error) = ports.own_uploads.put(&key, start.state.clone().into()).await {
        tracing::warn!(round = start.round, %error, "the training state for an audit could not be put");
    }
}

/// What a peer has shown of its work of a round by the end of the window; `None` if the store does not answer. Transfers no more
/// than `most` bytes.
pub async fn shown(ports: &Ports, peer: &Hotkey, round: u64, most: usize) -> Option<Shown> {
    let closes = ports.clock.audit_window(round).closes;
    ports.clock.sleep_until(closes + A_MOMENT).await;
    let Some(bucket) = ports.uploads_of(peer).await else { return Some(Shown::Nothing) };
    let key = keys::state(peer, round);
    let options = GetOptions { range: Some(GetRange::Bounded(0..most as u64)), ..Default::default() };
    let found = match bucket.get_opts(&key, options).await {
        Ok(found) => found,
        Err(Error::NotFound { .. }) => return Some(Shown::Nothing),
        // A range does not fit an empty object, which may be a state.
        Err(_) => {
            let meta = bucket.head(&key).await.ok()?;
            let empty = meta.size == 0 && ports.clock.since_genesis(meta.last_modified) <= closes;
            return (meta.size == 0).then_some(if empty { Shown::State(Bytes::new()) } else { Shown::Nothing });
        }
    };
    if found.meta.size > most as u64 || ports.clock.since_genesis(found.meta.last_modified) > closes {
        return Some(Shown::Nothing);
    }
    found.bytes().await.ok().map(Shown::State)
}
