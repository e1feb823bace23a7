//! Models that dishonest validators put into the bucket as checkpoints. Others cannot always compute such a model, because a
//! record can name payloads that nobody has. They may start from its checkpoint all the same: the record vouches for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use super::records::Records;
use crate::digest::Digest;
use crate::node::{Network, get_checkpoint};
use crate::training::Replica;
use crate::transport::{Hotkey, keys};

/// The checkpoints of some validators that a node could have taken.
pub struct Checkpoints {
    of: Vec<Hotkey>,
    network: Arc<Network>,
    /// By the round that they are before.
    found: BTreeMap<u64, BTreeMap<Digest, Arc<Replica>>>,
    /// Versions of objects, each with a model that a record names: those that have been compared.
    compared: BTreeSet<(Path, Option<String>, Digest)>,
}

impl Checkpoints {
    /// None yet of these validators.
    pub fn new(of: Vec<Hotkey>, network: Arc<Network>) -> Self {
        Self { of, network, found: BTreeMap::new(), compared: BTreeSet::new() }
    }

    /// Looks at the checkpoints that are in the bucket now. As nodes do, it takes those whose models records name.
    pub async fn look(&mut self, bucket: &Arc<dyn ObjectStore>, records: &Records) {
        let (network, parameters) = (self.network.clone(), self.network.core.layout.total());
        for validator in self.of.clone() {
            let listed = bucket.list(Some(&keys::checkpoints(&validator))).try_collect::<Vec<_>>().await;
            for meta in listed.expect("no fault meets the observer") {
                let Some(at) = keys::number(&meta.location) else { continue };
                let Some(before) = at.checked_sub(1) else { continue };
                for model in records.all_of(before).iter().map(|seen| seen.record.model_after) {
                    if !self.compared.insert((meta.location.clone(), meta.e_tag.clone(), model)) {
                        continue;
                    }
                    let key = keys::checkpoint(&validator, at);
                    if let Some(read) = get_checkpoint(bucket, &key, &network.run, parameters, (at, model)).await {
                        self.found.entry(at).or_default().insert(model, network.core.replica(read.theta));
                    }
                }
            }
        }
    }

    /// Whether there was a checkpoint of this model before a round.
    pub fn has(&self, round: u64, model: &Digest) -> bool {
        self.found.get(&round).is_some_and(|models| models.contains_key(model))
    }

    /// All models, by their digests.
    pub fn models(&self) -> impl Iterator<Item = (Digest, Arc<Replica>)> {
        self.found.values().flatten().map(|(model, replica)| (*model, replica.clone()))
    }
}
