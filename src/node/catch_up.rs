//! Catching up: a node that was away takes the newest checkpoint, if that is far ahead of it, and replays the records
//! since.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::future::join_all;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use super::agreed::{Agreed, objection};
use super::checkpoint::get_checkpoint;
use super::follow::{Followed, fetch_in_turn, fetch_record, follow_record, wait_a_little};
use super::network::Network;
use super::ports::Ports;
use crate::chain::Call;
use crate::training::Replica;
use crate::transport::record::RoundRecord;
use crate::transport::{Hotkey, keys};

/// Number of checkpoints of a validator to try, the newest first: one may be damaged or incomplete.
const TRIED: usize = 3;
/// Number of a validator's candidates to look at: an object with a checkpoint's name may be anything. It cannot hide the
/// checkpoints of others behind its own.
const LOOKED_AT: usize = 30;

/// Rounds for which a node waits for the payloads of a record: as long as peers keep their uploads. As long it waits for anything
/// after the last round.
pub const PATIENCE: u64 = 3;

/// A model that a node catches up to: the replica before round `at`.
pub struct Step {
    pub at: u64,
    pub followed: Followed,
}

/// One step of a node that catches up from before round `at`: to the newest checkpoint if that is far ahead, otherwise
/// through the record of `at`. A round that has become void is an empty step. With `objects`, which is for validators,
/// the node tells the others when it lacks the payloads of a round that is long over. `None` if some rounds have
/// passed since the last one, and nothing leads on.
pub async fn step_forward(
    network: &Arc<Network>,
    ports: &Ports,
    at: u64,
    (replica, agreed): (&Arc<Replica>, &Agreed),
    objects: bool,
) -> Option<Step> {
    let every = network.rules.training.checkpoint_every;
    let (mut objected, mut lacking_since) = (None, None);
    let until = ports.clock.round().max(network.rules.rounds) + PATIENCE;
    loop {
        if ports.chain.view().await.void_rounds().contains(&at) {
            ports.host.trace(&format!("void {at}"));
            let (replica, agreed) = (replica.clone(), agreed.skipped(at));
            #[cfg(test)]
            let is_wrong = crate::planted::is(crate::planted::Defect::VoidStep);
            #[cfg(test)]
            let replica = if is_wrong { network.genesis.clone() } else { replica };
            return Some(Step { at: at + 1, followed: Followed { replica, in_sync: true, is_sound: true, agreed } });
        }
        let behind = ports.clock.round().min(network.rules.rounds).saturating_sub(at);
        if behind > every
            && let Some(step) = step_to_checkpoint(network, ports, at).await
        {
            return Some(step);
        }
        // Records of long ago are removed, so only a checkpoint helps.
        if let Some(record) = fetch_in_turn(network, ports, at, agreed).await {
            let mut followed = follow_record(network, ports, (replica, agreed), &record, false).await;
            if followed.is_none() {
                // The bundle is missing, but the peers' own uploads may be there.
                followed = follow_record(network, ports, (replica, agreed), &record, true).await;
            }
            if let Some(followed) = followed {
                ports.host.trace(&format!("model {} {}", at + 1, followed.replica.digest));
                return Some(Step { at: at + 1, followed });
            }
            let round = ports.clock.round();
            // The payloads may be gone for good, or the record be one that was replaced. Then only a checkpoint helps.
            if round > *lacking_since.get_or_insert(round) + PATIENCE
                && let Some(step) = step_to_checkpoint(network, ports, at).await
            {
                return Some(step);
            }
            // Who can go on from a checkpoint has nothing against what was agreed up to it.
            if objects
                && round > at + 1
                && objected != Some(round)
                && newest_checkpoint_round(network, ports).await.is_some_and(|newest| newest.is_none_or(|of| of <= at))
            {
                objected = Some(round);
                ports.chain.submit(Call::Object(objection(&record, true))).await;
            }
        }
        if ports.clock.round() > until {
            if let Some(step) = step_to_checkpoint(network, ports, at).await {
                return Some(step);
            }
            // While the bucket does not answer, something may still be there.
            if newest_checkpoint_round(network, ports).await.is_some() {
                tracing::warn!(at, "the last round is over, and nothing leads on from this node's model");
                return None;
            }
        }
        wait_a_little(ports).await;
    }
}

