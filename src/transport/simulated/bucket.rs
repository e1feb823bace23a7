//! The store behind all links of a simulated network.
//!
//! A write first lies among the *fresh* ones of its millisecond, where no read sees it; the first access in a later millisecond moves all
//! of them among the *settled*. So a read sees the writes stamped before its millisecond, whichever task runs first, and the bytes that a
//! write replaced are freed at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, PutMode, PutResult, Result};
use serde::{Deserialize, Serialize};

use super::SimClock;

/// The bucket that all nodes of a simulation share. Clones are the same bucket.
#[derive(Clone, Debug)]
pub struct SimBucket {
    clock: SimClock,
    store: Arc<Mutex<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    settled: BTreeMap<Path, Object>,
    /// Written, or deleted (`None`), in the millisecond `fresh_ms`.
    fresh: BTreeMap<Path, Option<Object>>,
    fresh_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Object {
    stamp_ms: u64,
    /// Tells writes of the same millisecond apart.
    revision: u32,
    #[serde(with = "byte_run")]
    body: Bytes,
}

impl Object {
    fn e_tag(&self) -> String {
        format!("\"{}-{}\"", self.stamp_ms, self.revision)
    }

    fn meta(&self, location: &Path) -> ObjectMeta {
        ObjectMeta {
            location: location.clone(),
            last_modified: SimClock::stamp(self.stamp_ms),
            size: self.body.len() as u64,
            e_tag: Some(self.e_tag()),
            version: None,
        }
    }
}

impl Store {
    /// What is stored under a path, fresh or settled: what a conditional write is compared with.
    fn current(&self, location: &Path) -> Option<&Object> {
        match self.fresh.get(location) {
            Some(fresh) => fresh.as_ref(),
            None => self.settled.get(location),
        }
    }

    fn settle(&mut self) {
        for (path, object) in std::mem::take(&mut self.fresh) {
            match object {
                Some(object) => self.settled.insert(path, object),
                None => self.settled.remove(&path),
            };
        }
    }
}

impl SimBucket {
    /// An empty bucket in the world of this clock.
    pub fn new(clock: SimClock) -> Self {
        Self { clock, store: Arc::default() }
    }

    /// The clock that stamps its objects.
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// The object under a path, as of now.
    pub(super) fn read(&self, location: &Path) -> Option<(ObjectMeta, Bytes)> {
        let (store, _) = self.store_now();
        store.settled.get(location).map(|object| (object.meta(location), object.body.clone()))
    }

    /// The objects below a prefix in the order of their paths, as of now.
    pub(super) fn list(&self, prefix: &Path) -> Vec<ObjectMeta> {
        let (store, _) = self.store_now();
        let below = store.settled.range(prefix..).take_while(|(path, _)| path.as_ref().starts_with(prefix.as_ref()));
        below
            .filter(|(path, _)| path.prefix_match(prefix).is_some_and(|mut parts| parts.next().is_some()))
            .map(|(path, object)| object.meta(path))
            .collect()
    }

    /// Stores an object, stamped now, if the mode's condition holds.
    pub(super) fn write(&self, location: &Path, body: Bytes, mode: &PutMode) -> Result<PutResult> {
        let (mut store, now_ms) = self.store_now();
        let current = store.current(location);
        match mode {
            PutMode::Create if current.is_some() => {
                return Err(Error::AlreadyExists { path: location.to_string(), source: "it was stored before".into() });
            }
            PutMode::Update(expected) if current.is_none() || current.map(Object::e_tag) != expected.e_tag => {
                return Err(Error::Precondition {
                    path: location.to_string(),
                    source: format!("expected e_tag {:?}, found {:?}", expected.e_tag, current.map(Object::e_tag))
                        .into(),
                });
            }
            _ => {}
        }
        let revision = current.filter(|object| object.stamp_ms == now_ms).map_or(0, |object| object.revision + 1);
        let object = Object { stamp_ms: now_ms, revision, body };
        let e_tag = Some(object.e_tag());
        store.fresh.insert(location.clone(), Some(object));
        Ok(PutResult { e_tag, version: None, extensions: Default::default() })
    }

    /// Removes what is stored under a path, if anything.
    pub(super) fn delete(&self, location: &Path) {
        let (mut store, _) = self.store_now();
        store.fresh.insert(location.clone(), None);
    }

    /// The store with everything settled that was written before this millisecond, and the millisecond.
    fn store_now(&self) -> (MutexGuard<'_, Store>, u64) {
        let mut store = self.store.lock().expect("no code panics while it holds the store");
        let now_ms = self.clock.now_ms();
        if store.fresh_ms < now_ms {
            store.settle();
            store.fresh_ms = now_ms;
        }
        (store, now_ms)
    }

    /// All that is stored, to be saved with a run. Operations under way are not part of it: save when no node waits for one.
    pub fn export(&self) -> BucketState {
        let (store, saved_ms) = self.store_now();
        let settled = store.settled.iter().map(|(path, object)| (path.to_string(), object.clone())).collect();
        let fresh = store.fresh.iter().map(|(path, object)| (path.to_string(), object.clone())).collect();
        BucketState { saved_ms, settled, fresh }
    }

    /// The bucket of a saved run, in a world whose clock goes on from when it was saved.
    ///
    /// # Errors
    /// A path that no bucket could have held: the saved state is damaged.
    pub fn import(clock: SimClock, state: BucketState) -> Result<Self> {
        let store =
            Store { settled: parse_paths(state.settled)?, fresh: parse_paths(state.fresh)?, fresh_ms: state.saved_ms };
        Ok(Self { clock, store: Arc::new(Mutex::new(store)) })
    }
}

/// What a bucket holds, to be saved and restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BucketState {
    saved_ms: u64,
    settled: Vec<(String, Object)>,
    fresh: Vec<(String, Option<Object>)>,
}

fn parse_paths<T>(objects: Vec<(String, T)>) -> Result<BTreeMap<Path, T>> {
    objects.into_iter().map(|(path, object)| Ok((Path::parse(path)?, object))).collect()
}

/// `Bytes` as one run of bytes: serde's own `Vec<u8>` goes byte by byte.
mod byte_run {
    use std::fmt;

    use super::Bytes;
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        struct Run;
        impl Visitor<'_> for Run {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }
        }
        deserializer.deserialize_bytes(Run)
    }
}
