//! Buckets that fail, refuse, and hold something else than a state, or a late one.

use std::cell::Cell;
use std::fmt;
use std::future::{Ready, ready};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::throttle::{ThrottleConfig, ThrottledStore};
use object_store::{
    CopyOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use super::*;
use crate::chain::ChainSettings;
use crate::transport::retry::{Backoff, RetryStore};

const PEER: Hotkey = Hotkey([1; 32]);

fn clock() -> Clock {
    Clock::starting(Duration::ZERO, Utc::now(), &ChainSettings::default(), 10.0)
}

/// Looks for a state of a round for as long as a validator would.
async fn find(
    clock: &Clock,
    bucket: &Arc<dyn ObjectStore>,
    (round, most): (u64, usize),
    committed: Digest,
    is_up: bool,
    digest_of: impl Fn(Bytes) -> Ready<Digest>,
) -> Option<Shown> {
    let (bucket, key) = (bucket.clone(), keys::state(&PEER, round));
    let closes = clock.audit_window(round).closes;
    clock.sleep_until(closes).await;
    let until = clock.now() + clock.round_length() / 8;
    Place { bucket, key, most, clock, closes }.find(committed, until, || ready(is_up), digest_of).await
}

/// What is found of a state that is as its peer says.
async fn found(clock: &Clock, bucket: &Arc<dyn ObjectStore>, at: (u64, usize)) -> Option<Shown> {
    find(clock, bucket, at, Digest::of(b""), true, |_| ready(Digest::of(b""))).await
}

/// What is odd about an object.
#[derive(Clone, Copy, Debug)]
enum Odd {
    /// As a store answers for what is encrypted with a key of its owner.
    Refused,
    Fails,
    Late,
}

#[derive(Debug)]
struct With {
    inner: InMemory,
    path: Path,
    odd: Odd,
}

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "With({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for With {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let error = |text: &str| Err(Error::Generic { store: "S3", source: text.into() });
        let mut found = self.inner.get_opts(at, options).await?;
        match self.odd {
            _ if *at != self.path => {}
            Odd::Refused => return error("Server returned non-2xx status code: 400 Bad Request: "),
            Odd::Fails => return error("Server returned non-2xx status code: 503 Service Unavailable: "),
            Odd::Late => found.meta.last_modified += chrono::TimeDelta::days(1),
        }
        Ok(found)
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_is_found_whole_or_not_at_all() {
    let (clock, memory) = (clock(), InMemory::new());
    let bucket: Arc<dyn ObjectStore> = Arc::new(memory.clone());
    let state = |bytes| Some(Shown::State(bytes));
    for (round, bytes) in [(1, &b"state"[..]), (2, b"")] {
        memory.put(&keys::state(&PEER, round), bytes.to_vec().into()).await.unwrap();
    }
    assert_eq!(found(&clock, &bucket, (0, 9)).await, Some(Shown::Nothing));
    assert_eq!(found(&clock, &bucket, (1, 9)).await, state(Bytes::from_static(b"state")));
    assert_eq!(found(&clock, &bucket, (1, 4)).await, Some(Shown::Nothing), "it is longer");
    assert_eq!(found(&clock, &bucket, (2, 9)).await, state(Bytes::new()));

    let (key, long) = (keys::state(&PEER, 3), Bytes::from(vec![7; PART + 5]));
    for (key, part) in parts_of(&key, &long) {
        memory.put(&key, part.into()).await.unwrap();
    }
    assert!(found(&clock, &bucket, (3, PART + 5)).await == state(long.clone()), "in two parts");
    assert!(found(&clock, &bucket, (3, 2 * PART + 5)).await == state(long));
    assert_eq!(found(&clock, &bucket, (3, PART + 4)).await, Some(Shown::Nothing), "it is longer");
    forget(&memory, &PEER, 3, PART + 9).await;
    for key in [key.clone(), keys::part(&key, 1)] {
        assert!(memory.head(&key).await.is_err());
    }
    let whole = Bytes::from(vec![8; PART]);
    memory.put(&key, whole.clone().into()).await.unwrap();
    for rest in [None, Some(Bytes::new())] {
        if let Some(rest) = rest {
            memory.put(&keys::part(&key, 1), rest.into()).await.unwrap();
        }
        assert!(found(&clock, &bucket, (3, PART)).await == state(whole.clone()), "a part and no more");
        assert!(found(&clock, &bucket, (3, PART + 9)).await == state(whole.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_read_is_told_from_another_state() {
    let clock = clock();
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (bytes, reads) = (Bytes::from_static(b"state"), Cell::new(0_u8));
    bucket.put(&keys::state(&PEER, 1), bytes.clone().into()).await.unwrap();
    let committed = Digest::of(&bytes);
    let damaged = |by: fn(u8) -> u8| {
        let reads = &reads;
        reads.set(0);
        move |_| {
            reads.set(reads.get() + 1);
            ready(Digest::of(if by(reads.get()) == 0 { b"state" } else { &[0] }))
        }
    };
    let twice = find(&clock, &bucket, (1, 9), committed, true, damaged(|read| 2 - read)).await;
    assert_eq!((twice, reads.get()), (Some(Shown::State(bytes)), 2), "the first read was damaged");
    let never = find(&clock, &bucket, (1, 9), committed, true, damaged(|_| 1)).await;
    assert_eq!((never, reads.get()), (Some(Shown::Nothing), 2));
    // There is time for one read alone, as of a large state.
    let wait = ThrottleConfig { wait_get_per_call: clock.round_length() / 10, ..Default::default() };
    let memory = InMemory::new();
    memory.put(&keys::state(&PEER, 1), Bytes::from_static(b"garbage").into()).await.unwrap();
    let slow: Arc<dyn ObjectStore> = Arc::new(ThrottledStore::new(memory, wait));
    let once = find(&clock, &slow, (1, 9), committed, true, |bytes| ready(Digest::of(&bytes))).await;
    assert_eq!(once, Some(Shown::Nothing), "nobody gains by a state that takes long to read");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_fails_is_told_from_an_object_that_is_refused() {
    let (clock, inner) = (clock(), InMemory::new());
    let (key, long) = (keys::state(&PEER, 1), Bytes::from(vec![7; PART + 5]));
    for (key, part) in parts_of(&key, &long) {
        inner.put(&key, part.into()).await.unwrap();
    }
    let committed = Digest::of(&long);
    let with = async |path: &Path, odd, is_up| {
        let store = With { inner: inner.clone(), path: path.clone(), odd };
        // As every node reads.
        let bucket: Arc<dyn ObjectStore> = Arc::new(RetryStore::new(Arc::new(store), Backoff::default()));
        find(&clock, &bucket, (1, PART + 5), committed, is_up, |_| ready(committed)).await
    };
    for path in [&key, &keys::part(&key, 1)] {
        assert_eq!(with(path, Odd::Refused, true).await, Some(Shown::Nothing), "{path}");
        assert_eq!(with(path, Odd::Refused, false).await, None, "the store refuses everything");
        assert_eq!(with(path, Odd::Fails, true).await, None, "it may be the way there");
        assert_eq!(with(path, Odd::Late, true).await, Some(Shown::Nothing), "{path}");
    }
    assert!(with(&keys::part(&key, 2), Odd::Late, true).await == Some(Shown::State(long)), "there is no third part");

    let hour = ThrottleConfig { wait_get_per_call: Duration::from_secs(3600), ..Default::default() };
    let slow: Arc<dyn ObjectStore> = Arc::new(ThrottledStore::new(inner, hour));
    let began = clock.now();
    assert_eq!(found(&clock, &slow, (1, PART + 5)).await, None);
    assert!(clock.now() - began <= clock.round_length() * 3, "{:?}", clock.now());
}
