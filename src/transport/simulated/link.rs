//! A node's link to the bucket: an `ObjectStore` whose operations take time and sometimes fail.
//!
//! A request takes one latency to reach the store, which acts on arrival, and the answer takes another. Bodies pass
//! through the node's uplink or downlink, each a first-in, first-out queue at the link's bandwidth:
//!
//! ```text
//! put   wait for the uplink, send, latency | the object is stored and stamped | latency
//! get   latency | the object is looked up  | wait for the downlink, receive, latency
//! ```
//!
//! A lost request, and a put where the node may not write, fail after one latency and change nothing. A `put` that is
//! dropped before its object arrives stores nothing, but keeps its place in the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result, coalesce_ranges,
};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::SimBucket;

/// How a node reaches the bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// In each direction, in milliseconds.
    pub latency_ms: f64,
    /// In each direction, in megabits per second.
    pub bandwidth_mbps: f64,
    /// Fraction of requests that are lost.
    pub loss: f64,
}

impl Default for Link {
    fn default() -> Self {
        Self { latency_ms: 50.0, bandwidth_mbps: 100.0, loss: 0.0 }
    }
}

/// Configuration of a [`SimLink`].
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Seed of the run.
    pub seed: u64,
    /// The node's number, unique among links; the draws of losses are keyed by it.
    pub node: u64,
    /// Latency, bandwidth and losses.
    pub link: Link,
    /// The node may write and delete below these paths only.
    pub writes: Vec<Path>,
    /// Length of the windows by which traffic is counted: a round.
    pub window: Duration,
}

/// A node's link to the simulated bucket. Clones are the same link.
#[derive(Clone)]
pub struct SimLink {
    bucket: SimBucket,
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    node: u64,
    writes: Vec<Path>,
    latency_us: u64,
    us_per_byte: f64,
    loss: f64,
    window_us: u64,
    state: Mutex<LinkState>,
}

/// The state of a link, saved and restored with a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkState {
    /// Virtual microsecond at which the uplink and the downlink finish all that is queued.
    uplink_free_us: u64,
    downlink_free_us: u64,
    traffic: BTreeMap<u64, Traffic>,
}

/// Bytes of bodies that passed through a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub up: u64,
    pub down: u64,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Put,
    Get,
    List,
    Delete,
}

#[derive(Clone, Copy)]
enum Direction {
    Up,
    Down,
}

impl SimLink {
    /// A link to `bucket` with empty queues.
    pub fn new(bucket: SimBucket, options: LinkOptions) -> Self {
        let inner = Inner {
            seed: options.seed,
            node: options.node,
            writes: options.writes,
            latency_us: (options.link.latency_ms * 1e3).round() as u64,
            // A megabit per second is a bit per microsecond.
            us_per_byte: 8.0 / options.link.bandwidth_mbps,
            loss: options.link.loss,
            window_us: (options.window.as_micros() as u64).max(1),
            state: Mutex::default(),
        };
        Self { bucket, inner: Arc::new(inner) }
    }

    /// Bytes through the link in a window, counted from the world's start. A transfer counts in the window in which it
    /// ends.
    pub fn traffic(&self, window: u64) -> Traffic {
        self.state_mut().traffic.get(&window).copied().unwrap_or_default()
    }

    /// Drops the counts of windows before this one.
    pub fn forget_traffic_before(&self, window: u64) {
        let mut state = self.state_mut();
        state.traffic = state.traffic.split_off(&window);
    }

    /// The state of the link. Operations in progress are not part of it: save it while the node waits for none.
    pub fn state(&self) -> LinkState {
        self.state_mut().clone()
    }

    /// Continues from a saved state.
    pub fn restore(&self, state: LinkState) {
        *self.state_mut() = state;
    }

