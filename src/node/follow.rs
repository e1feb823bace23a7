//! Following the lead validator: every round's record says who is in, by payload digest; whoever applies it has the
//! same model.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use object_store::{GetOptions, GetRange, ObjectStore};

use super::network::Network;
use super::ports::Ports;
use super::upload;
use crate::digest::Digest;
use crate::training::{PseudoGradient, Replica};
use crate::transport::record::{self, Included, RoundRecord};
use crate::transport::{Hotkey, bundle, checkpoint, keys, wire};

/// How often a record is asked for that is not there yet.
const POLL: Duration = Duration::from_secs(1);

/// Waits until the record of `round` is there, and applies it. `fresh` fetches the payloads from the peers that made
/// them, and the bundle only for what is missing; a node that catches up takes the bundle at once.
pub async fn follow(
    network: &Arc<Network>,
    ports: &Ports,
    replica: &Arc<Replica>,
    round: u64,
    fresh: bool,
) -> Arc<Replica> {
    loop {
        // The lead may change while a node waits.
        let lead = Hotkey(ports.chain.state().await.lead_hotkey());
        if let Some(record) = fetch_record(network, ports, &lead, round).await {
            let payloads = fetch_payloads(network, ports, &lead, &record, fresh).await;
            if let Some(payloads) = payloads {
                let after = apply(network, ports, replica, &record, payloads).await;
                if after.digest == record.model_after {
                    return after;
                }
                // A node that started from another model cannot agree; whether to mend that is its behaviour's choice.
                ports.host.trace(&format!("diverged {round} {}", after.digest));
                return after;
            }
        }
        ports.clock.sleep(POLL).await;
    }
}

/// One step of a node that catches up from before round `at`: the round and replica that the newest checkpoint gives,
/// where it is far ahead, or else what the record of `at` leads to.
pub async fn step_forward(
    network: &Arc<Network>,
    ports: &Ports,
    at: u64,
    replica: &Arc<Replica>,
) -> (u64, Arc<Replica>) {
    let every = network.scenario.training.checkpoint_every;
    loop {
        let now = ports.clock.round().min(network.scenario.rounds);
        let behind = now.saturating_sub(at);
        if behind > every
            && let Some((newest, replica)) = newest_checkpoint(network, ports, now).await
            && newest > at
        {
            ports.host.trace(&format!("checkpoint {newest} {}", replica.digest));
            return (newest, replica);
        }
        // The lead may have removed records older than that: only a checkpoint helps.
        if behind < 2 * every {
            let after = follow(network, ports, replica, at, false).await;
            ports.host.trace(&format!("model {} {}", at + 1, after.digest));
            return (at + 1, after);
        }
        ports.clock.sleep(POLL).await;
    }
}

/// The newest model that can be had without replaying from the start: `(round, replica)`, the replica before `round`.
async fn newest_checkpoint(network: &Arc<Network>, ports: &Ports, round: u64) -> Option<(u64, Arc<Replica>)> {
    let every = network.scenario.training.checkpoint_every;
    let parameters = network.core.layout.total();
    let most = checkpoint::encoded_len(parameters) as u64;
    let lead = Hotkey(ports.chain.state().await.lead_hotkey());
    for at in [round / every * every, (round / every).saturating_sub(1) * every] {
        if at == 0 {
            break;
        }
        if let Some(bytes) = get_bounded(&ports.bucket, &keys::checkpoint(&lead, at), most).await
            && let Ok(checkpoint) = checkpoint::decode(&bytes, &network.run, parameters)
            && checkpoint.round == at
        {
            return Some((at, network.core.replica(checkpoint.theta)));
        }
    }
    None
}

async fn fetch_record(network: &Network, ports: &Ports, lead: &Hotkey, round: u64) -> Option<RoundRecord> {
    let most = record::max_len(network.scenario.gauntlet.top_peers);
    let bytes = get_bounded(&ports.bucket, &keys::record(lead, round), most as u64).await?;
    record::decode(&bytes, most, &network.run, round, lead).ok()
}

/// The payloads of a record, in its order; `None` if some of them could not be had now.
async fn fetch_payloads(
    network: &Network,
    ports: &Ports,
    lead: &Hotkey,
    record: &RoundRecord,
    fresh: bool,
) -> Option<Vec<Bytes>> {
    let most = wire::encoded_len(&network.shape) as u64;
    if fresh {
        let fetched = join_all(record.included.iter().map(|included| async {
            let key = keys::upload(&included.hotkey, record.round);
            get_bounded(&ports.bucket, &key, most).await.filter(|bytes| Digest::of(bytes) == included.payload)
        }))
        .await;
        if let Some(payloads) = fetched.into_iter().collect() {
            return Some(payloads);
        }
    }
    let bundle_len = bundle::encoded_len(record.included.len(), most as usize);
    let bytes = get_bounded(&ports.bucket, &keys::bundle(lead, record.round), bundle_len as u64).await?;
    let payloads = bundle::decode(&bytes, bundle_len).ok()?;
    let as_recorded =
        payloads.iter().map(|(digest, _)| digest).eq(record.included.iter().map(|included| &included.payload));
    as_recorded.then(|| payloads.into_iter().map(|(_, bytes)| bytes).collect())
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
    ports.compute.run(Duration::ZERO, work).await
}

/// The lead validator has checked what it includes; should it ever include what does not decode, everybody leaves that
/// out alike.
fn decode_all(network: &Network, round: u64, included: &[Included], payloads: &[Bytes]) -> Vec<Arc<PseudoGradient>> {
    let decoded = included
        .iter()
        .zip(payloads)
        .filter_map(|(included, bytes)| upload::decode(network, bytes, round, included.uid, included.hotkey));
    decoded.map(|upload| Arc::new(upload.gradient)).collect()
}

/// An object of at most `most` bytes; `None` if there is none, or a larger one.
async fn get_bounded(bucket: &Arc<dyn ObjectStore>, key: &object_store::path::Path, most: u64) -> Option<Bytes> {
    let options = GetOptions { range: Some(GetRange::Bounded(0..most)), ..Default::default() };
    let answer = bucket.get_opts(key, options).await.ok()?;
    if answer.meta.size > most {
        return None;
    }
    answer.bytes().await.ok()
}
