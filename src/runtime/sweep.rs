//! Removes what a node left in the bucket before it was stopped: no other node may.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::node::ports::Ports;
use crate::node::{KEPT_UPLOADS, Network, newest_checkpoint_round};
use crate::transport::keys;

/// Removes a node's objects of rounds long past; a validator also removes records that no node needs to catch up.
pub async fn sweep(network: &Network, ports: &Ports, is_validator: bool) {
    let own = ports.identity.hotkey();
    let round = ports.clock.round();
    if !is_validator {
        return remove(&ports.own_uploads, &keys::rounds(&own), round.saturating_sub(KEPT_UPLOADS)).await;
    }
    let Some(Some(newest)) = newest_checkpoint_round(network, ports).await else { return };
    // The record of the previous round vouches for the checkpoint.
    let before = round.saturating_sub(network.rules.training.kept_rounds()).min(newest.saturating_sub(1));
    remove(&ports.bucket, &keys::checkpoints(&own), before).await;
    remove(&ports.bucket, &keys::rounds(&own), before).await;
    remove(&ports.bucket, &keys::records(), before).await;
}

/// Removes the objects below a prefix that belong to rounds before this one.
async fn remove(bucket: &Arc<dyn ObjectStore>, prefix: &Path, before: u64) {
    let Ok(objects) = bucket.list(Some(prefix)).try_collect::<Vec<_>>().await else { return };
    for meta in objects {
        let round = meta.location.prefix_match(prefix).and_then(|mut rest| keys::round_of_part(rest.next()?.as_ref()));
        if round.is_some_and(|round| round < before) {
            let _ = bucket.delete(&meta.location).await;
        }
    }
}
