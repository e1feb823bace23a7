//! Fetches texts from a bucket to this machine, one at a time, each for as long as it is read.

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tempfile::NamedTempFile;

use super::error::CorpusError;
use super::inputs::Format;
use super::left_out::PassedOver;
use super::names;
use super::url::bucket_of;
use crate::bucket::words::explain;
use crate::words::counted;

/// Bytes per request. Each request has a minute.
const PART: u64 = 64 << 20;
/// Pauses in seconds before a part is requested again. The store's client also makes quick retries of its own.
const PAUSES: [u64; 4] = [1, 2, 4, 8];

/// Objects of a bucket.
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// URL of the bucket that holds the objects.
    bucket: String,
    found: Vec<ObjectMeta>,
    passed: PassedOver,
}

impl Objects {
    /// The objects that a URL names: one object, those below a prefix with this ending, or the matches of a pattern;
    /// sorted by name. `None` if it is not a URL.
    ///
    /// # Errors
    /// The bucket or object does not exist, or the bucket does not answer.
    pub fn find(url: &str, format: Format, ending: &str) -> Result<Option<Self>, CorpusError> {
        let wanted = move |name: &std::path::Path| names::is_named(name, format);
        Self::find_wanted(url, &wanted, &format!("{ending} objects"))
    }

    /// As [`Objects::find`]; of a prefix those that are wanted by their names.
    ///
    /// # Errors
    /// As [`Objects::find`].
    pub fn find_wanted(url: &str, wanted: &Wanted, expected: &str) -> Result<Option<Self>, CorpusError> {
        // The pattern starts at the first folder with a wildcard.
        let wild = url.find(WILDCARDS).unwrap_or(url.len());
        let (bucket, name) = match url[..wild].rfind('/') {
            Some(slash) if !url[..slash].ends_with('/') => (&url[..slash], url[slash + 1..].trim_end_matches('/')),
            _ => (url, ""),
        };
        let Some(store) = bucket_of(bucket)? else { return Ok(None) };
        let found = waited_for(find(&store, name, wanted));
        let (found, passed) =
            found.map_err(|error| CorpusError::Bucket { url: url.to_string(), reason: error.to_string() })?;
        if found.is_empty() {
            let expected = format!("an object, a prefix with {expected} below it, or a pattern");
            return Err(CorpusError::NoFiles { path: url.to_string(), expected });
        }
        Ok(Some(Self { store, bucket: bucket.to_string(), found, passed }))
    }

    /// What was passed over in the bucket.
    pub fn passed(&self) -> &PassedOver {
        &self.passed
    }

    /// Number of objects.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Size of an object in bytes.
    pub fn size(&self, number: usize) -> u64 {
        self.found[number].size
    }

    /// Size of all objects in bytes.
    pub fn bytes(&self) -> u64 {
        self.found.iter().map(|meta| meta.size).sum()
    }

    /// URL of one object.
    pub fn url(&self, number: usize) -> String {
        format!("{}/{}", self.bucket, self.found[number].location)
    }

    /// Fetches one object into a file, which is removed when the returned value is dropped.
    ///
    /// # Errors
    /// The bucket or disk fails, or the object has changed.
    pub fn bring(&self, number: usize) -> Result<NamedTempFile, CorpusError> {
        let meta = &self.found[number];
        waited_for(bring(&self.store, meta)).map_err(|error| {
            let reason = format!("cannot be fetched to {}: {error}", std::env::temp_dir().display());
            CorpusError::Bucket { url: self.url(number), reason }
        })
    }
}

/// Whether an object is meant, by its name.
pub type Wanted = dyn Fn(&std::path::Path) -> bool + Sync;

/// Brings the object of a URL, into a file that is removed with what is returned; `None` for what is no URL. `bytes`: as
/// long as it was when it was found.
///
/// # Errors
/// Why it cannot be had.
pub fn bring_one(url: &str, bytes: u64) -> Result<Option<NamedTempFile>, String> {
    // Its name may have what makes a pattern of others.
    let Some((bucket, name)) = url.rsplit_once('/').filter(|_| url.contains("://")) else { return Ok(None) };
    let store = bucket_of(bucket).map_err(reason)?.ok_or("expected the URL of an object")?;
    let path = Path::parse(name).map_err(|error| error.to_string())?;
    let head = async { store.head(&path).await.map_err(|error| io::Error::other(explain(&error))) };
    let meta = waited_for(head).map_err(|error| error.to_string())?;
    if meta.size != bytes {
        let (now, before) = (counted(meta.size, "byte"), counted(bytes, "byte"));
        return Err(format!("it has {now}; it had {before} when it was listed: it has been overwritten"));
    }
    let (bucket, passed) = (bucket.to_string(), PassedOver::default());
    let objects = Objects { store, bucket, found: vec![meta], passed };
    objects.bring(0).map(Some).map_err(reason)
}

/// An error of a bucket without the setting of a scenario that may name it.
pub fn reason(error: CorpusError) -> String {
    match error {
        CorpusError::Bucket { reason, .. } => reason,
        CorpusError::NoFiles { expected, .. } => format!("names no object; expected {expected}"),
        error => error.to_string(),
    }
}

