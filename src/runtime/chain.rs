//! The chain of a real network: a ledger that everybody computes from the calls in the bucket.
//!
//! The store's stamp of a call says which block it is in, so that all who see the same objects compute the same state.
//! Nothing that the model depends on is read from it: who is aggregated is in the round's record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::sync::Mutex;

use crate::Uid;
use crate::chain::{Call, ChainState, Extrinsic, Genesis, Ledger, LedgerError};
use crate::digest::Digest;
use crate::node::get_bounded;
use crate::node::ports::{Chain, Clock};
use crate::scenario::ChainSettings;
use crate::transport::call::{self, Registration, Weights};
use crate::transport::{Hotkey, Identity, keys};

/// How many slots are tried to register, one taken by somebody else after the other.
const CLAIMS: usize = 300;

/// The chain as one node sees it, and its account on it.
pub struct BucketChain {
    run: Digest,
    identity: Arc<Identity>,
    bucket: Arc<dyn ObjectStore>,
    clock: Clock,
    settings: ChainSettings,
    genesis: Genesis,
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
        let seen = Seen { ledger, newest, calls: Vec::new(), paths: BTreeSet::new() };
        Ok(Self { run, identity, bucket, clock, settings, genesis, seen: Mutex::new(seen) })
    }

    /// Reads the calls that have come since, and goes on to the present block.
    async fn refresh(&self, seen: &mut Seen) -> object_store::Result<()> {
        let block = self.clock.block();
        let mut new = Vec::new();
        for meta in self.list_new(seen).await? {
            if let Some(extrinsic) = self.read(&meta.location).await? {
                new.push((self.clock.block_of(meta.last_modified), extrinsic));
            }
            seen.paths.insert(meta.location);
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
        seen.newest = Arc::new(seen.ledger.state_at(block.max(seen.newest.block)).clone());
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

    /// The call at a path; `None` for what is none.
    async fn read(&self, path: &Path) -> object_store::Result<Option<Extrinsic>> {
        let most = if path.prefix_matches(&keys::slots()) { call::REGISTRATION_LEN } else { call::WEIGHTS_LEN };
        let Some(bytes) = get_bounded(&self.bucket, path, most as u64).await else {
            // Too long, or gone: not a call. A failure of the store would be another answer.
            return match self.bucket.head(path).await {
                Err(error @ Error::Generic { .. }) => Err(error),
                _ => Ok(None),
            };
        };
        let read = self.decode(path, &bytes);
        if read.is_none() {
            tracing::warn!(%path, "ignoring what is no call to the chain");
        }
        Ok(read)
    }

    fn decode(&self, path: &Path, bytes: &[u8]) -> Option<Extrinsic> {
        if let Some(expected) = self.registration_at(path) {
            let hotkey = call::decode_registration(bytes, &expected).ok()?;
            return Some(Extrinsic { hotkey: hotkey.0, call: Call::Claim(expected.uid) });
        }
        let block = keys::number(path)?;
        let (validator, _) =
            self.genesis.validators.iter().find(|(validator, _)| *path == keys::weights(&Hotkey(*validator), block))?;
        let weights = call::decode_weights(bytes, &self.run, block, &Hotkey(*validator)).ok()?;
        Some(Extrinsic { hotkey: *validator, call: Call::SetWeights(weights) })
    }

    /// What belongs at a path below the slots.
    fn registration_at(&self, path: &Path) -> Option<Registration> {
        let mut parts = path.prefix_match(&keys::slots())?;
        let uid = parts.next()?.as_ref().parse().ok()?;
        let generation = parts.next()?.as_ref().parse().ok()?;
        (*path == keys::slot(uid, generation)).then_some(Registration { run: self.run, uid, generation })
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
        let claims =
            seen.calls.iter().filter(|(at, extrinsic)| *at >= present && matches!(extrinsic.call, Call::Claim(_)));
        let taken: BTreeSet<Uid> = claims
            .filter_map(|(_, extrinsic)| if let Call::Claim(uid) = extrinsic.call { Some(uid) } else { None })
            .collect();
        let uid = seen.newest.slot_to_claim(&taken)?;
        let mut generations: BTreeMap<Uid, u32> = BTreeMap::new();
        for path in &seen.paths {
            if let Some(found) = self.registration_at(path) {
                let next = generations.entry(found.uid).or_default();
                *next = (*next).max(found.generation.saturating_add(1));
            }
        }
        Some(Registration { run: self.run, uid, generation: generations.get(&uid).copied().unwrap_or(0) })
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
        let mut seen = self.seen.lock().await;
        if seen.newest.block < self.clock.block()
            && let Err(error) = self.refresh(&mut seen).await
        {
            tracing::warn!(%error, "the chain cannot be read; going on with what was read before");
        }
        seen.newest.clone()
    }

    async fn submit(&self, call: Call) {
        let sent = match call {
            Call::Register | Call::Claim(_) => self.register().await,
            Call::SetWeights(weights) => self.set_weights(weights).await,
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "a call to the chain was not sent");
        }
    }
}
