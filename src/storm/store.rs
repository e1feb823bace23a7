//! A node's way to the bucket in a storm: its link, with the faults of the moment.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result, coalesce_ranges,
};
use tokio::sync::watch;

use super::weather::{Fate, Harm, Weather};
use crate::transport::keys;
use crate::transport::simulated::{SimBucket, SimClock, SimLink};

/// A lost request is noticed after this.
const LOST: Duration = Duration::from_secs(3);
/// More requests of a node without any time between them mean that it turns in a circle.
const MOST_AT_ONCE: u64 = 100_000;

/// Objects that a node has put where records lie: their stamps, where, and what. One may be replaced before anybody looks.
pub type Diary = Arc<Mutex<Vec<(DateTime<Utc>, Path, Bytes)>>>;

/// One life of a node: as long as it lives, its requests reach the link.
#[derive(Clone)]
pub struct StormStore {
    link: SimLink,
    clock: SimClock,
    weather: Arc<Weather>,
    node: usize,
    /// Tells that this life is over, and ends it.
    life: watch::Sender<bool>,
    /// The last millisecond with a request, and how many it has had.
    at_once: Arc<(AtomicU64, AtomicU64)>,
    /// Kept of a node that is not honest.
    diary: Option<Diary>,
}

impl StormStore {
    /// The way of a node that lives until `life` says true.
    pub fn new(link: SimLink, clock: SimClock, weather: Arc<Weather>, node: usize, life: watch::Sender<bool>) -> Self {
        Self { link, clock, weather, node, life, at_once: Arc::default(), diary: None }
    }

    /// This life, which leaves its records in a diary.
    pub fn with_diary(self, diary: Diary) -> Self {
        Self { diary: Some(diary), ..self }
    }

    async fn put(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bytes = Bytes::from(payload.clone());
        let put = self.link.put_opts(location, payload, options).await?;
        if let Some(diary) = self.diary.as_ref().filter(|_| location.prefix_matches(&keys::records())) {
            let stamp = SimBucket::stamp_of(&put).expect("an object of the simulated bucket");
            diary.lock().expect("no panic while held").push((stamp, location.clone(), bytes));
        }
        Ok(put)
    }

    /// Sends a request through the storm. What a killed node has under way never ends.
    async fn send<T, F: Future<Output = Result<T>>>(
        &self,
        request: &'static str,
        path: &Path,
        send: impl FnOnce() -> F,
    ) -> Result<T> {
        let over = over(self.life.subscribe());
        let through = self.through(request, path, send);
        tokio::select! {
            biased;
            () = over => std::future::pending().await,
            answer = through => answer,
        }
    }

    async fn through<T, F: Future<Output = Result<T>>>(
        &self,
        request: &'static str,
        path: &Path,
        send: impl FnOnce() -> F,
    ) -> Result<T> {
        let ms = self.clock.now_ms();
        self.count(ms);
        let dies = self.weather.dies_at(self.node, request, ms);
        if dies == Some(false) {
            self.die().await;
        }
        let delay = self.weather.delay_ms(self.node, ms);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let fate = self.weather.fate(self.node, request, path, ms);
        let answer = match fate {
            Fate::Passes => send().await,
            Fate::Refused { has_effect } | Fate::Lost { has_effect } => {
                if has_effect {
                    let _ = send().await;
                }
                if matches!(fate, Fate::Lost { .. }) {
                    tokio::time::sleep(LOST).await;
                }
                Err(Error::Generic { store: "storm", source: "the request failed".into() })
            }
        };
        if dies == Some(true) {
            self.die().await;
        }
        answer
    }

    /// Ends the life of this node.
    async fn die(&self) {
        self.life.send_replace(true);
        std::future::pending::<()>().await;
    }

    fn count(&self, ms: u64) {
        let (last, requests) = &*self.at_once;
        if last.swap(ms, Ordering::Relaxed) != ms {
            requests.store(0, Ordering::Relaxed);
        }
        let requests = requests.fetch_add(1, Ordering::Relaxed);
        assert!(requests < MOST_AT_ONCE, "node {} sends {requests} requests within a millisecond", self.node);
    }

