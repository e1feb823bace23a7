//! The calls that a node has seen, in the order of their stamps, and the ledger computed from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore};
use tokio::task::JoinHandle;

use super::read::{Reader, Tried, claimed_at};
use crate::Uid;
use crate::chain::{ChainState, Extrinsic, Ledger};
use crate::node::ports::Clock;
use crate::transport::{Hotkey, keys};

/// How long all other calls wait for the first read of a new registration.
pub(super) const FIRST_TRY: Duration = Duration::from_secs(2);
/// The block that a validator's call is named after and the block of its stamp differ by at most so many blocks, or so many seconds if that is
/// more. Others have no effect. Otherwise a node would have to list all calls since genesis in each block to miss none.
const NEAR: (u64, f64) = (32, 600.0);
/// An unreadable object is left alone for at most 2 to the power of this many blocks.
const LONGEST_WAIT: u32 = 10;

/// A call's place in the order of all calls: by stamp, and among equal stamps by path.
pub(super) type CallPlace = (DateTime<Utc>, Path);

/// What has been read so far.
pub(super) struct Seen {
    ledger: Ledger,
    pub newest: Arc<ChainState>,
    pub calls: BTreeMap<CallPlace, Extrinsic>,
    /// Paths of objects that have been read, with a call in them or not.
    paths: BTreeSet<Path>,
    /// Slot and generation of each registration whose object exists, readable or not.
    pub claimed: BTreeSet<(Uid, u32)>,
    unread: BTreeMap<Path, Unread>,
    /// Reads unreadable objects again in the background.
    reading_again: Option<JoinHandle<Vec<Tried>>>,
    /// Whether everything has been read once. Before that, nobody can tell who is registered.
    pub is_complete: bool,
}

/// A registration that could not be read. Anybody can make one, so no node waits for it.
struct Unread {
    meta: ObjectMeta,
    tries: u32,
    /// The block in which to try again.
    again_at: u64,
}

impl Seen {
    /// Only genesis.
    pub fn new(mut ledger: Ledger) -> Self {
        Self {
            newest: Arc::new(ledger.state_at(0).clone()),
            ledger,
            calls: BTreeMap::new(),
            paths: BTreeSet::new(),
            claimed: BTreeSet::new(),
            unread: BTreeMap::new(),
            reading_again: None,
            is_complete: false,
        }
    }

