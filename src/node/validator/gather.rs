//! The uploads of a round, and what the cheap checks say of each: stage 1.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use object_store::ObjectStoreExt;

use super::Validator;
use crate::Uid;
use crate::mechanism::gauntlet::fast::{mistimed, steps_behind};
use crate::mechanism::gauntlet::{self, FastOutcome, TensorIndices};
use crate::node::upload::{self, Fetched, Received};
use crate::transport::{Hotkey, keys};

/// The uploads of a round, by uid.
pub struct Gathered {
    pub outcomes: Vec<(Uid, FastOutcome)>,
    pub valid: BTreeMap<Uid, Received>,
    pub found: usize,
}

impl Validator {
    /// Fetches every registered peer's upload and judges its form: stage 1.
    pub async fn gather(&self) -> Gathered {
        let (network, round) = (&self.network, self.round);
        let ports = &self.ports;
        let uploads = join_all(self.owners.iter().map(|(&uid, &hotkey)| async move {
            let fetched = upload::fetch(network, ports, round, uid, hotkey).await;
            let late = matches!(fetched, Fetched::Absent) && self.was_late(hotkey).await;
            (uid, fetched, late)
        }))
        .await;
        let found = uploads.iter().filter(|(_, fetched, _)| !matches!(fetched, Fetched::Absent)).count();
        let mut gathered = Gathered { outcomes: Vec::new(), valid: BTreeMap::new(), found };
        let own_samples = upload::samples_of(network, &self.replica, round);
        for (uid, fetched, late) in uploads {
            let outcome = if late { FastOutcome::TooLate } else { self.judge(&fetched, &own_samples) };
            gathered.outcomes.push((uid, outcome));
            if let (Fetched::Valid(received), FastOutcome::Passed { .. }) = (fetched, outcome) {
                gathered.valid.insert(uid, *received);
            }
        }
        gathered
    }

    /// Whether the upload of the round before came after all: it was not there when that round was judged.
    async fn was_late(&self, hotkey: Hotkey) -> bool {
        let Some(before) = self.round.checked_sub(1) else { return false };
        let Some(bucket) = self.ports.uploads_of(&hotkey).await else { return false };
        let Ok(meta) = bucket.head(&keys::upload(&hotkey, before)).await else { return false };
        self.ports.clock.since_genesis(meta.last_modified) > self.ports.clock.put_window(before).closes
    }

    fn judge(&self, fetched: &Fetched, own_samples: &[[f32; 2]]) -> FastOutcome {
        let window = self.ports.clock.put_window(self.round);
        // A store that stamps whole seconds may mean almost a second later.
        let opens = window.opens.saturating_sub(self.ports.clock.stamp_resolution());
        let stamp = match fetched {
            Fetched::Absent => return FastOutcome::Absent,
            Fetched::Malformed { stamp } => *stamp,
            Fetched::Valid(received) => received.stamp,
        };
        if let Some(outcome) = mistimed(stamp, opens, window.closes) {
            return outcome;
        }
        let Fetched::Valid(received) = fetched else { return FastOutcome::Malformed };
        let step = self.network.core.step_size(self.round);
        let behind = steps_behind(own_samples.as_flattened(), received.upload.samples.as_flattened(), step);
        FastOutcome::of_sync(behind, self.network.scenario.gauntlet.max_steps_behind)
    }

    /// Compares the uploads that passed with one another, and punishes the later of two that are too much alike.
    pub fn find_copies(&mut self, gathered: &Gathered) -> BTreeSet<Uid> {
        let shape = &self.network.shape;
        let uploads = gathered.valid.iter().map(|(&uid, received)| gauntlet::Upload {
            uid,
            stamp_ms: received.stamp.as_millis() as u64,
            tensors: shape
                .tensors
                .iter()
                .zip(&received.upload.gradient.tensors)
                .map(|(tensor, sparse)| TensorIndices {
                    indices: &sparse.indices,
                    per_chunk: tensor.per_chunk,
                    chunk_len: tensor.chunk_len,
                })
                .collect(),
        });
        let found = self.gauntlet.punish_copies(self.round, &uploads.collect::<Vec<_>>());
        found.into_iter().map(|copied| copied.copy).collect()
    }
}
