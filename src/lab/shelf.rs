//! Keeps the figures of networks by their settings, in a folder or a bucket, so that no network runs twice.
//!
//! Each network is one small object, written whole or not at all. A killed process loses only the networks in progress.
//! Several processes can share a place.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::error::LabError;
use super::figures::Figures;
use crate::bucket::{Bucket, words::explain};
use crate::digest::Digest;
use crate::scenario::Scenario;
use crate::transport::retry::{Backoff, RetryStore};
use crate::words::not_json;

/// Goes up when the set of figures or the way they are computed changes.
const FORMAT: &str = "2";
/// The folder of the results.
const RESULTS: &str = "results";
/// The longest object that is read. Figures of 10,000 peers, or the settings of 4,096 combinations, take half of it.
const MOST_BYTES: u64 = 32 << 20;

/// What identifies a network on a shelf: its settings with the seed, and the version of this crate, which may change
/// the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(Digest);

impl Key {
    /// The key of a network as this version runs it.
    pub fn of(scenario: &Scenario) -> Self {
        Self::by(env!("CARGO_PKG_VERSION"), scenario)
    }

    /// The key of a network as the given version runs it.
    pub(super) fn by(version: &str, scenario: &Scenario) -> Self {
        let settings = scenario.canonical();
        let parts = ["gauntlet figures", FORMAT, version, &settings];
        Self(Digest::of_parts(parts.map(str::as_bytes)))
    }

    pub(super) fn path(self) -> Path {
        Path::from(format!("{RESULTS}/{}.json", self.0))
    }
}

/// An object of the shelf, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// The key under which the object lies.
    key: Digest,
    /// Digest of the figures' JSON text, as a damaged number still parses.
    check: Digest,
    figures: Figures,
}

/// What a shelf holds under a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    Nothing,
    Figures(Figures),
    /// A damaged object, with the reason.
    Damaged(String),
}

/// A place for figures. Its calls block; do not call them from an asynchronous runtime's threads.
pub struct Shelf {
    store: Arc<dyn ObjectStore>,
    url: String,
    runtime: Runtime,
}

impl Shelf {
    /// A shelf in a bucket, under `results/`. Requests to a remote store are retried for some seconds.
    ///
    /// # Panics
    /// If the system cannot set up asynchronous file access.
    pub fn new(bucket: &Bucket) -> Self {
        let store = match bucket.folder {
            Some(_) => bucket.store.clone(),
            None => Arc::new(RetryStore::new(bucket.store.clone(), Backoff::default())),
        };
        Self::on(store, bucket.url.clone())
    }

    /// A shelf in memory, for the life of the process.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn in_memory() -> Self {
        Self::on(Arc::new(object_store::memory::InMemory::new()), "memory".into())
    }

    fn on(store: Arc<dyn ObjectStore>, url: String) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self { store, url, runtime: runtime.expect("a runtime for requests can be started") }
    }

    /// Reads what lies under a key.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn get(&self, key: Key) -> Result<Kept, LabError> {
        let Some(bytes) = self.read(&key.path())? else { return Ok(Kept::Nothing) };
        Ok(match bytes.map_err(|size| format!("{size} bytes long")).and_then(|bytes| parse(&bytes, key)) {
            Ok(figures) => Kept::Figures(figures),
            Err(reason) => Kept::Damaged(reason),
        })
    }

    /// Writes the figures of a network, replacing any earlier ones.
    ///
    /// # Errors
    /// The store cannot be written.
    ///
    /// # Panics
    /// Never: figures always have a JSON form.
    pub fn put(&self, key: Key, figures: &Figures) -> Result<(), LabError> {
        let record = Record { key: key.0, check: check(figures), figures: figures.clone() };
        let mut bytes = serde_json::to_vec(&record).expect("plain data");
        bytes.push(b'\n');
        self.write(&key.path(), bytes)
    }

    /// How many of these networks have a result, from a listing instead of a read for each. A damaged one counts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn count(&self, keys: &[Key]) -> Result<usize, LabError> {
        let wanted: BTreeSet<Path> = keys.iter().map(|key| key.path()).collect();
        let folder = Path::from(RESULTS);
        let listed = self.store.list(Some(&folder)).map_ok(|found| found.location);
        let there = listed.try_filter(|path| std::future::ready(wanted.contains(path))).try_collect::<BTreeSet<Path>>();
        let there = self.runtime.block_on(there).map_err(|error| self.failed("list", &folder, &error))?;
        Ok(keys.iter().filter(|key| there.contains(&key.path())).count())
    }

    /// Reads an object beside the figures; the inner `Err` is the size of one that is too large to be ours.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Result<Bytes, u64>>, LabError> {
        let read = async {
            let found = self.store.get(path).await?;
            if found.meta.size > MOST_BYTES { Ok(Err(found.meta.size)) } else { found.bytes().await.map(Ok) }
        };
        match self.runtime.block_on(read) {
            Ok(read) => Ok(Some(read)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", path, &error)),
        }
    }

    /// Writes an object beside the figures, replacing any earlier one.
    pub(super) fn write(&self, path: &Path, bytes: Vec<u8>) -> Result<(), LabError> {
        let put = self.store.put(path, bytes.into());
        self.runtime.block_on(put).map(drop).map_err(|error| self.failed("write", path, &error))
    }

    /// Writes an object if there is none yet.
    pub(super) fn begin(&self, path: &Path, bytes: Vec<u8>) -> Result<(), LabError> {
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        match self.runtime.block_on(self.store.put_opts(path, bytes.into(), options)) {
            Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
            Err(error) => Err(self.failed("write", path, &error)),
        }
    }

    /// The name of a network's object in messages.
    pub(super) fn name_of(&self, key: Key) -> String {
        format!("{}/{}", self.url.trim_end_matches('/'), key.path())
    }

    /// The place as the user named it.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn failed(&self, action: &'static str, path: &Path, error: &Error) -> LabError {
        LabError::Store { url: self.url.clone(), action, object: path.to_string(), reason: explain(error) }
    }
}

