//! Decides who is in. A round has one record, because validators write it only where no object exists.
//!
//! The validator with the highest stake writes the record when the put window has closed, and the reveal window if
//! uploads are sealed. The next in the succession waits half a round, the one after it a whole one, and so on; a
//! validator that finds a record follows it. A validator that has once stepped in waits only a moment from then on, so
//! that the lead is first again when it is back. So a silent lead costs the network half a round, once, and no model
//! ever forks. A record that is written before its author's turn counts for nobody, and is replaced in turn.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use super::Validator;
use super::gather::Gathered;
use crate::Uid;
use crate::bucket::untrusted::{self, body, get_bounded};
use crate::chain::{Call, ChainView};
use crate::node::agreed::{Agreed, objection};
use crate::node::bundle::{delete_parts, parts_of};
use crate::node::checkpoint::put_checkpoint;
use crate::node::follow::{apply, fetch_in_turn, follow_record, max_record_len, read_record, wait_a_little};
use crate::training::Replica;
use crate::transport::record::{self, Included, RoundRecord};
use crate::transport::{bundle, checkpoint, keys, wire};

/// The outcome of a round.
pub struct Decided {
    pub replica: Arc<Replica>,
    /// The peers that were aggregated.
    pub included: Vec<Uid>,
    /// Whether this validator decided.
    pub own: bool,
    pub record: RoundRecord,
    /// Whether an honest validator may have written the record, as far as the model tells.
    pub is_sound: bool,
    /// What is agreed after the round.
    pub agreed: Agreed,
}

/// What a validator finds where its record goes.
#[derive(PartialEq)]
enum Settled {
    /// Its record, which counts.
    Ours,
    /// Another record that counts.
    Theirs,
    /// It has put its record in the place of what counts for nobody.
    Replaced,
    /// It cannot tell, or has to wait.
    Open,
}

impl Validator {
    /// Waits for the record of the round, and writes it when it is this validator's turn. `None` when the next round is
    /// over too and the record's payloads are unavailable: something is lost, and only catching up helps.
    pub async fn decide(&self, gathered: &Gathered, chain: &dyn ChainView) -> Option<Decided> {
        let own = self.ports.identity.hotkey();
        let turn = self.agreed.turn(chain, &self.ports.clock, self.round, &own).expect("a validator of genesis");
        let decides_at = self.behaviour.decides_at(turn, &self.around(chain));
        let mut was_early = false;
        loop {
            let is_early = self.ports.clock.now() < turn;
            if decides_at.is_some_and(|at| self.ports.clock.now() >= at)
                && !(is_early && was_early)
                && let Some((replica, included, record)) = self.propose(gathered, chain, is_early).await
            {
                if !is_early {
                    let agreed = self.agreed.followed(own);
                    return Some(Decided { replica, included, own: true, record, is_sound: true, agreed });
                }
                // Others ignore the record. This validator goes on with the one that counts.
                was_early = true;
            }
            if let Some(record) = fetch_in_turn(&self.network, &self.ports, self.round, &self.agreed).await {
                let known = (&self.replica, &self.agreed);
                let followed = follow_record(&self.network, &self.ports, known, &record, true).await;
                if let Some(followed) = followed {
                    if !followed.in_sync {
                        // This validator has another model. It starts over, as a late one does.
                        return None;
                    }
                    let included = record.included.iter().map(|included| included.uid).collect();
                    let (own, is_sound) = (record.validator == own, followed.is_sound);
                    let (replica, agreed) = (followed.replica, followed.agreed);
                    return Some(Decided { replica, included, own, record, is_sound, agreed });
                }
                if self.ports.clock.round() > self.round + 1 {
                    self.ports.chain.submit(Call::Object(objection(&record, true))).await;
                    return None;
                }
            }
            wait_a_little(&self.ports).await;
        }
    }

    /// Aggregates the peers that this validator would take, and writes the record; `None` if there is one already.
    /// `is_early` if it does so before its turn, and knows it.
    async fn propose(
        &self,
        gathered: &Gathered,
        chain: &dyn ChainView,
        is_early: bool,
    ) -> Option<(Arc<Replica>, Vec<Uid>, RoundRecord)> {
        let (own, round) = (self.ports.identity.hotkey(), self.round);
        let uids = self.included(gathered, chain);
        let received = || uids.iter().map(|uid| &gathered.valid[uid]);
        let included = received().map(|received| Included {
            uid: received.upload.uid,
            hotkey: received.upload.hotkey,
            payload: received.payload,
        });
        let payloads: Vec<Bytes> = received().map(|received| received.bytes.clone()).collect();
        let mut record = RoundRecord {
            run: self.network.run,
            round,
            validator: own,
            included: included.collect(),
            model_before: self.replica.digest,
            model_after: self.replica.digest,
        };
        let replica = apply(&self.network, &self.ports, &self.replica, &record, payloads.clone()).await;
        record.model_after = replica.digest;
        let record = self.behaviour.record(record, &self.around(chain));

        // The bundle goes first, so that a node that sees the record finds its payloads. If another bundle is there,
        // this validator put it before it was stopped, and may have decided the round with it. The first part tells
        // them apart: it has the digests of all payloads in the bundle.
        let bundle = self.behaviour.bundle(bundle::encode(&payloads), &self.around(chain));
        let key = keys::bundle(&own, round);
        let parts: Vec<(Path, Bytes)> = parts_of(&key, &bundle).collect();
        let is_ours = self.create(&key, &parts[0].1).await || self.is_stored(&parts[0]).await;
        if is_ours {
            self.put(&parts[1..]).await;
        }
        let written = self.put_record(&record, is_early).await;
        if written && !is_ours {
            self.put(&parts).await;
        }
        written.then_some((replica, uids, record))
    }

