//! The store behind all links of a simulated network.
//!
//! Writes stay *fresh* during their millisecond, when reads do not see them. The first access in a later millisecond
//! makes them *settled*. So a read sees exactly the writes stamped before its millisecond, regardless of which task
//! runs first, and the bytes that a write replaces are freed at once. A bucket restored from a checkpoint may hold
//! writes stamped later than its clock; they stay fresh until then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use chrono::{DateTime, Utc};
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
    /// Objects written, or deleted (`None`), by millisecond.
    fresh: BTreeMap<u64, BTreeMap<Path, Option<Object>>>,
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
    /// The object at a path, fresh or settled. Conditional writes are compared with it.
    fn current(&self, location: &Path, now_ms: u64) -> Option<&Object> {
        match self.fresh.get(&now_ms).and_then(|fresh| fresh.get(location)) {
            Some(fresh) => fresh.as_ref(),
            None => self.settled.get(location),
        }
    }

    /// Settles all writes before `now_ms`.
    fn settle(&mut self, now_ms: u64) {
        while let Some(oldest) = self.fresh.first_entry()
            && *oldest.key() < now_ms
        {
            for (path, object) in oldest.remove() {
                match object {
                    Some(object) => self.settled.insert(path, object),
                    None => self.settled.remove(&path),
                };
            }
        }
    }
}

impl SimBucket {
    /// An empty bucket in the world of this clock.
    pub fn new(clock: SimClock) -> Self {
        Self { clock, store: Arc::default() }
    }

    /// The stamp of an object that was put. The answer comes later than the object, and is all that whoever put it sees.
    pub fn stamp_of(put: &PutResult) -> Option<DateTime<Utc>> {
        let (stamp_ms, _) = put.e_tag.as_deref()?.trim_matches('"').split_once('-')?;
        Some(SimClock::stamp(stamp_ms.parse().ok()?))
    }

    /// The clock that stamps its objects.
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// The object at a path, as of now.
    pub(super) fn read(&self, location: &Path) -> Option<(ObjectMeta, Bytes)> {
        let (store, _) = self.store_now();
        store.settled.get(location).map(|object| (object.meta(location), object.body.clone()))
    }

    /// The objects below a prefix in order of path, as of now.
    pub(super) fn list(&self, prefix: &Path) -> Vec<ObjectMeta> {
        let (store, _) = self.store_now();
        let below = store.settled.range(prefix..).take_while(|(path, _)| path.as_ref().starts_with(prefix.as_ref()));
        below
            .filter(|(path, _)| path.prefix_match(prefix).is_some_and(|mut parts| parts.next().is_some()))
            .map(|(path, object)| object.meta(path))
            .collect()
    }

    /// Stores an object with the current stamp, if the mode's condition holds.
    pub(super) fn write(&self, location: &Path, body: Bytes, mode: &PutMode) -> Result<PutResult> {
        let (mut store, now_ms) = self.store_now();
        let current = store.current(location, now_ms);
        match mode {
            PutMode::Create if current.is_some() => {
                return Err(Error::AlreadyExists { path: location.to_string(), source: "the object exists".into() });
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
        store.fresh.entry(now_ms).or_default().insert(location.clone(), Some(object));
        Ok(PutResult { e_tag, version: None, extensions: Default::default() })
    }

    /// Deletes the object at a path, if there is one.
    pub(super) fn delete(&self, location: &Path) {
        let (mut store, now_ms) = self.store_now();
        store.fresh.entry(now_ms).or_default().insert(location.clone(), None);
    }

    /// The store, with all writes before this millisecond settled, and this millisecond.
    fn store_now(&self) -> (MutexGuard<'_, Store>, u64) {
        let mut store = self.store.lock().expect("no code panics while it holds the store");
        let now_ms = self.clock.now_ms();
        store.settle(now_ms);
        (store, now_ms)
    }

    /// All objects, for a checkpoint.
    pub fn export(&self) -> BucketState {
        let (store, _) = self.store_now();
        let fresh = store.fresh.values().flatten().filter_map(|(path, object)| Some((path, object.as_ref()?)));
        let objects = store.settled.iter().chain(fresh);
        BucketState { objects: objects.map(|(path, object)| (path.to_string(), object.clone())).collect() }
    }

    /// Takes over the objects of a saved bucket. Objects stamped later than the clock become visible at their time.
    ///
    /// # Errors
    /// The saved state is damaged: a path is invalid.
    pub fn import(&self, state: &BucketState) -> Result<()> {
        let (mut store, now_ms) = self.store_now();
        for (path, object) in &state.objects {
            let path = Path::parse(path)?;
            if object.stamp_ms < now_ms {
                store.settled.insert(path, object.clone());
            } else {
                store.fresh.entry(object.stamp_ms).or_default().insert(path, Some(object.clone()));
            }
        }
        Ok(())
    }
}

/// The saved contents of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BucketState {
    objects: Vec<(String, Object)>,
}

impl BucketState {
    /// Keeps the objects for which `wanted` returns true, given the path and the millisecond of the stamp.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str, u64) -> bool) {
        self.objects.retain(|(path, object)| wanted(path, object.stamp_ms));
    }
}

/// Saves `Bytes` as one block: serde writes a `Vec<u8>` byte by byte.
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