    /// Whether this node's reads see an object.
    fn sees(&self, meta: &ObjectMeta) -> bool {
        let now = self.clock.now_ms();
        let lag = self.weather.lag_ms(self.node, now);
        let sees = lag == 0 || SimClock::ms_of(meta.last_modified) < now.saturating_sub(lag) as i64;
        if !sees {
            self.weather.hides(self.node, now);
        }
        sees
    }

    async fn get(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let found = self.send(if is_head { "head" } else { "get" }, path, || self.link.get_opts(path, options)).await?;
        if !self.sees(&found.meta) {
            return Err(Error::NotFound { path: path.to_string(), source: "not seen yet".into() });
        }
        let harm = self.weather.harm(self.node, path, self.clock.now_ms()).filter(|_| !is_head);
        let Some(harm) = harm else { return Ok(found) };
        let GetResult { payload, meta, range, attributes, extensions } = found;
        let whole = GetResult {
            payload,
            meta: meta.clone(),
            range: range.clone(),
            attributes: attributes.clone(),
            extensions: Default::default(),
        };
        let parts = harmed(whole.bytes().await?, harm);
        let payload = GetResultPayload::Stream(stream::iter(parts).boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    /// A whole listing, as this node sees it.
    fn list_all(
        &self,
        prefix: Option<&Path>,
        list: impl FnOnce(&SimLink) -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        let all = async move {
            let listed = || list(&store.link).try_collect::<Vec<_>>();
            let mut objects = store.send("list", &prefix, listed).await?;
            objects.retain(|meta| store.sees(meta));
            Ok::<_, Error>(objects)
        };
        stream::once(all).map_ok(|objects| stream::iter(objects.into_iter().map(Ok))).try_flatten().boxed()
    }
}

/// What a node with a planted defect puts.
#[cfg(test)]
fn planted(location: &Path, payload: PutPayload, options: PutOptions) -> (PutPayload, PutOptions) {
    use crate::planted::{Defect, is};
    let path = location.as_ref();
    if is(Defect::ReplacedRecord) && path.ends_with("/record") {
        return (payload, PutOptions { mode: object_store::PutMode::Overwrite, ..options });
    }
    if is(Defect::HalfCheckpoint) && path.contains("/checkpoints/") {
        let bytes = Bytes::from(payload);
        return (bytes.slice(..bytes.len() / 2).into(), options);
    }
    (payload, options)
}

/// Waits until a life is over.
pub async fn over(mut life: watch::Receiver<bool>) {
    // Without its sender nobody is left who could end it.
    drop(life.wait_for(|is_over| *is_over).await);
}

/// A body in parts, as it arrives.
fn harmed(body: Bytes, harm: Harm) -> Vec<Result<Bytes>> {
    let at = |share: f64| (share * body.len() as f64) as usize;
    match harm {
        _ if body.is_empty() => vec![Ok(body)],
        Harm::Flip(share) => {
            let mut bytes = body.to_vec();
            bytes[at(share)] ^= 1 << (at(share) % 8);
            vec![Ok(bytes.into())]
        }
        Harm::Cut(share) => vec![Ok(body.slice(..at(share)))],
        Harm::BreakOff(share) => {
            let error = Error::Generic { store: "storm", source: "the body broke off".into() };
            vec![Ok(body.slice(..at(share))), Err(error)]
        }
    }
}

// Every method is forwarded explicitly: a default one would go around the storm.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for StormStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        #[cfg(test)]
        let (payload, options) = planted(location, payload, options);
        self.send("put", location, || self.put(location, payload, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.get(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(ranges, |range| self.get_range(location, range), OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                #[cfg(test)]
                if crate::planted::is(crate::planted::Defect::NeverDeletes) {
                    return Ok(location);
                }
                store.send("delete", &location, || store.link.delete(&location)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let below = prefix.cloned();
        self.list_all(prefix, move |link| link.list(below.as_ref()))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (below, offset) = (prefix.cloned(), offset.clone());
        self.list_all(prefix, move |link| link.list_with_offset(below.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let below = prefix.cloned().unwrap_or_default();
        let mut listed = self.send("list", &below, || self.link.list_with_delimiter(prefix)).await?;
        listed.objects.retain(|meta| self.sees(meta));
        Ok(listed)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.link.put_multipart_opts(location, options).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.link.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.link.rename_opts(from, to, options).await
    }
}

impl fmt::Display for StormStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StormStore({})", self.link)
    }
}

impl fmt::Debug for StormStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
