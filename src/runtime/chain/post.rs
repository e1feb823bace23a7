//! A node's own calls: each is an object, put where nothing is yet.

use std::collections::BTreeSet;

use super::BucketChain;
use super::seen::Seen;
use crate::Uid;
use crate::bucket::untrusted::create;
use crate::chain::Call;
use crate::transport::call::{self, Registration, Weights};
use crate::transport::keys;

/// How many slots are tried to register, one taken by somebody else after the other.
const CLAIMS: usize = 300;

impl BucketChain {
    /// Claims a slot: the first whose next registration nobody has written.
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
            // Somebody was first; the next look shows it.
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
        // The first that is not taken, by whatever lies there: garbage costs its author an object each.
        let generation = (0..).find(|&generation| !seen.claimed.contains(&(uid, generation)))?;
        Some(Registration { run: self.reader.run, uid, generation, bucket: self.own_bucket.clone() })
    }

    /// Posts weights, once a block: what others have read is not replaced, nor is its stamp, by a put that was tried
    /// again or by a validator that was started again.
    pub(super) async fn set_weights(&self, weights: Vec<(Uid, f64)>) -> object_store::Result<()> {
        let block = self.clock.block();
        let key = keys::weights(&self.identity.hotkey(), block);
        let bytes = call::encode_weights(&Weights { run: self.reader.run, block, weights }, &self.identity);
        if !create(&self.reader.bucket, &key, bytes).await? {
            tracing::debug!(%key, "weights were posted in this block before; those count");
        }
        Ok(())
    }
}
