//! The chain of a bucket: order of stamps, late calls, and stores that fail.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};
use tokio::time::Instant;

use super::read::failed;
use super::seen::FIRST_TRY;
use super::*;
use crate::Uid;
use crate::transport::call::{self, Weights};
use crate::transport::keys;
use crate::transport::retry::{Backoff, RetryStore};

fn validator() -> Identity {
    Identity::from_seed(1, "validator", 0)
}

fn chain_of(bucket: &Arc<dyn ObjectStore>, identity: Identity) -> BucketChain {
    let peer = Identity::from_seed(1, "peer of genesis", 0).hotkey();
    let genesis = Genesis { validators: vec![(validator().hotkey().0, 1000.0)], peers: vec![peer.0] };
    let settings = ChainSettings { slots: 4, block_seconds: 60.0, ..ChainSettings::default() };
    let clock = Clock::starting(Duration::ZERO, Utc::now(), &settings, 10.0);
    BucketChain::new(Digest::of(b"run"), Arc::new(identity), bucket.clone(), clock, settings, genesis).unwrap()
}

fn chain(bucket: &Arc<dyn ObjectStore>, index: u64) -> BucketChain {
    chain_of(bucket, Identity::from_seed(1, "peer", index))
}

async fn slot(chain: &BucketChain) -> Option<Uid> {
    tokio::time::advance(Duration::from_secs(60)).await;
    chain.state().await.uid_of(&chain.identity.hotkey().0)
}

#[tokio::test(start_paused = true)]
async fn who_registers_has_a_slot_in_the_next_block() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (first, second) = (chain(&bucket, 0), chain(&bucket, 1));
    first.submit(Call::Register).await;
    second.submit(Call::Register).await;
    assert_eq!((slot(&first).await, slot(&second).await), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn garbage_below_a_slot_keeps_nobody_out() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for generation in [0, 1, 3, u32::MAX] {
        bucket.put(&keys::slot(1, generation), "garbage".into()).await.unwrap();
    }
    bucket.put(&keys::slot(2, 0), "".into()).await.unwrap();
    let (first, second) = (chain(&bucket, 0), chain(&bucket, 1));
    first.submit(Call::Register).await;
    second.submit(Call::Register).await;
    assert!(bucket.head(&keys::slot(1, 2)).await.is_ok(), "the first generation that is free");
    assert_eq!((slot(&first).await, slot(&second).await), (Some(1), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_registration_that_cannot_be_read() {
    let memory = Arc::new(InMemory::new());
    let plain: Arc<dyn ObjectStore> = memory.clone();
    let (hidden, seen) = (chain(&plain, 0), chain(&plain, 1));
    hidden.submit(Call::Register).await;
    seen.submit(Call::Register).await;
    let unreadable = Arc::new(Unreadable { inner: memory, path: keys::slot(1, 0), heals: AtomicBool::new(false) });
    let bucket: Arc<dyn ObjectStore> = Arc::new(RetryStore::new(unreadable.clone(), Backoff::default()));
    let chain = chain(&bucket, 2);
    for block in 1..10 {
        tokio::time::advance(Duration::from_secs(60)).await;
        let asked = Instant::now();
        let state = chain.state().await;
        assert_eq!(
            (state.uid_of(&hidden.identity.hotkey().0), state.uid_of(&seen.identity.hotkey().0)),
            (None, Some(2))
        );
        let most = if block == 1 { FIRST_TRY } else { Duration::ZERO };
        assert!(asked.elapsed() <= most, "{:?} in block {block}", asked.elapsed());
    }
    unreadable.heals.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        chain.state().await;
    }
    assert_eq!(
        chain.state().await.uid_of(&hidden.identity.hotkey().0),
        Some(1),
        "it is seen as soon as it can be read"
    );
}

/// One validator sets weights several times in a block, and one node sees the later ones first.
#[tokio::test(start_paused = true)]
async fn calls_take_effect_in_the_order_of_their_stamps_whoever_saw_them_when() {
    let folder = tempfile::tempdir().unwrap();
    let bucket: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let (first, last) = (chain(&bucket, 0), chain(&bucket, 1));
    let genesis = std::time::SystemTime::now() + Duration::from_secs(1);
    let weigh = async |block: u64, weight: f64, after_ms: u64| {
        let key = keys::weights(&validator().hotkey(), block);
        let weights = Weights { run: Digest::of(b"run"), block, weights: vec![(0, weight)] };
        bucket.put(&key, call::encode_weights(&weights, &validator()).into()).await.unwrap();
        let file = std::fs::File::options().write(true).open(folder.path().join(key.as_ref())).unwrap();
        file.set_modified(genesis + Duration::from_millis(after_ms)).unwrap();
    };
    let posted = |state: &ChainState| state.validators[0].posted.clone().map(|posted| posted.weights);
    weigh(1, 1.0, 20).await;
    first.state().await;
    weigh(2, 2.0, 10).await;
    // Within the block, and after it.
    first.seen.lock().await.is_complete = false;
    first.state().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let states = (first.state().await, last.state().await);
    assert_eq!((posted(&states.0), posted(&states.1)), (Some(vec![(0, 1.0)]), Some(vec![(0, 1.0)])));
    assert_eq!(states.0, states.1);
    weigh(3, 3.0, 30).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    first.state().await;
    weigh(4, 4.0, 25).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let states = (first.state().await, last.state().await);
    assert_eq!((posted(&states.0), posted(&states.1)), (Some(vec![(0, 3.0)]), Some(vec![(0, 3.0)])));
    assert_eq!(states.0, states.1);
}

/// Names of calls do not come in the order of time.
#[tokio::test(start_paused = true)]
async fn a_call_counts_whatever_calls_were_seen_before_it() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (author, first, last) = (chain_of(&bucket, validator()), chain(&bucket, 0), chain(&bucket, 1));
    author.submit(Call::CommitWeights(Digest::of(b"weights"))).await;
    first.seen.lock().await.is_complete = false;
    first.state().await;
    // Its name sorts before that of the other call in this block.
    author.submit(Call::SetWeights(vec![(0, 1.0)])).await;
    // One that is named after a block of another day counts for nobody, whoever has listed what when.
    let far = Weights { run: Digest::of(b"run"), block: 3000, weights: vec![(0, 2.0)] };
    let key = keys::weights(&validator().hotkey(), far.block);
    bucket.put(&key, call::encode_weights(&far, &validator()).into()).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let states = (first.state().await, last.state().await);
    assert_eq!(states.0, states.1);
    assert_eq!(states.0.validators[0].posted.as_ref().unwrap().weights, [(0, 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn weights_that_others_have_read_stay() {
    let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let chain = chain_of(&bucket, validator());
    chain.submit(Call::SetWeights(vec![(0, 1.0)])).await;
    let key = keys::weights(&validator().hotkey(), 0);
    let posted = bucket.head(&key).await.unwrap();
    // The validator is started again in the same block, with other weights.
    chain.submit(Call::SetWeights(vec![(0, 2.0)])).await;
    assert_eq!(bucket.head(&key).await.unwrap(), posted);
}

/// A store that fails to return one object, as one encrypted with its author's key.
#[derive(Debug)]
struct Unreadable {
    inner: Arc<InMemory>,
    path: Path,
    heals: AtomicBool,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unreadable({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Unreadable {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        self.inner.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        if *at == self.path && !self.heals.load(Ordering::Relaxed) {
            return Err(failed("no key for it"));
        }
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
