//! Follows the record of a round. The record names the included payloads by digest, so all nodes that apply it get the
//! same model.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;

use super::agreed::Agreed;
use super::bundle::get_bundle;
use super::network::Network;
use super::ports::Ports;
use super::{reveal, upload};
use crate::bucket::untrusted::{get_bounded, get_stamped};
use crate::digest::Digest;
use crate::training::{Contribution, PseudoGradient, Replica};
use crate::transport::record::{self, Included, RecordError, RoundRecord};
use crate::transport::wire::{self, Expected, Upload};
use crate::transport::{Hotkey, bundle, keys};

/// A node asks at least this often for something that is not there yet.
const POLL: Duration = Duration::from_secs(1);

/// The result of following a round's record.
pub struct Followed {
    /// The replica after the round.
    pub replica: Arc<Replica>,
    /// Whether the record is about the model that it was applied to. If not, this node's model differs from the
    /// validators'; its behaviour decides whether to repair that.
    pub in_sync: bool,
    /// Whether an honest validator may have written the record: it names the model that its payloads lead to, and all of
    /// them decode.
    pub is_sound: bool,
    /// What is agreed after the round.
    pub agreed: Agreed,
}

/// Waits for the record of `round` and applies it to the replica before the round. With `fresh`, fetches the payloads
/// from the peers that made them, and the bundle if one is missing; a node that catches up fetches the bundle at once.
/// `None` when the next round is over too: something may be lost, and only catching up helps.
pub async fn follow(
    network: &Arc<Network>,
    ports: &Ports,
    (replica, agreed): (&Arc<Replica>, &Agreed),
    round: u64,
    fresh: bool,
) -> Option<Followed> {
    while ports.clock.round() <= round + 1 {
        if let Some(record) = fetch_in_turn(network, ports, round, agreed).await
            && let Some(followed) = follow_record(network, ports, (replica, agreed), &record, fresh).await
        {
            return Some(followed);
        }
        wait_a_little(ports).await;
    }
    None
}

/// Waits a moment for others to do something.
pub async fn wait_a_little(ports: &Ports) {
    ports.clock.sleep(POLL.min(ports.clock.round_length() / 8)).await;
}

/// Applies a record to the replica before its round; `None` while a payload is unavailable.
pub async fn follow_record(
    network: &Arc<Network>,
    ports: &Ports,
    (replica, agreed): (&Arc<Replica>, &Agreed),
    record: &RoundRecord,
    fresh: bool,
) -> Option<Followed> {
    let payloads = fetch_payloads(network, ports, record, fresh).await?;
    let after = apply(network, ports, replica, record, payloads).await;
    let in_sync = record.model_before == replica.digest;
    if after.digest != record.model_after {
        ports.host.trace(&format!("diverged {} {}", record.round, after.digest));
        if in_sync {
            // The payloads decide the aggregate. The digest after them only tells what the record's author got.
            tracing::error!(
                round = record.round, author = %record.validator, theirs = %record.model_after, ours = %after.digest,
                "the record's author computed another model from the same payloads; going on with ours"
            );
        }
    }
    let is_sound = after.digest == record.model_after || !in_sync;
    Some(Followed { replica: after, in_sync, is_sound, agreed: agreed.followed(record.validator) })
}

/// The record of a round, if a validator has written one and it was its turn. A record out of turn is no better than any
/// other object in its place: the validator whose turn it is replaces it.
pub async fn fetch_in_turn(network: &Network, ports: &Ports, round: u64, agreed: &Agreed) -> Option<RoundRecord> {
    let key = keys::record(round);
    let (bytes, stamp) = get_stamped(&ports.bucket, &key, max_record_len(network) as u64).await?;
    let read = read_record(network, ports, round, &bytes).await;
    let read =
        read.inspect_err(|error| tracing::error!(%key, %error, "ignoring an object that is no validator's record"));
    let record = read.ok()?;
    let is_in_turn = agreed.is_in_turn(&*ports.chain.view().await, &ports.clock, &record, stamp);
    if !is_in_turn {
        tracing::warn!(round, author = %record.validator, "ignoring a record that was written out of turn");
    }
    is_in_turn.then_some(record)
}

/// The record of a round, if a validator has written one, in turn or not.
pub async fn fetch_record(network: &Network, ports: &Ports, round: u64) -> Option<RoundRecord> {
    let key = keys::record(round);
    let bytes = get_bounded(&ports.bucket, &key, max_record_len(network) as u64).await?;
    let read = read_record(network, ports, round, &bytes).await;
    read.inspect_err(|error| tracing::error!(%key, %error, "ignoring an object that is no validator's record")).ok()
}

