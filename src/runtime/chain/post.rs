//! Posts a node's own calls: each is an object, put where none exists.

use std::collections::BTreeSet;

use super::BucketChain;
use super::seen::Seen;
use crate::Uid;
use crate::bucket::untrusted::create;
use crate::chain::Call;
use crate::transport::call::{self, Registration, Says, Statement, Weights};
use crate::transport::keys;

/// Number of slots to try to register when others take them first.
const CLAIMS: usize = 300;
/// The most calls of a validator in a block, beside its weights.
const STATEMENTS: u8 = 99;

impl BucketChain {
    /// Claims the first slot whose next registration nobody has written.
    pub(super) async fn register(&self) -> object_store::Result<()> {
        for _ in 0..CLAIMS {
            let mut seen = self.seen.lock().await;
            seen.refresh(&self.reader, &self.clock).await?;
            let Some(registration) = self.next_claim(&seen) else {
                tracing::warn!("the chain has no slots");
                return Ok(());
            };
            let key = keys::slot(registration.uid, registration.generation);
            if create(&self.reader.bucket, &key, call::encode_registration(&registration, &self.identity)).await? {
                return Ok(());
            }
            // Another peer was first; the next look shows its object.
            drop(seen);
            self.clock.sleep(self.clock.round_length() / 100).await;
        }
        tracing::warn!("all slots were taken by others while this node registered");
        Ok(())
    }

    fn next_claim(&self, seen: &Seen) -> Option<Registration> {
        let present = seen.newest.block;
        let pending = seen.calls.iter().filter(|((stamp, _), _)| self.clock.block_of(*stamp) >= present);
        let taken: BTreeSet<Uid> = pending
            .filter_map(|(_, extrinsic)| if let Call::Claim { uid, .. } = extrinsic.call { Some(uid) } else { None })
            .collect();
        let uid = seen.newest.slot_to_claim(&taken)?;
        // The first generation without any object. Garbage counts too, and costs its author an object each.
        let generation = (0..).find(|&generation| !seen.claimed.contains(&(uid, generation)))?;
        Some(Registration { run: self.reader.run, uid, generation, bucket: self.own_bucket.clone() })
    }

    /// Posts weights, once a block. A retried put or a restarted validator must not replace weights, or their stamp,
    /// that others have read.
    pub(super) async fn set_weights(&self, weights: Vec<(Uid, f64)>) -> object_store::Result<()> {
        let block = self.clock.block();
        let key = keys::weights(&self.identity.hotkey(), block);
        let bytes = call::encode_weights(&Weights { run: self.reader.run, block, weights }, &self.identity);
        if !create(&self.reader.bucket, &key, bytes).await? {
            tracing::debug!(%key, "weights were posted in this block before; those count");
        }
        Ok(())
    }

    /// Posts a statement under the first number of the block that is free. A restarted validator may say the same twice,
    /// which changes nothing.
    pub(super) async fn say(&self, says: Says) -> object_store::Result<()> {
        let (run, block, own) = (self.reader.run, self.clock.block(), self.identity.hotkey());
        for nth in 1..=STATEMENTS {
            let statement = Statement { run, block, nth, says: says.clone() };
            let bytes = call::encode_statement(&statement, &self.identity);
            if create(&self.reader.bucket, &keys::call(&own, block, nth), bytes).await? {
                return Ok(());
            }
        }
        tracing::warn!(block, "this validator has made too many calls in this block; one is lost");
        Ok(())
    }
}
