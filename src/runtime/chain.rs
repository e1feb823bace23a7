//! The chain of a real network: a ledger that everybody computes from the calls in the bucket.
//!
//! The store's stamp of a call says which block it is in, so that all who see the same objects compute the same state.
//! Nothing that the model depends on is read from it: who is aggregated is in the round's record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::Uid;
use crate::bucket::untrusted::{Settled, create, read_until_settled};
use crate::chain::ChainSettings;
use crate::chain::{Call, ChainState, Extrinsic, Genesis, Ledger, LedgerError};
use crate::digest::Digest;
use crate::node::ports::{Chain, Clock};
use crate::transport::call::{self, Registration, Weights};
use crate::transport::{Hotkey, Identity, keys};

/// How long to wait for a chain that cannot be read yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many slots are tried to register, one taken by somebody else after the other.
const CLAIMS: usize = 300;
/// How long everybody waits for a new registration to be read.
const FIRST_TRY: Duration = Duration::from_secs(2);
/// How often an object is read, at most, until it is a call or is read twice alike.
const READS: usize = 8;
/// Registrations that are read at the same time.
const AT_ONCE: usize = 16;
/// What cannot be read is left alone for 2 to the power of this many blocks at most.
const LONGEST_WAIT: u32 = 10;

/// Whether a run's peers may keep their uploads in the bucket at this URL. What comes after the allowed beginning is
/// plain names, so that nothing in it leads out again, as `..` would and `%2e%2e`.
pub fn allows(settings: &ChainSettings, url: &str) -> bool {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let is_name = |name: &str| name.chars().all(is_plain) && name != "." && name != "..";
    let mut rests = settings.peer_buckets.iter().filter_map(|prefix| url.strip_prefix(prefix.as_str()));
    rests.any(|rest| rest.split('/').all(is_name))
}

/// The slot and generation that are claimed at a path.
fn claimed_at(path: &Path) -> Option<(Uid, u32)> {
    let mut parts = path.prefix_match(&keys::slots())?;
    let uid = parts.next()?.as_ref().parse().ok()?;
    let generation = parts.next()?.as_ref().parse().ok()?;
    (*path == keys::slot(uid, generation)).then_some((uid, generation))
}

/// The chain as one node sees it, and its account on it.
pub struct BucketChain {
    reader: Arc<Reader>,
    identity: Arc<Identity>,
    clock: Clock,
    /// Where this node keeps its uploads, if in a bucket of its own.
    own_bucket: Option<String>,
    seen: Mutex<Seen>,
}

/// Reads the calls of a run.
struct Reader {
    run: Digest,
    bucket: Arc<dyn ObjectStore>,
    settings: ChainSettings,
    genesis: Genesis,
}

/// A call by its place in the order of all calls: stamps decide, among equals the path.
type Place = (DateTime<Utc>, Path);

/// What has been read so far.
struct Seen {
    ledger: Ledger,
    newest: Arc<ChainState>,
    calls: BTreeMap<Place, Extrinsic>,
    /// Where they lie, and what lies there and is none.
    paths: BTreeSet<Path>,
    /// Registrations of which there is something, readable or not: slot and generation.
    claimed: BTreeSet<(Uid, u32)>,
    unread: BTreeMap<Path, Unread>,
    /// Reads what could not be read, while everybody goes on.
    reading_again: Option<JoinHandle<Vec<Tried>>>,
    /// Whether everything has been read once: before that nobody can be told who is registered.
    is_complete: bool,
}

/// A registration that could not be read. Anybody may leave such, so nobody waits for it.
struct Unread {
    meta: ObjectMeta,
    tries: u32,
    /// The block in which it is tried again.
    again_at: u64,
}

/// An object, and what came of reading it: the call in it, if it is one.
type Tried = (ObjectMeta, object_store::Result<Option<Extrinsic>>);

impl BucketChain {
    /// The chain of a run.
    ///
    /// # Errors
    /// A genesis that no chain has.
    pub fn new(
        run: Digest,
        identity: Arc<Identity>,
        bucket: Arc<dyn ObjectStore>,
        clock: Clock,
        settings: ChainSettings,
        genesis: Genesis,
    ) -> Result<Self, LedgerError> {
        let mut ledger = Ledger::new(&settings, genesis.clone())?;
        let newest = Arc::new(ledger.state_at(0).clone());
        let seen = Seen {
            ledger,
            newest,
            calls: BTreeMap::new(),
            paths: BTreeSet::new(),
            claimed: BTreeSet::new(),
            unread: BTreeMap::new(),
            reading_again: None,
            is_complete: false,
        };
        let (reader, seen) = (Arc::new(Reader { run, bucket, settings, genesis }), Mutex::new(seen));
        Ok(Self { reader, identity, clock, own_bucket: None, seen })
    }

    /// The same account, of a node that keeps its uploads in a bucket of its own.
    pub fn with_own_bucket(self, url: Option<String>) -> Self {
        Self { own_bucket: url, ..self }
    }