    /// Writes the record. Returns whether this record is now the round's.
    async fn put_record(&self, record: &RoundRecord, is_early: bool) -> bool {
        let (key, bytes) = (keys::record(record.round), record::encode(record, &self.ports.identity));
        // Nobody else judges the record of the only validator, and a record that is early on purpose counts for nobody.
        let is_judged = !is_early && self.ports.chain.view().await.validators().len() > 1;
        let mut patience = None;
        loop {
            if self.create(&key, &bytes).await && !is_judged {
                return true;
            }
            let mut settled = self.settle_dispute(record, &bytes, is_early, &mut patience).await;
            if settled == Settled::Replaced {
                // Once only: a path that always damages the same object would make this a circle without a wait.
                settled = self.settle_dispute(record, &bytes, is_early, &mut patience).await;
            }
            match settled {
                Settled::Ours => return true,
                Settled::Theirs => return false,
                Settled::Replaced | Settled::Open => wait_a_little(&self.ports).await,
            }
        }
    }

    /// An object exists where the record goes. Finds out whose record it is by its stamp, as all others do: this
    /// validator's clock may be ahead, so that it has written its record before its turn. Then it waits until
    /// `patience` ends.
    async fn settle_dispute(
        &self,
        record: &RoundRecord,
        bytes: &Bytes,
        is_early: bool,
        patience: &mut Option<(DateTime<Utc>, Duration)>,
    ) -> Settled {
        let key = keys::record(record.round);
        let Some((found, stamp, version)) = self.look(&key).await else {
            #[cfg(test)]
            if crate::planted::is(crate::planted::Defect::UnreadRecord) {
                return Settled::Ours;
            }
            return Settled::Open;
        };
        let chain = self.ports.chain.view().await;
        let is_in_turn = |found: &RoundRecord| self.agreed.is_in_turn(&*chain, &self.ports.clock, found, stamp);
        // A retried request may have met its own first try.
        if found == *bytes {
            if is_early || is_in_turn(record) {
                return Settled::Ours;
            }
            // It has seen fewer uploads than validators with the right time. They go first.
            if patience.is_none_or(|(of, _)| of != stamp) {
                let clock = &self.ports.clock;
                let last = self.agreed.last_turn(&*chain, clock, record.round);
                let ahead = last.saturating_sub(clock.since_genesis(stamp));
                tracing::warn!(round = record.round, ?ahead, "this validator's clock is ahead: its record is early");
                *patience = Some((stamp, clock.now() + ahead));
            }
            if patience.is_some_and(|(_, until)| self.ports.clock.now() < until) {
                return Settled::Open;
            }
        } else {
            let read = read_record(&self.network, &self.ports, record.round, &found).await;
            if read.is_ok_and(|found| is_in_turn(&found)) {
                return Settled::Theirs;
            }
        }
        // A response may be damaged in transit. Only what is read twice alike is in the store.
        if self.look(&key).await != Some((found, stamp, version.clone())) {
            return Settled::Open;
        }
        // The object is no record, or one that was written out of turn, so its author had no right to write it. Where
        // the store can replace exactly the object that was seen, no other validator's record is lost.
        let options = PutOptions { mode: PutMode::Update(version), ..Default::default() };
        match self.ports.bucket.put_opts(&key, bytes.clone().into(), options).await {
            Ok(_) => Settled::Replaced,
            Err(error) => {
                tracing::error!(%key, %error, "the object is no validator's record, and cannot be replaced");
                Settled::Open
            }
        }
    }

    /// The object at a key, its stamp and its version. Its bytes are left out if they are too long for a record.
    async fn look(&self, key: &Path) -> Option<(Bytes, DateTime<Utc>, UpdateVersion)> {
        let found = self.ports.bucket.get(key).await.ok()?;
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let stamp = found.meta.last_modified;
        if found.meta.size > max_record_len(&self.network) as u64 {
            return Some((Bytes::new(), stamp, version));
        }
        Some((body(found).await.ok()?, stamp, version))
    }

