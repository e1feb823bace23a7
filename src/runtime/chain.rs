//! The chain of a real network: a ledger that everybody computes from the calls in the bucket.
//!
//! The store's stamp of a call says which block it is in, so that all who see the same objects compute the same state.
//! Nothing that the model depends on is read from it: who is aggregated is in the round's record.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::sync::Mutex;

use crate::Uid;
use crate::chain::{Call, ChainState, Extrinsic, Genesis, Ledger, LedgerError};
use crate::digest::Digest;
use crate::node::ports::{Chain, Clock};
use crate::scenario::ChainSettings;
use crate::transport::call::{self, Registration, Weights};
use crate::transport::{Hotkey, Identity, keys};

/// How long to wait for a chain that cannot be read yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How many slots are tried to register, one taken by somebody else after the other.
const CLAIMS: usize = 300;

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
    run: Digest,
    identity: Arc<Identity>,
    bucket: Arc<dyn ObjectStore>,
    clock: Clock,
    settings: ChainSettings,
    genesis: Genesis,
    /// Where this node keeps its uploads, if in a bucket of its own.
    own_bucket: Option<String>,
    seen: Mutex<Seen>,
}

/// What has been read so far.
struct Seen {
    ledger: Ledger,
    newest: Arc<ChainState>,
    /// Calls in the order in which they were seen, with their blocks.
    calls: Vec<(u64, Extrinsic)>,
    /// Where they lie, and what lies there and is none.
    paths: BTreeSet<Path>,
    /// Registrations of which there is something, readable or not: slot and generation.
    claimed: BTreeSet<(Uid, u32)>,
    /// Whether everything has been read once: before that nobody can be told who is registered.
    is_complete: bool,
}

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
            calls: Vec::new(),
            paths: BTreeSet::new(),
            claimed: BTreeSet::new(),
            is_complete: false,
        };
        let seen = Mutex::new(seen);
        Ok(Self { run, identity, bucket, clock, settings, genesis, own_bucket: None, seen })
    }

    /// The same account, of a node that keeps its uploads in a bucket of its own.
    pub fn with_own_bucket(self, url: Option<String>) -> Self {
        Self { own_bucket: url, ..self }
    }

    /// Reads the calls that have come since, and goes on to the present block.
    async fn refresh(&self, seen: &mut Seen) -> object_store::Result<()> {
        let block = self.clock.block();
        let (mut new, mut read_all) = (Vec::new(), Ok(()));
        for meta in self.list_new(seen).await? {
            let claim = claimed_at(&meta.location);
            seen.claimed.extend(claim);
            match self.read(&meta).await {
                Ok(found) => {
                    new.extend(found.map(|extrinsic| (self.clock.block_of(meta.last_modified), extrinsic)));
                    seen.paths.insert(meta.location);
                }
                // Anybody may write one: that it cannot be read does not hold up the others.
                Err(error) if claim.is_some() => {
                    tracing::warn!(path = %meta.location, %error, "a registration cannot be read");
                }
                // The rest is read with the next block.
                Err(error) => {
                    read_all = Err(error);
                    break;
                }
            }
        }
        // A call that became visible only after its block was over changes what came of it.
        let is_late = new.iter().any(|(at, _)| *at < seen.newest.block);
        seen.calls.extend(new.iter().cloned());
        if is_late {
            seen.ledger = Ledger::new(&self.settings, self.genesis.clone()).expect("taken before");
            new = seen.calls.clone();
            new.sort_by_key(|(at, _)| *at);
        }
        for (at, extrinsic) in new {
            if let Err(error) = seen.ledger.submit(at, extrinsic) {
                tracing::warn!(%error, "ignoring a call");
            }
        }
        // Without all calls of a block there is no state after it.
        read_all?;
        seen.newest = Arc::new(seen.ledger.state_at(block.max(seen.newest.block)).clone());
        seen.is_complete = true;
        Ok(())
    }

    /// Objects that may be calls and have not been read.
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
        found.retain(|meta| !seen.paths.contains(&meta.location));
        // Stamps decide; among equals the path, so that everybody reads in the same order.
        found.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        Ok(found)
    }

    /// The call in an object; `None` for what is none.
    async fn read(&self, meta: &ObjectMeta) -> object_store::Result<Option<Extrinsic>> {
        let path = &meta.location;
        let most = if path.prefix_matches(&keys::slots()) { call::REGISTRATION_LEN } else { call::WEIGHTS_LEN };
        if meta.size == 0 || meta.size > most as u64 {
            return Ok(None);
        }
        let first = self.bytes(path, meta.size).await?;
        if let Some(extrinsic) = self.decode(path, &first) {
            return Ok(Some(extrinsic));
        }
        // What arrives may have been damaged on its way. Only what is read twice alike lies there.
        if self.bytes(path, meta.size).await? != first {
            return Err(Error::Generic { store: "chain", source: "two reads of one object differ".into() });
        }
        tracing::warn!(%path, "ignoring what is no call to the chain");
        Ok(None)
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
            let bytes = call::encode_registration(&registration, &self.identity);
            let options = PutOptions { mode: PutMode::Create, ..Default::default() };
            match self.bucket.put_opts(&key, bytes.into(), options).await {
                Ok(_) => return Ok(()),
                // Somebody was first; the next look shows it.
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                Err(error) => return Err(error),
            }
            drop(seen);
            self.clock.sleep(self.clock.round_length() / 100).await;
        }
        tracing::warn!("all slots were taken by others while this node registered");
        Ok(())
    }

    fn next_claim(&self, seen: &Seen) -> Option<Registration> {
        let present = seen.newest.block;
        let pending = seen.calls.iter().filter(|(at, _)| *at >= present);
        let taken: BTreeSet<Uid> = pending
            .filter_map(|(_, extrinsic)| if let Call::Claim { uid, .. } = extrinsic.call { Some(uid) } else { None })
            .collect();
        let uid = seen.newest.slot_to_claim(&taken)?;
        // The first that is not taken, by whatever lies there: garbage costs its author an object each.
        let generation = (0..).find(|&generation| !seen.claimed.contains(&(uid, generation)))?;
        Some(Registration { run: self.run, uid, generation, bucket: self.own_bucket.clone() })
    }

    async fn set_weights(&self, weights: Vec<(Uid, f64)>) -> object_store::Result<()> {
        let block = self.clock.block();
        let key = keys::weights(&self.identity.hotkey(), block);
        let bytes = call::encode_weights(&Weights { run: self.run, block, weights }, &self.identity);
        self.bucket.put(&key, bytes.into()).await.map(|_| ())
    }
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
mod tests {
    use chrono::Utc;
    use object_store::memory::InMemory;