/// The step to the newest checkpoint after round `at`, if there is one.
async fn step_to_checkpoint(network: &Arc<Network>, ports: &Ports, at: u64) -> Option<Step> {
    let (at, replica, agreed) = newest_checkpoint(network, ports, at).await?;
    ports.host.trace(&format!("checkpoint {at} {}", replica.digest));
    Some(Step { at, followed: Followed { replica, in_sync: true, is_sound: true, agreed } })
}

/// The newest model after round `beyond` that validators have put into the bucket and vouch for: `(round, replica)`,
/// where the replica is the one before `round`.
pub async fn newest_checkpoint(
    network: &Arc<Network>,
    ports: &Ports,
    beyond: u64,
) -> Option<(u64, Arc<Replica>, Agreed)> {
    let parameters = network.core.layout.total();
    let mut tried: BTreeMap<Hotkey, usize> = BTreeMap::new();
    for (at, validator) in checkpoints(ports).await? {
        if at <= beyond {
            break;
        }
        let tried = tried.entry(validator).or_default();
        if *tried == TRIED {
            continue;
        }
        // A checkpoint is not signed; the record of the round before it is.
        let Some(record) = vouching_record(network, ports, at).await else { continue };
        *tried += 1;
        let (key, expected) = (keys::checkpoint(&validator, at), (at, record.model_after));
        if let Some(found) = get_checkpoint(&ports.bucket, &key, &network.run, parameters, expected).await {
            let agreed = Agreed::at_checkpoint(&*ports.chain.view().await, at, record.validator);
            return Some((at, network.core.replica(found.theta), agreed));
        }
    }
    None
}

/// The record of the round before a checkpoint. That of a void round vouches for nothing.
async fn vouching_record(network: &Network, ports: &Ports, at: u64) -> Option<RoundRecord> {
    let before = at.checked_sub(1)?;
    let is_void = ports.chain.view().await.void_rounds().contains(&before);
    if is_void { None } else { fetch_record(network, ports, before).await }
}

/// The round of the newest checkpoint that a record vouches for, if there is one. The checkpoint may still be damaged.
/// The outer `None` means that the bucket does not answer.
pub async fn newest_checkpoint_round(network: &Network, ports: &Ports) -> Option<Option<u64>> {
    for (at, _) in checkpoints(ports).await? {
        if vouching_record(network, ports, at).await.is_some() {
            return Some(Some(at));
        }
    }
    Some(None)
}

/// The record of a round, if the round is decided. The outer `None` means that the bucket does not answer.
pub async fn decision(network: &Network, ports: &Ports, round: u64, agreed: &Agreed) -> Option<Option<RoundRecord>> {
    if let Some(record) = fetch_in_turn(network, ports, round, agreed).await {
        return Some(Some(record));
    }
    match ports.bucket.head(&keys::record(round)).await {
        Err(Error::NotFound { .. }) => Some(None),
        // The object is no record, or could not be read.
        Ok(_) => Some(None),
        Err(_) => None,
    }
}

/// The newest candidates of all validators, the newest first; `None` if the bucket does not answer.
async fn checkpoints(ports: &Ports) -> Option<Vec<(u64, Hotkey)>> {
    let chain = ports.chain.view().await;
    // No node has a model of a future round.
    let now = ports.clock.round();
    let validators = chain.validators().into_iter().map(|(validator, _)| Hotkey(validator));
    let listed = join_all(validators.map(|validator| async move {
        let objects: Vec<_> = ports.bucket.list(Some(&keys::checkpoints(&validator))).try_collect().await.ok()?;
        let rounds = objects.into_iter().filter_map(|meta| keys::number(&meta.location));
        let mut rounds: Vec<u64> = rounds.filter(|round| *round <= now + 1).collect();
        rounds.sort_unstable_by(|a, b| b.cmp(a));
        Some(rounds.into_iter().take(LOOKED_AT).map(|round| (round, validator)).collect::<Vec<_>>())
    }))
    .await;
    let listed: Option<Vec<Vec<(u64, Hotkey)>>> = listed.into_iter().collect();
    let mut found: Vec<(u64, Hotkey)> = listed?.into_iter().flatten().collect();
    // The sort is stable: among equal rounds, the validator with the higher stake comes first.
    found.sort_by_key(|(round, _)| std::cmp::Reverse(*round));
    Some(found)
}
