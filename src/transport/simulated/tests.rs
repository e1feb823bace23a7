//! Tests of the simulated bucket and links: time, bandwidth, losses.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::stream::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use super::*;
use crate::bucket::suite;
use crate::transport::retry::{Backoff, RetryStore};
use crate::transport::simulated::Link;

/// 100 ms of latency, and a millisecond per 1000 bytes.
fn plain() -> Link {
    Link { latency_ms: 100.0, bandwidth_mbps: 8.0, loss: 0.0 }
}

fn link(bucket: &SimBucket, node: u64, link: Link) -> SimLink {
    let prefix = Path::from(format!("nodes/{node}"));
    SimLink::new(
        bucket.clone(),
        LinkOptions { seed: 1, node, link, writes: vec![prefix], window: Duration::from_secs(10) },
    )
}

fn world() -> (SimBucket, SimLink, SimLink) {
    let bucket = SimBucket::new(SimClock::showing(0));
    (bucket.clone(), link(&bucket, 0, plain()), link(&bucket, 1, plain()))
}

fn path(text: &str) -> Path {
    Path::from(text)
}

fn body(len: usize) -> Bytes {
    vec![7; len].into()
}

async fn body_of(store: &dyn ObjectStore, location: &Path) -> Option<Bytes> {
    match store.get(location).await {
        Ok(result) => Some(result.bytes().await.unwrap()),
        Err(Error::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn operations_take_time_and_objects_are_stamped_on_arrival() {
    let (bucket, node, _) = world();
    let file = path("nodes/0/file");
    node.put(&file, body(5000).into()).await.unwrap();
    assert_eq!(bucket.clock().now_ms(), 205, "5 to send, 100 to the store, 100 back");
    let got = node.get(&file).await.unwrap();
    assert_eq!(bucket.clock().now_ms(), 410);
    assert_eq!(got.meta.last_modified, SimClock::stamp(105));
    assert_eq!(got.meta.last_modified.to_string(), "2025-01-01 00:00:00.105 UTC");
    assert_eq!(SimClock::ms_of(got.meta.last_modified), 105);
    assert_eq!(got.bytes().await.unwrap(), body(5000));
    let meta = node.head(&file).await.unwrap();
    assert_eq!((bucket.clock().now_ms(), meta.size), (610, 5000), "a head moves no body");
    assert!(matches!(node.get(&path("nodes/0/none")).await, Err(Error::NotFound { .. })));
    assert_eq!(bucket.clock().now_ms(), 810);
}

#[tokio::test(start_paused = true)]
async fn transfers_of_a_node_queue_and_those_of_two_nodes_do_not() {
    let (bucket, node, other) = world();
    let put = |node: SimLink, name: &'static str| async move {
        node.put(&path(name), body(300_000).into()).await.unwrap();
        node.head(&path(name)).await.unwrap().last_modified
    };
    let stamps =
        join_all([put(node.clone(), "nodes/0/a"), put(node.clone(), "nodes/0/b"), put(other, "nodes/1/c")]).await;
    assert_eq!(stamps, [400, 700, 400].map(SimClock::stamp));

    let start = bucket.clock().now_ms();
    let get = |name| {
        let (bucket, node) = (bucket.clone(), node.clone());
        async move {
            node.get(&path(name)).await.unwrap();
            bucket.clock().now_ms() - start
        }
    };
    assert_eq!(join_all([get("nodes/0/a"), get("nodes/1/c"), get("nodes/0/b")]).await, [500, 800, 1100]);
}

#[tokio::test(start_paused = true)]
async fn a_read_sees_writes_stamped_before_its_millisecond_in_any_order_of_tasks() {
    for reader_first in [false, true] {
        let (bucket, writer, reader) = world();
        let file = path("nodes/0/file");
        writer.put(&file, "old".into()).await.unwrap();
        let read = |after: u64| {
            let (bucket, reader, file) = (bucket.clone(), reader.clone(), file.clone());
            let due = bucket.clock().now_ms() + after;
            async move {
                bucket.clock().sleep_until_ms(due).await;
                body_of(&reader, &file).await.map(|body| body.len())
            }
        };
        // The write takes 1 ms for its body and 100 ms of latency, so it arrives with the first read. The deletion has
        // no body.
        let write = async { writer.put(&file, body(1000).into()).await.unwrap() };
        let (seen, later) = join_with(reader_first, write, read(1), read(2)).await;
        assert_eq!((seen, later), (Some(3), Some(1000)));
        let delete = async { writer.delete(&file).await.unwrap() };
        let (seen, later) = join_with(reader_first, delete, read(0), read(1)).await;
        assert_eq!((seen, later), (Some(1000), None));
    }
}

/// Runs a write and two reads at once, in the same millisecond, with the reads polled either before or after the write.
async fn join_with<W, R>(
    reader_first: bool,
    write: impl Future<Output = W>,
    read: impl Future<Output = R>,
    later: impl Future<Output = R>,
) -> (R, R) {
    if reader_first {
        let (seen, later, _) = tokio::join!(biased; read, later, write);
        (seen, later)
    } else {
        let (_, seen, later) = tokio::join!(biased; write, read, later);
        (seen, later)
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_sees_what_it_wrote_even_without_latency() {
    let bucket = SimBucket::new(SimClock::showing(0));
    let node = link(&bucket, 0, Link { latency_ms: 0.0, bandwidth_mbps: 1e9, loss: 0.0 });
    let file = path("nodes/0/file");
    for text in ["a", "b"] {
        node.put(&file, text.into()).await.unwrap();
        assert_eq!(body_of(&node, &file).await.unwrap(), text);
    }
    node.delete(&file).await.unwrap();
    assert_eq!(body_of(&node, &file).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_node_writes_only_below_its_prefix_and_reads_everywhere() {
    let (_, node, other) = world();
    node.put(&path("nodes/0/file"), "mine".into()).await.unwrap();
    for foreign in ["nodes/0/file", "nodes/10/file", "file"] {
        let denied = other.put(&path(foreign), "x".into()).await;
        assert!(matches!(denied, Err(Error::PermissionDenied { .. })), "{foreign}");
        let denied = other.delete(&path(foreign)).await;
        assert!(matches!(denied, Err(Error::PermissionDenied { .. })), "{foreign}");
    }
    assert_eq!(body_of(&other, &path("nodes/0/file")).await.unwrap(), "mine");
}

#[tokio::test(start_paused = true)]
async fn only_the_bytes_asked_for_are_transferred() {
    let (bucket, node, hostile) = world();
    let huge = path("nodes/1/huge");
    hostile.put(&huge, body(50_000_000).into()).await.unwrap();
    let start = bucket.clock().now_ms();
    let options = GetOptions { range: Some(GetRange::Bounded(0..1001)), ..Default::default() };
    let got = node.get_opts(&huge, options.clone()).await.unwrap();
    assert_eq!((got.meta.size, got.range.clone()), (50_000_000, 0..1001));
    assert_eq!(got.bytes().await.unwrap().len(), 1001);
    assert_eq!(bucket.clock().now_ms() - start, 100 + 2 + 100);
    assert_eq!(node.traffic(start / 10_000), Traffic { up: 0, down: 1001 });

    hostile.put(&huge, body(0).into()).await.unwrap();
    assert!(matches!(node.get_opts(&huge, options).await, Err(Error::Precondition { .. })), "final, not to be retried");
}

#[tokio::test(start_paused = true)]
async fn traffic_counts_in_the_window_in_which_it_ends() {
    let (_, node, _) = world();
    let file = path("nodes/0/file");
    node.put(&file, body(9_000_000).into()).await.unwrap();
    node.put(&file, body(2_000_000).into()).await.unwrap();
    node.get(&file).await.unwrap();
    assert_eq!(node.traffic(0), Traffic { up: 9_000_000, down: 0 });
    assert_eq!(node.traffic(1), Traffic { up: 2_000_000, down: 2_000_000 });
    node.forget_traffic_before(1);
    assert_eq!(node.traffic(0), Traffic::default());
    assert_eq!(node.traffic(1).up, 2_000_000);
}

#[tokio::test(start_paused = true)]
async fn requests_are_lost_at_the_links_rate_and_the_same_ones_each_time() {
    async fn losses(seed: u64, node: u64, start_ms: u64) -> Vec<bool> {
        let bucket = SimBucket::new(SimClock::showing(start_ms));
        let options = LinkOptions {
            seed,
            node,
            link: Link { loss: 0.2, ..plain() },
            writes: vec![path("nodes/0")],
            window: Duration::from_secs(10),
        };
        let link = SimLink::new(bucket, options);
        join_all((0..5000).map(|i| {
            let link = link.clone();
            async move { matches!(link.get(&path(&format!("{i}"))).await, Err(Error::Generic { .. })) }
        }))
        .await
    }
    let lost = losses(1, 0, 0).await;
    let rate = lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
    assert!((0.18..0.22).contains(&rate), "{rate}, 3.5 standard deviations off");
    assert_eq!(lost, losses(1, 0, 0).await);
    for other in [losses(2, 0, 0).await, losses(1, 1, 0).await, losses(1, 0, 1).await] {
        assert_ne!(lost, other);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_fails_after_a_latency_and_a_retrying_store_hides_it() {
    let bucket = SimBucket::new(SimClock::showing(0));
    let dead = link(&bucket, 0, Link { loss: 1.0, ..plain() });
    let file = path("nodes/0/file");
    assert!(matches!(dead.put(&file, body(5000).into()).await, Err(Error::Generic { .. })));
    assert_eq!(bucket.clock().now_ms(), 100);
    assert_eq!(dead.traffic(0), Traffic::default());

    let lossy = RetryStore::new(Arc::new(link(&bucket, 0, Link { loss: 0.3, ..plain() })), Backoff::default());
    for i in 0..50 {
        let file = path(&format!("nodes/0/{i}"));
        lossy.put(&file, "body".into()).await.unwrap();
        assert_eq!(body_of(&lossy, &file).await.unwrap(), "body");
    }
    let listed: Vec<_> = lossy.list(Some(&path("nodes/0"))).try_collect().await.unwrap();
    assert_eq!(listed.len(), 50);
    for object in listed {
        lossy.delete(&object.location).await.unwrap();
    }
    assert_eq!(lossy.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn conditional_puts_see_every_earlier_write() {
    let (_, node, _) = world();
    let file = path("nodes/0/file");
    let put = |text: &'static str, mode| node.put_opts(&file, text.into(), PutOptions { mode, ..Default::default() });
    // Both arrive in the same millisecond; the first is polled first.
    let (first, second) = tokio::join!(biased; put("a", PutMode::Create), put("b", PutMode::Create));
    assert!(matches!(second, Err(Error::AlreadyExists { .. })));
    let version = |e_tag| PutMode::Update(UpdateVersion { e_tag, version: None });
    let stale = first.unwrap().e_tag;
    // Two writes in one millisecond get two tags.
    let (one, two) = tokio::join!(biased; put("c", PutMode::Overwrite), put("d", PutMode::Overwrite));
    let (one, two) = (one.unwrap().e_tag, two.unwrap().e_tag);
    assert_ne!(one, two);
    for wrong in [stale, one, None] {
        assert!(matches!(put("e", version(wrong)).await, Err(Error::Precondition { .. })));
    }
    put("e", version(two)).await.unwrap();
    assert_eq!(body_of(&node, &file).await.unwrap(), "e");
}

#[tokio::test(start_paused = true)]
async fn links_pass_the_suite() {
    for (seed, loss) in [(0, 0.0), (1, 0.2), (2, 0.2)] {
        let bucket = SimBucket::new(SimClock::showing(0));
        let window = Duration::from_secs(10);
        let options = LinkOptions { seed, node: 0, link: Link { loss, ..plain() }, writes: vec![path("")], window };
        let link: Arc<dyn ObjectStore> = Arc::new(SimLink::new(bucket, options));
        let backoff = Backoff { attempts: 20, ..Backoff::default() };
        suite::objects(if loss > 0.0 { Arc::new(RetryStore::new(link, backoff)) } else { link }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn listings_are_in_order_and_keep_to_whole_names() {
    let (_, node, other) = world();
    for name in ["nodes/0/rounds/2/upload", "nodes/0/rounds/10/upload", "nodes/0/roundsman", "nodes/0/rounds/1"] {
        node.put(&path(name), "x".into()).await.unwrap();
    }
    let names = |objects: Vec<object_store::ObjectMeta>| {
        objects.into_iter().map(|object| object.location.to_string()).collect::<Vec<_>>()
    };
    let rounds = path("nodes/0/rounds");
    let all: Vec<_> = other.list(Some(&rounds)).try_collect().await.unwrap();
    assert_eq!(names(all), ["nodes/0/rounds/1", "nodes/0/rounds/10/upload", "nodes/0/rounds/2/upload"]);
    let level = other.list_with_delimiter(Some(&rounds)).await.unwrap();
    assert_eq!(names(level.objects), ["nodes/0/rounds/1"]);
    assert_eq!(level.common_prefixes, [path("nodes/0/rounds/10"), path("nodes/0/rounds/2")]);
}

/// What a node with a lossy link sees and when, in a world that has run for a while.
async fn go_on(node: &SimLink, bucket: &SimBucket) -> Vec<(u64, Result<u64, String>)> {
    let mut seen = Vec::new();
    for i in 0..40 {
        let file = path(&format!("nodes/0/{}", i % 10));
        let result = match i % 3 {
            0 => node.put(&file, body(100_000 + i).into()).await.map(|_| 0),
            1 => node.get(&file).await.map(|got| got.meta.size),
            _ => node.delete(&file).await.map(|()| 1),
        };
        seen.push((bucket.clock().now_ms(), result.map_err(|error| error.to_string())));
    }
    seen
}

#[test]
fn a_resumed_world_goes_on_as_if_it_had_not_stopped() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let lossy = Link { loss: 0.2, ..plain() };
    let (uninterrupted, saved) = runtime().block_on(async {
        let bucket = SimBucket::new(SimClock::showing(0));
        let node = link(&bucket, 0, lossy.clone());
        let _ = go_on(&node, &bucket).await;
        // Saved in the millisecond of a write, with a transfer in the uplink's queue that nobody awaits any more.
        let file = path("nodes/0/last");
        let abandoned = tokio::time::timeout(Duration::from_millis(1), node.put(&file, body(999_999).into()));
        assert!(abandoned.await.is_err());
        bucket.write(&file, body(3), &PutMode::Overwrite).unwrap();
        let state = (bucket.clock().now_ms(), bucket.export(), node.state());
        let saved = postcard::to_allocvec(&state).unwrap();
        (go_on(&node, &bucket).await, saved)
    });
    let resumed = runtime().block_on(async {
        let (now_ms, bucket, state): (u64, BucketState, LinkState) = postcard::from_bytes(&saved).unwrap();
        let objects = bucket;
        let bucket = SimBucket::new(SimClock::showing(now_ms));
        bucket.import(&objects).unwrap();
        assert!(bucket.read(&path("nodes/0/last")).is_none(), "still of this millisecond");
        let node = link(&bucket, 0, lossy);
        node.restore(state.clone());
        let state = (now_ms, bucket.export(), node.state());
        assert_eq!(postcard::to_allocvec(&state).unwrap(), saved);
        go_on(&node, &bucket).await
    });
    assert_eq!(resumed, uninterrupted);
}