fn check(figures: &Figures) -> Digest {
    Digest::of(&serde_json::to_vec(figures).expect("plain data"))
}

fn parse(bytes: &[u8], key: Key) -> Result<Figures, String> {
    let record: Record = serde_json::from_slice(bytes).map_err(|error| not_json(bytes, &error))?;
    if record.key != key.0 {
        return Err(format!("it is of the network {}", record.key));
    }
    if record.check != check(&record.figures) {
        return Err("its digest does not match".into());
    }
    Ok(record.figures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket;
    use crate::lab::figures::tests::made;

    fn scenario(seed: u64) -> Scenario {
        let text = format!("name = 'x'\nseed = {seed}\npeers = [{{ count = 20 }}]");
        Scenario::from_toml(&text, "x.toml", &[]).unwrap()
    }

    #[test]
    fn figures_come_back_bit_for_bit_and_by_settings() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(&bucket::open(folder.path().join("a/b").to_str().unwrap(), true).unwrap());
        let figures = made(&[("honest", 0.1 + 0.2, Some(7)), ("copycat", 1e-300, None)]);
        let key = Key::of(&scenario(1));
        assert_eq!(shelf.get(key).unwrap(), Kept::Nothing);
        shelf.put(key, &figures).unwrap();
        assert_eq!(shelf.get(key).unwrap(), Kept::Figures(figures));
        assert_eq!(shelf.get(Key::of(&scenario(2))).unwrap(), Kept::Nothing);
        assert_eq!(Key::of(&Scenario::from_toml(&scenario(1).to_toml(), "y.toml", &[]).unwrap()), key);
    }

    #[test]
    fn every_kind_of_damage_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(&bucket::open(folder.path().to_str().unwrap(), false).unwrap());
        let (key, other) = (Key::of(&scenario(1)), Key::of(&scenario(2)));
        shelf.put(key, &made(&[("honest", 0.75, None)])).unwrap();
        let path = |key: Key| folder.path().join(key.path().as_ref());
        let text = std::fs::read_to_string(path(key)).unwrap();
        let kept = |text: &str| {
            std::fs::write(path(other), text).unwrap();
            match shelf.get(other).unwrap() {
                Kept::Damaged(reason) => reason,
                kept => panic!("{kept:?}"),
            }
        };
        assert_eq!(kept(&text), format!("it is of the network {}", key.0));
        let moved = text.replace(&key.0.to_string(), &other.0.to_string());
        assert_eq!(kept(&moved.replace("0.75", "0.76")), "its digest does not match");
        assert!(kept("").starts_with("empty"), "an empty file");
        assert!(kept(&moved[..moved.len() / 2]).starts_with("not JSON: it ends within"), "half a file");
        assert!(kept(&moved.replace("\"pay\"", "\"paid\"")).contains("unknown field `paid`"));
        let file = std::fs::File::create(path(other)).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        assert_eq!(shelf.get(other).unwrap(), Kept::Damaged("33554433 bytes long".into()));
    }
}