    /// Reads the calls that have come since, and goes on to the present block.
    async fn refresh(&self, seen: &mut Seen) -> object_store::Result<()> {
        let block = self.clock.block();
        let listed = self.reader.list_new(seen).await?;
        let (claims, weights): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|meta| claimed_at(&meta.location).is_some());
        seen.claimed.extend(claims.iter().filter_map(|meta| claimed_at(&meta.location)));
        let mut tried = finished(&mut seen.reading_again).await;
        tried.extend(self.reader.read_all(claims, Some(FIRST_TRY)).await);
        let (mut new, mut read_all) = (Vec::new(), Ok(()));
        for (meta, read) in tried {
            match read {
                Ok(found) => new.extend(seen.note(meta, found)),
                Err(error) => seen.put_off(meta, &error, block),
            }
        }
        for meta in weights {
            match self.reader.read(&meta).await {
                Ok(found) => new.extend(seen.note(meta, found)),
                // The rest is read with the next block.
                Err(error) => {
                    read_all = Err(error);
                    break;
                }
            }
        }
        self.read_again(seen, block);
        self.take(seen, new);
        // Without all calls of a block there is no state after it.
        read_all?;
        seen.newest = Arc::new(seen.ledger.state_at(block.max(seen.newest.block)).clone());
        seen.is_complete = true;
        Ok(())
    }

    /// Reads aside, and without an end of patience, what could not be read before and is due.
    fn read_again(&self, seen: &mut Seen, block: u64) {
        let due = seen.unread.values().filter(|unread| unread.again_at <= block);
        let due: Vec<ObjectMeta> = due.map(|unread| unread.meta.clone()).collect();
        if seen.reading_again.is_none() && !due.is_empty() {
            let reader = self.reader.clone();
            seen.reading_again = Some(tokio::spawn(async move { reader.read_all(due, None).await }));
        }
    }

    /// Takes calls into the ledger, in the order of their places whenever they became visible: all nodes compute the
    /// same.
    fn take(&self, seen: &mut Seen, mut new: Vec<(Place, Extrinsic)>) {
        new.sort_by(|(a, _), (b, _)| a.cmp(b));
        let is_late = new.iter().any(|(place, extrinsic)| self.is_late(seen, place, extrinsic));
        seen.calls.extend(new.iter().cloned());
        if is_late {
            let Reader { settings, genesis, .. } = &*self.reader;
            seen.ledger = Ledger::new(settings, genesis.clone()).expect("taken before");
            new = seen.calls.iter().map(|(place, extrinsic)| (place.clone(), extrinsic.clone())).collect();
        }
        for ((stamp, _), extrinsic) in new {
            if let Err(error) = seen.ledger.submit(self.clock.block_of(stamp), extrinsic) {
                tracing::warn!(%error, "ignoring a call");
            }
        }
    }

    /// Whether a call became visible only after its block was over, or after a later one of the same hotkey in its
    /// block: either changes what came of it.
    fn is_late(&self, seen: &Seen, place: &Place, extrinsic: &Extrinsic) -> bool {
        let block = self.clock.block_of(place.0);
        let after = seen.calls.range(place..).take_while(|((stamp, _), _)| self.clock.block_of(*stamp) == block);
        block < seen.newest.block || after.into_iter().any(|(_, other)| other.hotkey == extrinsic.hotkey)
    }

    /// Claims a slot: the first whose next registration nobody has written.
    async fn register(&self) -> object_store::Result<()> {
        for _ in 0..CLAIMS {
            let mut seen = self.seen.lock().await;
            self.refresh(&mut seen).await?;
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
    async fn set_weights(&self, weights: Vec<(Uid, f64)>) -> object_store::Result<()> {
        let block = self.clock.block();
        let key = keys::weights(&self.identity.hotkey(), block);
        let bytes = call::encode_weights(&Weights { run: self.reader.run, block, weights }, &self.identity);
        if !create(&self.reader.bucket, &key, bytes).await? {
            tracing::debug!(%key, "weights were posted in this block before; those count");
        }
        Ok(())
    }
}

impl Seen {
    /// Notes that an object has been read, and gives the call in it, if it is one, with its place.
    fn note(&mut self, meta: ObjectMeta, found: Option<Extrinsic>) -> Option<(Place, Extrinsic)> {
        self.unread.remove(&meta.location);
        self.paths.insert(meta.location.clone());
        found.map(|extrinsic| ((meta.last_modified, meta.location), extrinsic))
    }

    /// Notes that a registration could not be read in this block; it is left alone twice as long as before.
    fn put_off(&mut self, meta: ObjectMeta, error: &Error, block: u64) {
        let tries = self.unread.get(&meta.location).map_or(0, |unread| unread.tries);
        tracing::warn!(path = %meta.location, %error, "a registration cannot be read; trying again later");
        let again_at = block + (1 << tries.min(LONGEST_WAIT));
        self.unread.insert(meta.location.clone(), Unread { meta, tries: tries + 1, again_at });
    }
}

/// What a task has come to that has ended; nothing while it is under way.
async fn finished(task: &mut Option<JoinHandle<Vec<Tried>>>) -> Vec<Tried> {
    match task.take_if(|task| task.is_finished()) {
        Some(ended) => ended.await.expect("reading does not panic"),
        None => Vec::new(),
    }
}

impl Reader {
    /// Objects that may be calls and have not been looked at, in the order of their places.
    async fn list_new(&self, seen: &Seen) -> object_store::Result<Vec<ObjectMeta>> {
        let mut found: Vec<ObjectMeta> = self.bucket.list(Some(&keys::slots())).try_collect().await?;
        for (validator, _) in &self.genesis.validators {
            let prefix = keys::all_weights(&Hotkey(*validator));
            let after = seen.paths.range(prefix.clone()..).take_while(|path| path.prefix_matches(&prefix)).last();
            let listed = match after {
                Some(after) => self.bucket.list_with_offset(Some(&prefix), after),
                None => self.bucket.list(Some(&prefix)),
            };
            found.extend(listed.try_collect::<Vec<_>>().await?);
        }
        found.retain(|meta| !seen.paths.contains(&meta.location) && !seen.unread.contains_key(&meta.location));
        found.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        Ok(found)
    }

    /// Reads several objects, a few at a time; one that takes longer than `limit` counts as one that cannot be read.
    async fn read_all(&self, objects: Vec<ObjectMeta>, limit: Option<Duration>) -> Vec<Tried> {
        let read = objects.into_iter().map(|meta| async move {
            let reading = self.read(&meta);
            let read = match limit {
                Some(limit) => tokio::time::timeout(limit, reading).await.unwrap_or_else(|_| Err(failed("no answer"))),
                None => reading.await,
            };
            (meta, read)
        });
        stream::iter(read).buffered(AT_ONCE).collect().await
    }

    /// The call in an object; `None` for what is none.
    async fn read(&self, meta: &ObjectMeta) -> object_store::Result<Option<Extrinsic>> {
        let path = &meta.location;
        let most = if path.prefix_matches(&keys::slots()) { call::REGISTRATION_LEN } else { call::WEIGHTS_LEN };
        if meta.size == 0 || meta.size > most as u64 {
            return Ok(None);
        }
        let (read, decode) = (|| self.bytes(path, meta.size), |found: &Bytes| self.decode(path, found));
        match read_until_settled(READS, read, decode).await? {
            Settled::Known(extrinsic) => Ok(Some(extrinsic)),
            Settled::Alike(_) => {
                tracing::warn!(%path, "ignoring what is no call to the chain");
                Ok(None)
            }
            Settled::Never => Err(failed("another each time it is read")),
        }
    }

    async fn bytes(&self, path: &Path, most: u64) -> object_store::Result<Bytes> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..most)), ..Default::default() };
        self.bucket.get_opts(path, options).await?.bytes().await
    }

    fn decode(&self, path: &Path, bytes: &[u8]) -> Option<Extrinsic> {
        if let Some((uid, generation)) = claimed_at(path) {
            let (hotkey, bucket) = call::decode_registration(bytes, &self.run, uid, generation).ok()?;
            let is_allowed = bucket.as_ref().is_none_or(|url| allows(&self.settings, url));
            return is_allowed.then_some(Extrinsic { hotkey: hotkey.0, call: Call::Claim { uid, bucket } });
        }
        let block = keys::number(path)?;
        let (validator, _) =
            self.genesis.validators.iter().find(|(validator, _)| *path == keys::weights(&Hotkey(*validator), block))?;
        let weights = call::decode_weights(bytes, &self.run, block, &Hotkey(*validator)).ok()?;
        Some(Extrinsic { hotkey: *validator, call: Call::SetWeights(weights) })
    }
}

fn failed(why: &str) -> Error {
    Error::Generic { store: "chain", source: why.into() }
}

#[async_trait]
impl Chain for BucketChain {
    async fn state(&self) -> Arc<ChainState> {
        loop {
            let mut seen = self.seen.lock().await;
            if seen.is_complete && seen.newest.block >= self.clock.block() {
                return seen.newest.clone();
            }
            match self.refresh(&mut seen).await {
                Ok(()) => return seen.newest.clone(),
                Err(error) if seen.is_complete => {
                    tracing::warn!(%error, "the chain cannot be read; going on with what was read before");
                    return seen.newest.clone();
                }
                Err(error) => tracing::warn!(%error, "the chain cannot be read; trying again"),
            }
            drop(seen);
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }

    async fn submit(&self, call: Call) {
        let sent = match call {
            Call::Register | Call::Claim { .. } => self.register().await,
            Call::SetWeights(weights) => self.set_weights(weights).await,
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "a call to the chain was not sent");
        }
    }
}

#[cfg(test)]
mod tests;