    /// Puts the model before `round` into the bucket for nodes that join. A small one is waited for; a large one is put
    /// while the network goes on.
    pub async fn put_checkpoint(&mut self, round: u64) {
        let (network, replica, bucket) = (self.network.clone(), self.replica.clone(), self.ports.bucket.clone());
        let key = keys::checkpoint(&self.ports.identity.hotkey(), round);
        let parts = checkpoint::parts(replica.theta.len());
        let put = async move {
            let model = (&replica.digest, replica.theta.as_slice());
            // The network goes on without it: the previous checkpoint stays, and so do the records since.
            let put = put_checkpoint(&bucket, &key, &network.run, round, model).await;
            put.inspect_err(|error| tracing::warn!(%key, %error, "no checkpoint this time")).is_ok()
        };
        if parts == 1 {
            if put.await {
                self.prune_checkpoints(round).await;
            }
        } else if let Some((before, _)) = &self.pending_checkpoint {
            tracing::warn!(round, "no checkpoint this time: that of round {before} is still being put");
        } else {
            self.pending_checkpoint = Some((round, tokio::spawn(put)));
        }
    }

    /// Checks whether a checkpoint under way has arrived.
    pub async fn note_checkpoint(&mut self) {
        if self.pending_checkpoint.as_ref().is_some_and(|(_, put)| put.is_finished()) {
            self.end_checkpoint().await;
        }
    }

    /// Waits for a checkpoint under way: the last one is the result of the run.
    pub async fn end_checkpoint(&mut self) {
        if let Some((round, put)) = self.pending_checkpoint.take()
            && put.await.expect("putting does not panic")
        {
            self.prune_checkpoints(round).await;
        }
    }

    /// Removes this validator's checkpoints that the one of `round` makes useless.
    async fn prune_checkpoints(&mut self, round: u64) {
        let (own, rules) = (self.ports.identity.hotkey(), &self.network.rules);
        let before = self.checkpointed.replace(round).unwrap_or(0);
        let parameters = self.replica.theta.len();
        for old in outdated(before, round, rules.training.checkpoint_every, rules.training.kept_rounds()) {
            delete_parts(&self.ports.bucket, &keys::checkpoint(&own, old), checkpoint::parts(parameters)).await;
        }
    }

    /// Removes the objects of the round that has just become useless. A node that joins needs only the newest
    /// checkpoint and the records since.
    pub async fn forget(&self, round: u64) {
        let own = self.ports.identity.hotkey();
        let old = round.checked_sub(self.network.rules.training.kept_rounds());
        if let Some(old) = old.filter(|old| self.checkpointed.is_some_and(|newest| newest > *old + 1)) {
            let upload = wire::encoded_len(self.network.form());
            let most = bundle::encoded_len(self.network.rules.protocol.top_peers, upload);
            delete_parts(&self.ports.bucket, &keys::bundle(&own, old), bundle::parts(most)).await;
            let _ = self.ports.bucket.delete(&keys::record(old)).await;
        }
    }

    /// Puts an object where none exists, and retries without end. Returns whether none existed.
    async fn create(&self, key: &Path, bytes: &Bytes) -> bool {
        loop {
            match untrusted::create(&self.ports.bucket, key, bytes.clone()).await {
                Ok(is_new) => return is_new,
                Err(error) => tracing::warn!(%key, %error, "put failed; trying again"),
            }
            wait_a_little(&self.ports).await;
        }
    }

    /// Whether the bucket has these bytes at this key.
    async fn is_stored(&self, (key, bytes): &(Path, Bytes)) -> bool {
        get_bounded(&self.ports.bucket, key, bytes.len() as u64).await.is_some_and(|found| found == *bytes)
    }

    /// Puts objects that others wait for, and retries without end.
    async fn put(&self, objects: &[(Path, Bytes)]) {
        for (key, bytes) in objects {
            while let Err(error) = self.ports.bucket.put(key, bytes.clone().into()).await {
                tracing::warn!(%key, %error, "put failed; trying again");
                wait_a_little(&self.ports).await;
            }
        }
    }
}

/// Checkpoints of a validator that the one of `round` makes useless. Those that its last one, of `before`, made useless
/// are gone already. It has none in between: others decided, or the store refused it.
fn outdated(before: u64, round: u64, every: u64, keep: u64) -> impl Iterator<Item = u64> {
    let (gone, last) = (before.saturating_sub(keep), round.saturating_sub(keep).min(before));
    (gone + 1..=last).filter(move |old| old.is_multiple_of(every))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_out_of_date_are_removed_whoever_led_in_between() {
        let removed = |before, round, keep| outdated(before, round, 10, keep).collect::<Vec<_>>();
        assert!(removed(0, 10, 20).is_empty() && removed(10, 20, 20).is_empty());
        assert_eq!(removed(20, 30, 20), [10]);
        assert_eq!(removed(40, 50, 25), [20], "also where not a whole number of checkpoints is kept");
        assert_eq!(removed(40, 200, 20), [30, 40], "others led from 40 to 190");
        assert_eq!(removed(200, 210, 20), [190]);
    }
}
