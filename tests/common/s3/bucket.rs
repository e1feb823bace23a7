//! The objects of a bucket, and what a test may do to them behind the protocol's back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use gauntlet::digest::Digest;

/// Keys to a page of a listing.
pub const PAGE: usize = 1000;

/// Something stored.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Bytes,
    /// In whole seconds, as S3 stamps.
    pub stamp: SystemTime,
    pub etag: String,
}

impl Object {
    fn new(bytes: Bytes, at: DateTime<Utc>) -> Self {
        let seconds = u64::try_from(at.timestamp()).expect("the epoch is over");
        let etag = Digest::of(&bytes).to_string();
        Self { bytes, stamp: UNIX_EPOCH + Duration::from_secs(seconds), etag }
    }
}

/// Objects by key, and all that ever were.
pub struct Bucket {
    now: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    objects: Mutex<BTreeMap<String, Object>>,
    changed: Condvar,
    history: Mutex<Vec<(String, Bytes)>>,
    ignores_conditions: AtomicBool,
}

/// What a put asks of the object that is there.
pub enum Condition {
    Any,
    Absent,
    /// Has this etag.
    Same(String),
}

/// Why nothing was put.
pub enum Refused {
    Exists,
    Absent,
    Changed,
}

/// A page of a listing.
#[derive(Default)]
pub struct Page {
    pub objects: Vec<(String, Object)>,
    pub prefixes: Vec<String>,
    /// The last key or prefix, where there are more.
    pub next: Option<String>,
}

impl Bucket {
    /// An empty bucket that stamps with the time that `now` tells.
    pub(super) fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self {
            now: Box::new(now),
            objects: Mutex::default(),
            changed: Condvar::new(),
            history: Mutex::default(),
            ignores_conditions: AtomicBool::new(false),
        }
    }

    /// From now on puts are taken whatever they ask of what is there, or not.
    pub fn ignore_conditions(&self, ignore: bool) {
        self.ignores_conditions.store(ignore, Ordering::Relaxed);
    }

    /// The bytes under a key.
    pub fn bytes(&self, key: &str) -> Option<Bytes> {
        self.object(key).map(|object| object.bytes)
    }

    /// The keys that begin like this, in order.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let objects = self.lock();
        objects
            .range(prefix.to_string()..)
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Puts an object, whatever is there.
    pub fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        let _ = self.put_if(key, bytes.into(), &Condition::Any);
    }

    /// Puts an object where nothing is; whether nothing was there.
    pub fn create(&self, key: &str, bytes: impl Into<Bytes>) -> bool {
        self.put_if(key, bytes.into(), &Condition::Absent).is_ok()
    }

    /// Changes the bytes of an object and leaves its stamp, as a bad disk would. Whether there is such an object.
    pub fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut objects = self.lock();
        let Some(object) = objects.get_mut(key) else { return false };
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        *object = Object { stamp: object.stamp, ..Object::new(bytes.into(), (self.now)()) };
        true
    }

    /// Removes an object.
    pub fn delete(&self, key: &str) {
        self.lock().remove(key);
    }

    /// All that was ever put under keys that begin like this, in order; what was put again is there again.
    pub fn history(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let history = self.history.lock().unwrap();
        history.iter().filter(|(key, _)| key.starts_with(prefix)).cloned().collect()
    }

    /// What `look` makes of the objects.
    pub fn look<T>(&self, look: impl FnOnce(&BTreeMap<String, Object>) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until `seen` finds among the objects what it looks for; `None` when that has not come to pass in `limit`.
    pub fn wait_for<T>(
        &self,
        limit: Duration,
        mut seen: impl FnMut(&BTreeMap<String, Object>) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        let waiting = |objects: &mut BTreeMap<String, Object>| {
            found = seen(objects);
            found.is_none()
        };
        drop(self.changed.wait_timeout_while(self.lock(), limit, waiting).unwrap());
        found
    }

    pub(super) fn object(&self, key: &str) -> Option<Object> {
        self.lock().get(key).cloned()
    }

    pub(super) fn put_if(&self, key: &str, bytes: Bytes, condition: &Condition) -> Result<Object, Refused> {
        let ignores = self.ignores_conditions.load(Ordering::Relaxed);
        let condition = if ignores { &Condition::Any } else { condition };
        let mut objects = self.lock();
        match (condition, objects.get(key)) {
            (Condition::Any, _) | (Condition::Absent, None) => {}
            (Condition::Absent, Some(_)) => return Err(Refused::Exists),
            (Condition::Same(_), None) => return Err(Refused::Absent),
            (Condition::Same(etag), Some(there)) if there.etag != *etag => return Err(Refused::Changed),
            (Condition::Same(_), Some(_)) => {}
        }
        let object = Object::new(bytes, (self.now)());
        objects.insert(key.into(), object.clone());
        self.history.lock().unwrap().push((key.into(), object.bytes.clone()));
        self.changed.notify_all();
        Ok(object)
    }

    /// The keys after `after` that begin with `prefix`; what has `delimiter` behind the prefix is told up to there, once.
    pub(super) fn list(&self, prefix: &str, delimiter: Option<&str>, after: &str, most: usize) -> Page {
        let objects = self.lock();
        let mut page = Page::default();
        let mut last = None;
        for (key, object) in objects.range(prefix.max(after).to_string()..) {
            let Some(rest) = key.strip_prefix(prefix) else { break };
            let shared = delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()));
            let name = shared.map_or(key.as_str(), |end| &key[..prefix.len() + end]);
            if name <= after || last == Some(name) {
                continue;
            }
            if page.objects.len() + page.prefixes.len() == most {
                page.next = last.map(String::from);
                break;
            }
            last = Some(name);
            match shared {
                Some(_) => page.prefixes.push(name.into()),
                None => page.objects.push((key.clone(), object.clone())),
            }
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap()
    }
}
