//! A store that retries. Nodes wrap it around their link, so that one lost request does not cost a round.
//!
//! Only transient failures ([`object_store::Error::Generic`]) are retried. An object that is missing, one that already
//! exists, and a path that the node may not write are final answers. Waits double with each attempt and have no random
//! part, so a simulated run repeats them exactly on tokio's clock. A node with a deadline drops the operation when it
//! passes (`tokio::time::timeout_at`).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// How often to try and how long to wait in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Attempts in all. At least one is made.
    pub attempts: u32,
    /// Wait after the first failure. It doubles with each further one.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 8, first: Duration::from_millis(100), longest: Duration::from_secs(2) }
    }
}

impl Backoff {
    /// Runs an operation until it succeeds, fails for good, or is out of attempts.
    async fn run<T, F: Future<Output = Result<T>>>(&self, mut operation: impl FnMut() -> F) -> Result<T> {
        let mut wait = self.first;
        for _ in 1..self.attempts {
            match operation().await {
                Err(error) if is_transient(&error) => {
                    tracing::debug!(%error, ?wait, "transient failure, retrying");
                    tokio::time::sleep(wait).await;
                    wait = wait.saturating_mul(2).min(self.longest);
                }
                done => return done,
            }
        }
        operation().await
    }
}

/// Whether the same request may succeed later.
fn is_transient(error: &Error) -> bool {
    matches!(error, Error::Generic { .. }) && !is_refusal(error)
}

/// Whether the store has refused a request, and will refuse the same one again: a range that does not fit the object (it may be
/// empty), an archived object, one encrypted with a key of its owner. The crate reports some of these answers as `Generic`.
pub fn is_refusal(error: &Error) -> bool {
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => true,
        Error::Generic { source, .. } => {
            let text = source.to_string();
            let status = text.split_once("status code: ").and_then(|(_, after)| after.get(..3)?.parse::<u16>().ok());
            // "Request Timeout", which S3 reports as a bad request, and "Too Many Requests" may succeed later.
            let is_slow = text.contains("RequestTimeout") || matches!(status, Some(408 | 429));
            status.is_some_and(|status| (400..500).contains(&status)) && !is_slow
        }
        _ => false,
    }
}

/// A store that retries operations after transient failures. For a get it retries the request, but not a body that
/// breaks off.
#[derive(Clone, Debug)]
pub struct RetryStore {
    inner: Arc<dyn ObjectStore>,
    backoff: Backoff,
}

impl RetryStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>, backoff: Backoff) -> Self {
        Self { inner, backoff }
    }

    /// Collects the whole listing before it yields the first object, so that a failure in the middle can be retried.
    fn list_all(
        &self,
        list: impl Fn(&dyn ObjectStore) -> BoxStream<'static, Result<ObjectMeta>> + Send + Sync + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        stream::once(async move { store.backoff.run(|| list(&*store.inner).try_collect::<Vec<_>>()).await })
            .map_ok(|objects| stream::iter(objects.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }
}

// Every method is forwarded explicitly: the default ones would not reach the inner store.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for RetryStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.backoff.run(|| self.inner.put_opts(location, payload.clone(), options.clone())).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.backoff.run(|| self.inner.put_multipart_opts(location, options.clone())).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.backoff.run(|| self.inner.get_opts(location, options.clone())).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.backoff.run(|| self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store.backoff.run(|| store.inner.delete(&location)).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.list_all(move |inner| inner.list(prefix.as_ref()))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        self.list_all(move |inner| inner.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.backoff.run(|| self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.backoff.run(|| self.inner.copy_opts(from, to, options.clone())).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.backoff.run(|| self.inner.rename_opts(from, to, options.clone())).await
    }
}

impl fmt::Display for RetryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RetryStore({})", self.inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::Instant;

    use super::*;
    use crate::bucket::suite;

    fn transient() -> Error {
        Error::Generic { store: "test", source: "lost".into() }
    }

    fn not_found() -> Error {
        Error::NotFound { path: "a".into(), source: "nothing".into() }
    }

    /// Attempts made, seconds waited and the outcome of an operation that fails `failures` times before it returns
    /// `last`.
    async fn attempt(backoff: Backoff, failures: u32, last: fn() -> Result<u8>) -> (u32, f64, Result<u8>) {
        let (start, made) = (Instant::now(), AtomicU32::new(0));
        let outcome = backoff
            .run(|| async { if made.fetch_add(1, Ordering::Relaxed) < failures { Err(transient()) } else { last() } })
            .await;
        (made.into_inner(), start.elapsed().as_secs_f64(), outcome)
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let answer = |text: &str| {
            let source = format!("Server returned non-2xx status code: {text}").into();
            is_transient(&Error::Generic { store: "S3", source })
        };
        let final_ones =
            ["416 Range Not Satisfiable: ", "400 Bad Request: <Code>InvalidRequest</Code>", "405 Method Not Allowed: "];
        assert!(final_ones.into_iter().all(|text| !answer(text)));
        let later = [
            "400 Bad Request: <Code>RequestTimeout</Code>",
            "408 Request Timeout: ",
            "429 Too Many Requests: ",
            "503 Slow Down: ",
        ];
        assert!(later.into_iter().all(answer));
        assert!(is_transient(&Error::Generic { store: "S3", source: "connection reset".into() }));
    }

    #[tokio::test(start_paused = true)]
    async fn transient_failures_are_retried_after_doubling_waits() {
        let backoff = Backoff { attempts: 6, first: Duration::from_secs(1), longest: Duration::from_secs(3) };
        assert!(matches!(attempt(backoff, 0, || Ok(1)).await, (1, 0.0, Ok(1))));
        assert!(matches!(attempt(backoff, 2, || Ok(1)).await, (3, 3.0, Ok(1))));
        assert!(matches!(attempt(backoff, 5, || Ok(1)).await, (6, 12.0, Ok(1))));
        assert!(matches!(attempt(backoff, 6, || Ok(1)).await, (6, 12.0, Err(Error::Generic { .. }))));
        assert!(matches!(attempt(Backoff { attempts: 0, ..backoff }, 0, || Ok(1)).await, (1, 0.0, Ok(1))));
    }

    #[tokio::test]
    async fn every_method_asks_the_inner_store() {
        suite::forwards(|inner| Arc::new(RetryStore::new(inner, Backoff::default()))).await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_final() {
        let (made, _, outcome) = attempt(Backoff::default(), 1, || Err(not_found())).await;
        assert_eq!(made, 2);
        assert!(matches!(outcome, Err(Error::NotFound { .. })));
        let range = || Err(Error::Generic { store: "S3", source: "status code: 416 Range Not Satisfiable: ".into() });
        let (made, waited, _) = attempt(Backoff::default(), 0, range).await;
        assert_eq!((made, waited), (1, 0.0));
    }
}
