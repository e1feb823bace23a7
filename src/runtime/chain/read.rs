//! Reads calls from objects in the bucket, within bounds: anybody may have put the objects there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::allowed::allows;
use crate::Uid;
use crate::bucket::untrusted::{Settled, read_until_settled};
use crate::chain::{Call, ChainSettings, Extrinsic, Genesis, Objection};
use crate::digest::Digest;
use crate::transport::call::Says;
use crate::transport::{Hotkey, call, keys};

/// Maximum number of reads of an object, until it is a call or two reads agree.
const READS: usize = 8;
/// Number of registrations to read at the same time.
const AT_ONCE: usize = 16;

/// The slot and generation that an object at this path claims.
pub(super) fn claimed_at(path: &Path) -> Option<(Uid, u32)> {
    let mut parts = path.prefix_match(&keys::slots())?;
    let uid = parts.next()?.as_ref().parse().ok()?;
    let generation = parts.next()?.as_ref().parse().ok()?;
    (*path == keys::slot(uid, generation)).then_some((uid, generation))
}

/// Reads the calls of a run.
pub(super) struct Reader {
    pub run: Digest,
    pub bucket: Arc<dyn ObjectStore>,
    pub settings: ChainSettings,
    pub genesis: Genesis,
}

/// An object, and the result of reading it: the call in it, if it has one.
pub(super) type Tried = (ObjectMeta, object_store::Result<Option<Extrinsic>>);

impl Reader {
    /// Reads several objects, a few at a time. One that takes longer than `limit` counts as unreadable.
    pub async fn read_all(&self, objects: Vec<ObjectMeta>, limit: Option<Duration>) -> Vec<Tried> {
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

    /// The call in an object; `None` if it has none.
    pub async fn read(&self, meta: &ObjectMeta) -> object_store::Result<Option<Extrinsic>> {
        let path = &meta.location;
        let most = if path.prefix_matches(&keys::slots()) { call::REGISTRATION_LEN } else { call::WEIGHTS_LEN };
        if meta.size == 0 || meta.size > most as u64 {
            return Ok(None);
        }
        let (read, decode) = (|| self.bytes(path, meta.size), |found: &Bytes| self.decode(path, found));
        match read_until_settled(READS, read, decode).await? {
            Settled::Recognised(extrinsic) => Ok(Some(extrinsic)),
            Settled::Confirmed(_) => {
                tracing::warn!(%path, "ignoring an object that is no call to the chain");
                Ok(None)
            }
            Settled::Unsettled => Err(failed("different content in each read")),
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
        if let Some((block, nth)) = keys::call_number(path) {
            let validator = self.author(|validator| *path == keys::call(validator, block, nth))?;
            let says = call::decode_statement(bytes, &self.run, (block, nth), &validator).ok()?;
            return Some(Extrinsic { hotkey: validator.0, call: said(says) });
        }
        let block = keys::number(path)?;
        let validator = self.author(|validator| *path == keys::weights(validator, block))?;
        let weights = call::decode_weights(bytes, &self.run, block, &validator).ok()?;
        Some(Extrinsic { hotkey: validator.0, call: Call::SetWeights(weights) })
    }

    fn author(&self, is_author: impl Fn(&Hotkey) -> bool) -> Option<Hotkey> {
        self.genesis.validators.iter().map(|(validator, _)| Hotkey(*validator)).find(is_author)
    }
}

/// The call that a validator's statement makes.
fn said(says: Says) -> Call {
    match says {
        Says::Commits(digest) => Call::CommitWeights(digest),
        Says::Reveals { weights, salt } => Call::RevealWeights { weights, salt },
        Says::Objects { round, author, lacks } => Call::Object(Objection { round, author: author.0, lacks }),
    }
}

pub(super) fn failed(why: &str) -> Error {
    Error::Generic { store: "chain", source: why.into() }
}