    fn state_mut(&self) -> MutexGuard<'_, LinkState> {
        self.inner.state.lock().expect("no code panics while it holds a link's state")
    }

    /// Sends a request and waits until it reaches the store.
    async fn request(&self, operation: Operation, location: &Path) -> Result<()> {
        let sent_us = self.bucket.clock().now_us();
        self.bucket.clock().sleep_until_us(sent_us.saturating_add(self.inner.latency_us)).await;
        if self.is_lost(operation, location, sent_us / 1000) { Err(lost()) } else { Ok(()) }
    }

    /// Waits until an answer without a body, sent now, reaches the node.
    async fn answer(&self) {
        self.answer_after(self.bucket.clock().now_us()).await;
    }

    /// Waits until an answer sent at `sent_us` reaches the node.
    async fn answer_after(&self, sent_us: u64) {
        self.bucket.clock().sleep_until_us(sent_us.saturating_add(self.inner.latency_us)).await;
    }

    /// Waits for the answer to a write until the next millisecond at least, so that the node then sees its own write.
    async fn answer_to_write(&self) {
        let now_us = self.bucket.clock().now_us();
        self.bucket.clock().sleep_until_us(now_us.saturating_add(self.inner.latency_us.max(1000))).await;
    }

    /// Queues this many bytes on the uplink or downlink. Returns the virtual microsecond at which they are through.
    fn transfer(&self, direction: Direction, bytes: u64) -> u64 {
        let mut state = self.state_mut();
        let free_us = match direction {
            Direction::Up => &mut state.uplink_free_us,
            Direction::Down => &mut state.downlink_free_us,
        };
        let start_us = self.bucket.clock().now_us().max(*free_us);
        let end_us = start_us.saturating_add((bytes as f64 * self.inner.us_per_byte).ceil() as u64);
        *free_us = end_us;
        let traffic = state.traffic.entry(end_us / self.inner.window_us).or_default();
        match direction {
            Direction::Up => traffic.up += bytes,
            Direction::Down => traffic.down += bytes,
        }
        end_us
    }

    /// Whether a request sent in this millisecond is lost. The draw is keyed by node, operation, path and time, so that
    /// no other operation changes it.
    fn is_lost(&self, operation: Operation, location: &Path, sent_ms: u64) -> bool {
        if self.inner.loss <= 0.0 {
            return false;
        }
        let mut key = blake3::Hasher::new();
        key.update(&[operation as u8]).update(&sent_ms.to_le_bytes()).update(location.as_ref().as_bytes());
        let mut request = [0; 8];
        key.finalize_xof().fill(&mut request);
        let draw = crate::random::rng(self.inner.seed, "link", self.inner.node, u64::from_le_bytes(request)).next_u64();
        // 53 bits give a uniform number in [0, 1).
        self.inner.loss > (draw >> 11) as f64 / (1u64 << 53) as f64
    }

    fn check_permission(&self, location: &Path) -> Result<()> {
        if self.inner.writes.iter().any(|prefix| location.prefix_matches(prefix)) {
            return Ok(());
        }
        Err(Error::PermissionDenied {
            path: location.to_string(),
            source: format!("this node may only write below {}", self.may_write()).into(),
        })
    }

    fn may_write(&self) -> String {
        self.inner.writes.iter().map(Path::to_string).collect::<Vec<_>>().join(" and ")
    }

    async fn delete_one(&self, location: Path) -> Result<Path> {
        self.request(Operation::Delete, &location).await?;
        let deleted = self.check_permission(&location).map(|()| self.bucket.delete(&location));
        self.answer_to_write().await;
        deleted.map(|()| location)
    }

    /// The objects below a prefix, or only those after `offset`.
    async fn list_all(&self, prefix: &Path, offset: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        self.request(Operation::List, prefix).await?;
        let mut objects = self.bucket.list(prefix);
        objects.retain(|meta| offset.is_none_or(|offset| meta.location > *offset));
        self.answer().await;
        Ok(objects)
    }

    fn stream_all(&self, prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (link, prefix, offset) = (self.clone(), prefix.cloned().unwrap_or_default(), offset.cloned());
        stream::once(async move { link.list_all(&prefix, offset.as_ref()).await })
            .map_ok(|objects| stream::iter(objects.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    /// The store's answer to a get: the object, and the requested part of its body.
    fn look_up(&self, location: &Path, options: &GetOptions) -> Result<(GetResult, u64)> {
        let (meta, body) = self
            .bucket
            .read(location)
            .ok_or_else(|| Error::NotFound { path: location.to_string(), source: "nothing is stored there".into() })?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            None => 0..meta.size,
            Some(range) => range
                .as_range(meta.size)
                .map_err(|source| Error::Precondition { path: location.to_string(), source: source.into() })?,
        };
        let part = if options.head { Bytes::new() } else { body.slice(range.start as usize..range.end as usize) };
        let size = part.len() as u64;
        let payload = GetResultPayload::Stream(stream::once(async { Ok(part) }).boxed());
        let result = GetResult { payload, meta, range, attributes: Default::default(), extensions: Default::default() };
        Ok((result, size))
    }
}

// Every method is written out: the cost of a default method on the link would depend on the crate.
#[deny(clippy::missing_trait_methods)]
#[async_trait::async_trait]
impl ObjectStore for SimLink {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let sent_ms = self.bucket.clock().now_ms();
        let refused = self.check_permission(location).err();
        let lost = self.is_lost(Operation::Put, location, sent_ms).then(lost);
        if let Some(error) = refused.or(lost) {
            self.answer().await;
            return Err(error);
        }
        let body = Bytes::from(payload);
        let through_us = self.transfer(Direction::Up, body.len() as u64);
        self.answer_after(through_us).await;
        let stored = self.bucket.write(location, body, &options.mode);
        self.answer_to_write().await;
        stored
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.request(Operation::Get, location).await?;
        match self.look_up(location, &options) {
            Ok((result, size)) if size > 0 => {
                let through_us = self.transfer(Direction::Down, size);
                self.answer_after(through_us).await;
                Ok(result)
            }
            answer => {
                self.answer().await;
                answer.map(|(result, _)| result)
            }
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(ranges, |range| self.get_range(location, range), OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let link = self.clone();
        locations
            .then(move |location| {
                let link = link.clone();
                async move { link.delete_one(location?).await }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.stream_all(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.stream_all(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let (mut objects, mut common_prefixes) = (Vec::new(), BTreeSet::new());
        for object in self.list_all(&prefix, None).await? {
            let parts = object.location.prefix_match(&prefix).into_iter().flatten().take(2).collect::<Vec<_>>();
            match parts.as_slice() {
                [folder, _] => drop(common_prefixes.insert(prefix.clone().join(folder.clone()))),
                _ => objects.push(object),
            }
        }
        Ok(ListResult {
            objects,
            common_prefixes: common_prefixes.into_iter().collect(),
            extensions: Default::default(),
        })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(not_implemented("put_multipart"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_implemented("copy"))
    }

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        Err(not_implemented("rename"))
    }
}

fn lost() -> Error {
    Error::Generic { store: "SimLink", source: "the request was lost".into() }
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.into(), implementer: "SimLink".into() }
}

impl fmt::Display for SimLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimLink({})", self.may_write())
    }
}

impl fmt::Debug for SimLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