const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Waits for the result of requests. It does so on another thread, because the caller may be inside a runtime, which
/// forbids waiting.
fn waited_for<T: Send>(work: impl Future<Output = io::Result<T>> + Send) -> io::Result<T> {
    let wait = || tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work);
    thread::scope(|scope| scope.spawn(wait).join().expect("fetching does not panic"))
}

/// The objects meant, by name. As with folders, names with a leading dot are left out.
async fn find(store: &Arc<dyn ObjectStore>, name: &str, wanted: &Wanted) -> io::Result<(Vec<ObjectMeta>, PassedOver)> {
    let invalid = |error: &dyn std::error::Error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
    let is_pattern = name.contains(WILDCARDS);
    let pattern = glob::Pattern::new(name).map_err(|error| invalid(&error))?;
    let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
    let below = match is_pattern || name.is_empty() {
        true => None,
        false => Some(Path::parse(name).map_err(|error| invalid(&error))?),
    };
    if let Some(path) = &below {
        match store.head(path).await {
            Ok(meta) => return Ok((vec![meta], PassedOver::default())),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(io::Error::other(explain(&error))),
        }
    }
    let (mut found, mut passed) = (Vec::new(), PassedOver::default());
    let all: Vec<ObjectMeta> =
        store.list(below.as_ref()).try_collect().await.map_err(|error| io::Error::other(explain(&error)))?;
    for meta in all {
        let name = meta.location.as_ref();
        if is_pattern && !pattern.matches_with(name, options) {
            continue;
        }
        let file = std::path::Path::new(name);
        if meta.location.filename().is_none_or(|name| name.starts_with('.')) {
            passed.hidden += 1;
        } else if is_pattern || wanted(file) {
            found.push(meta);
        } else {
            *passed.suffixes.entry(names::ending(file)).or_default() += 1;
        }
    }
    found.sort_by(|a, b| a.location.cmp(&b.location));
    Ok((found, passed))
}

async fn bring(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("gauntlet-corpus-").tempfile()?;
    let mut at = 0;
    while at < meta.size {
        let end = meta.size.min(at + PART);
        let mut pauses = PAUSES.iter();
        let bytes = loop {
            let options = GetOptions {
                range: Some(GetRange::Bounded(at..end)),
                if_match: meta.e_tag.clone(),
                ..GetOptions::default()
            };
            let error = match part(store, meta, options).await {
                Ok(bytes) if bytes.len() as u64 == end - at => break bytes,
                Ok(bytes) => io::Error::other(format!("{} bytes instead of {}", bytes.len(), end - at)),
                Err(error @ object_store::Error::Precondition { .. }) => return Err(error.into()),
                Err(error) => io::Error::other(explain(&error)),
            };
            let Some(pause) = pauses.next() else { return Err(error) };
            tracing::warn!(object = %meta.location, %error, "not fetched; trying again");
            tokio::time::sleep(Duration::from_secs(*pause)).await;
        };
        file.write_all(&bytes)?;
        at = end;
    }
    file.flush()?;
    Ok(file)
}

async fn part(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    options: GetOptions,
) -> object_store::Result<bytes::Bytes> {
    store.get_opts(&meta.location, options).await?.bytes().await
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn named(store: &Arc<dyn ObjectStore>, name: &str) -> Vec<String> {
        find(store, name, &|name: &std::path::Path| names::is_named(name, Format::Text))
            .await
            .unwrap()
            .0
            .iter()
            .map(|meta| meta.location.to_string())
            .collect()
    }

    #[tokio::test]
    async fn objects_are_found_and_brought_whole() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let large: Vec<u8> = (0..PART + 5).map(|at| (at % 251) as u8).collect();
        for (name, bytes) in [("b.txt", &b"b"[..]), ("a/c.txt", b""), ("a/.d.txt", b"d"), ("a/e.md", &large)] {
            store.put(&Path::parse(name).unwrap(), bytes.to_vec().into()).await.unwrap();
        }
        assert_eq!(named(&store, "").await, ["a/c.txt", "a/e.md", "b.txt"]);
        assert_eq!(named(&store, "a").await, ["a/c.txt", "a/e.md"]);
        assert_eq!(named(&store, "a/e.md").await, ["a/e.md"]);
        assert_eq!(named(&store, "*.txt").await, ["b.txt"]);
        assert_eq!(named(&store, "*/*").await, ["a/c.txt", "a/e.md"]);
        assert_eq!(named(&store, "none").await, [""; 0]);

        let [empty, whole] = ["a/c.txt", "a/e.md"].map(|name| Path::parse(name).unwrap());
        let empty = store.head(&empty).await.unwrap();
        assert!(std::fs::read(bring(&store, &empty).await.unwrap().path()).unwrap().is_empty());
        let meta = store.head(&whole).await.unwrap();
        assert!(std::fs::read(bring(&store, &meta).await.unwrap().path()).unwrap() == large);
        store.put(&whole, vec![0; large.len()].into()).await.unwrap();
        assert!(bring(&store, &meta).await.is_err(), "another object by now");
    }
}