    use super::*;

    fn chain(bucket: &Arc<dyn ObjectStore>, index: u64) -> BucketChain {
        let identity = Arc::new(Identity::from_seed(1, "peer", index));
        let validator = Identity::from_seed(1, "validator", 0).hotkey();
        let genesis = Genesis { validators: vec![(validator.0, 1000.0)], peers: Vec::new() };
        let settings = ChainSettings { slots: 3, block_seconds: 60.0, ..ChainSettings::default() };
        let clock = Clock::starting(Duration::ZERO, Utc::now(), &settings, 10.0);
        BucketChain::new(Digest::of(b"run"), identity, bucket.clone(), clock, settings, genesis).unwrap()
    }

    async fn slot(chain: &BucketChain) -> Option<Uid> {
        tokio::time::advance(Duration::from_secs(60)).await;
        chain.state().await.uid_of(&chain.identity.hotkey().0)
    }

    #[tokio::test(start_paused = true)]
    async fn who_registers_has_a_slot_in_the_next_block() {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (first, second) = (chain(&bucket, 0), chain(&bucket, 1));
        first.submit(Call::Register).await;
        second.submit(Call::Register).await;
        assert_eq!((slot(&first).await, slot(&second).await), (Some(0), Some(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn garbage_below_a_slot_keeps_nobody_out() {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for generation in [0, 1, 3, u32::MAX] {
            bucket.put(&keys::slot(0, generation), "garbage".into()).await.unwrap();
        }
        bucket.put(&keys::slot(1, 0), "".into()).await.unwrap();
        let (first, second) = (chain(&bucket, 0), chain(&bucket, 1));
        first.submit(Call::Register).await;
        second.submit(Call::Register).await;
        assert!(bucket.head(&keys::slot(0, 2)).await.is_ok(), "the first generation that is free");
        assert_eq!((slot(&first).await, slot(&second).await), (Some(0), Some(1)));
    }
}