/// The payloads that the record of a round names, if record and payloads can be had now: anybody can replay a round.
pub async fn aggregated(network: &Network, ports: &Ports, round: u64) -> Option<Vec<Arc<PseudoGradient>>> {
    let record = fetch_record(network, ports, round).await?;
    let payloads = fetch_payloads(network, ports, &record, true).await?;
    Some(decode_all(network, round, &record.included, &payloads).into_iter().map(|upload| upload.payload).collect())
}

/// Maximum length in bytes of a record of this run.
pub fn max_record_len(network: &Network) -> usize {
    record::max_len(network.rules.protocol.top_peers)
}

/// Decodes the record of a round, signed by a validator.
///
/// # Errors
/// The bytes are something else.
pub async fn read_record(
    network: &Network,
    ports: &Ports,
    round: u64,
    bytes: &[u8],
) -> Result<RoundRecord, RecordError> {
    let chain = ports.chain.view().await;
    let is_validator = |hotkey: &Hotkey| chain.validators().iter().any(|(validator, _)| *validator == hotkey.0);
    record::decode(bytes, max_record_len(network), &network.run, round, is_validator, &network.verified)
}

/// The payloads of a record, in its order; `None` if one is unavailable now.
pub async fn fetch_payloads(network: &Network, ports: &Ports, record: &RoundRecord, fresh: bool) -> Option<Vec<Bytes>> {
    let most = wire::encoded_len(network.form()) as u64;
    if fresh {
        let is_recorded = |bytes: &Bytes, included: &Included| Digest::of(bytes) == included.payload;
        #[cfg(test)]
        let is_recorded = |bytes: &Bytes, included: &Included| {
            crate::planted::is(crate::planted::Defect::SkippedDigest) || is_recorded(bytes, included)
        };
        let fetched = join_all(record.included.iter().map(|included| async {
            fetch_payload(network, ports, record.round, included).await.filter(|bytes| is_recorded(bytes, included))
        }))
        .await;
        if let Some(payloads) = fetched.into_iter().collect() {
            return Some(payloads);
        }
    }
    let bundle_len = bundle::encoded_len(record.included.len(), most as usize);
    let key = keys::bundle(&record.validator, record.round);
    let payloads = get_bundle(&ports.bucket, &key, bundle_len).await?;
    let as_recorded =
        payloads.iter().map(|(digest, _)| digest).eq(record.included.iter().map(|included| &included.payload));
    as_recorded.then(|| payloads.into_iter().map(|(_, bytes)| bytes).collect())
}

/// The plain upload of a peer, from the peer.
async fn fetch_payload(network: &Network, ports: &Ports, round: u64, included: &Included) -> Option<Bytes> {
    let Included { uid, hotkey, .. } = *included;
    if network.rules.protocol.sealed {
        return reveal::revealed(network, ports, &Expected { run: network.run, round, uid, hotkey }).await;
    }
    let bucket = ports.uploads_of(&hotkey).await?;
    get_bounded(&bucket, &keys::upload(&hotkey, round), wire::encoded_len(network.form()) as u64).await
}

/// Aggregates the payloads and takes the step.
pub async fn apply(
    network: &Arc<Network>,
    ports: &Ports,
    replica: &Arc<Replica>,
    record: &RoundRecord,
    payloads: Vec<Bytes>,
) -> Arc<Replica> {
    let (network, replica, round, included) = (network.clone(), replica.clone(), record.round, record.included.clone());
    let digests: Vec<Digest> = included.iter().map(|included| included.payload).collect();
    let work = move || {
        let network = &network;
        network.core.advance(&replica, round, &digests, || decode_all(network, round, &included, &payloads))
    };
    ports.run(Duration::ZERO, work).await
}

/// The lead validator checks what it includes. Should it include a payload that does not decode, all nodes leave that
/// out alike.
fn decode_all(network: &Network, round: u64, included: &[Included], payloads: &[Bytes]) -> Vec<Contribution> {
    let decoded = included
        .iter()
        .zip(payloads)
        .filter_map(|(included, bytes)| upload::decode(network, bytes, round, included.uid, included.hotkey));
    let uploads: Vec<Upload> = decoded.collect();
    let pages: Vec<usize> = uploads.iter().map(|upload| network.pages_said(upload)).collect();
    let weights = network.rules.weights.of(&pages);
    let contribution = |(upload, weight): (Upload, u8)| Contribution { payload: Arc::new(upload.gradient), weight };
    uploads.into_iter().zip(weights).map(contribution).collect()
}