    /// Reads the calls that are new, and moves the ledger to the present block.
    pub(super) async fn refresh(&mut self, reader: &Arc<Reader>, clock: &Clock) -> object_store::Result<()> {
        let block = clock.block();
        let listed = self.list_new(reader, clock).await?;
        let (claims, weights): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|meta| claimed_at(&meta.location).is_some());
        self.claimed.extend(claims.iter().filter_map(|meta| claimed_at(&meta.location)));
        let mut tried = finished(&mut self.reading_again).await;
        tried.extend(reader.read_all(claims, Some(FIRST_TRY)).await);
        let (mut new, mut read_all) = (Vec::new(), Ok(()));
        for (meta, read) in tried {
            match read {
                Ok(found) => new.extend(self.note(meta, found)),
                Err(error) => self.put_off(meta, &error, block),
            }
        }
        for meta in weights {
            match reader.read(&meta).await {
                Ok(found) => new.extend(self.note(meta, found)),
                // The rest is read with the next block.
                Err(error) => {
                    read_all = Err(error);
                    break;
                }
            }
        }
        self.read_again(reader, block);
        self.take(reader, clock, new);
        // The state after a block needs all calls of the block.
        read_all?;
        self.newest = Arc::new(self.ledger.state_at(block.max(self.newest.block)).clone());
        self.is_complete = true;
        Ok(())
    }

    /// Reads the unreadable objects that are due again, in the background and without a time limit.
    fn read_again(&mut self, reader: &Arc<Reader>, block: u64) {
        let due = self.unread.values().filter(|unread| unread.again_at <= block);
        let due: Vec<ObjectMeta> = due.map(|unread| unread.meta.clone()).collect();
        if self.reading_again.is_none() && !due.is_empty() {
            let reader = reader.clone();
            self.reading_again = Some(tokio::spawn(async move { reader.read_all(due, None).await }));
        }
    }

    /// Takes calls into the ledger in the order of their places, whenever they became visible, so that all nodes
    /// compute the same.
    fn take(&mut self, reader: &Reader, clock: &Clock, mut new: Vec<(CallPlace, Extrinsic)>) {
        new.sort_by(|(a, _), (b, _)| a.cmp(b));
        #[cfg(test)]
        if crate::planted::is(crate::planted::Defect::LateCall) {
            self.calls.extend(new.iter().cloned());
            for (_, extrinsic) in new {
                let _ = self.ledger.submit(clock.block().max(self.newest.block), extrinsic);
            }
            return;
        }
        let is_late = new.iter().any(|(place, extrinsic)| self.is_late(clock, place, extrinsic));
        self.calls.extend(new.iter().cloned());
        if is_late {
            let Reader { settings, genesis, .. } = reader;
            self.ledger = Ledger::new(settings, genesis.clone()).expect("taken before");
            new = self.calls.iter().map(|(place, extrinsic)| (place.clone(), extrinsic.clone())).collect();
        }
        for ((stamp, _), extrinsic) in new {
            if let Err(error) = self.ledger.submit(clock.block_of(stamp), extrinsic) {
                tracing::warn!(%error, "ignoring a call");
            }
        }
    }

    /// Whether a call became visible only after its block was over, or after a later call of the same hotkey in its
    /// block. Either changes the ledger's result.
    fn is_late(&self, clock: &Clock, place: &CallPlace, extrinsic: &Extrinsic) -> bool {
        let block = clock.block_of(place.0);
        let after = self.calls.range(place..).take_while(|((stamp, _), _)| clock.block_of(*stamp) == block);
        block < self.newest.block || after.into_iter().any(|(_, other)| other.hotkey == extrinsic.hotkey)
    }

    /// New objects that may be calls, in the order of their places. A call may appear after ones whose names come later: weights
    /// after an objection in the same block, or a put that took long. So validators' calls are listed from well before
    /// the newest block that has been read.
    async fn list_new(&self, reader: &Reader, clock: &Clock) -> object_store::Result<Vec<ObjectMeta>> {
        let mut found: Vec<ObjectMeta> = reader.bucket.list(Some(&keys::slots())).try_collect().await?;
        // A call that comes now is stamped about now, and its name is near that.
        let near = NEAR.0.max((NEAR.1 / reader.settings.block_seconds).ceil() as u64);
        let from = self.newest.block.saturating_sub(2 * near);
        for (validator, _) in &reader.genesis.validators {
            let (prefix, after) = (keys::all_weights(&Hotkey(*validator)), keys::weights(&Hotkey(*validator), from));
            let listed = match from {
                0 => reader.bucket.list(Some(&prefix)),
                _ => reader.bucket.list_with_offset(Some(&prefix), &after),
            };
            found.extend(listed.try_collect::<Vec<_>>().await?);
        }
        let is_near = |meta: &ObjectMeta| {
            let named = keys::call_block(&meta.location);
            named.is_none_or(|named| named.abs_diff(clock.block_of(meta.last_modified)) <= near)
        };
        found.retain(|meta| {
            !self.paths.contains(&meta.location) && !self.unread.contains_key(&meta.location) && is_near(meta)
        });
        found.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        Ok(found)
    }

    /// Notes that an object has been read. Returns the call in it, if there is one, with its place.
    fn note(&mut self, meta: ObjectMeta, found: Option<Extrinsic>) -> Option<(CallPlace, Extrinsic)> {
        self.unread.remove(&meta.location);
        self.paths.insert(meta.location.clone());
        found.map(|extrinsic| ((meta.last_modified, meta.location), extrinsic))
    }

    /// Notes that a registration could not be read in this block, and doubles the time until the next try.
    fn put_off(&mut self, meta: ObjectMeta, error: &Error, block: u64) {
        let tries = self.unread.get(&meta.location).map_or(0, |unread| unread.tries);
        tracing::warn!(path = %meta.location, %error, "a registration cannot be read; trying again later");
        let again_at = block + (1 << tries.min(LONGEST_WAIT));
        self.unread.insert(meta.location.clone(), Unread { meta, tries: tries + 1, again_at });
    }
}

/// The result of a task that has ended; empty while it is under way.
async fn finished(task: &mut Option<JoinHandle<Vec<Tried>>>) -> Vec<Tried> {
    match task.take_if(|task| task.is_finished()) {
        Some(ended) => ended.await.expect("reading does not panic"),
        None => Vec::new(),
    }
}
