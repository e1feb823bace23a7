//! Shards in a bucket. Each page is one ranged request, and nothing else is fetched.
//!
//! A separate thread with its own runtime makes the requests, so that a reader on any clock only waits for an answer.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::manifest::{MANIFEST, TokenManifest, TokenType};
use super::window::Window;
use crate::bucket::words::explain;
use crate::corpus::error::CorpusError;
use crate::corpus::page::PageId;

/// Number of concurrent requests.
const PARALLEL: usize = 32;
/// Pauses in seconds before a request is repeated. The store's client also makes quick retries of its own.
const PAUSES: [u64; 4] = [1, 2, 4, 8];
/// Maximum number of pages fetched ahead and not requested yet.
const MOST_AHEAD: usize = 16_384;

/// The shards of a bucket.
pub struct Remote {
    requests: UnboundedSender<Request>,
    files: Vec<Path>,
    token_type: TokenType,
    ahead: Mutex<Ahead>,
}

/// Pages fetched before they are requested.
#[derive(Default)]
struct Ahead {
    answers: BTreeMap<PageId, Answer>,
    /// In the order of fetching; some may have been taken already.
    order: VecDeque<PageId>,
}

struct Request {
    file: Path,
    range: Range<u64>,
    answer: SyncSender<Result<Bytes, String>>,
}

/// Receives the answer to a request.
pub struct Answer(Receiver<Result<Bytes, String>>);

/// Reads the manifest of the bucket at `url`, and checks the shards' lengths against it.
///
/// # Errors
/// The bucket has no manifest, or shards are missing or have other lengths.
pub fn open(url: &str, store: Arc<dyn ObjectStore>) -> Result<(Remote, TokenManifest), CorpusError> {
    let (opened, wait) = sync_channel(1);
    let (requests, queue) = unbounded_channel();
    let name = url.trim_end_matches('/').to_string();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime for requests can be started");
        let manifest = runtime.block_on(read_manifest(&name, &*store));
        let is_open = manifest.is_ok();
        let _ = opened.send(manifest);
        if is_open {
            runtime.block_on(serve(store, queue));
        }
    };
    thread::Builder::new().name("corpus".into()).spawn(work).expect("the system can start a thread");
    let manifest = wait.recv().expect("the thread answers")?;
    let files = manifest.shards.iter().map(|shard| Path::from(shard.file.as_str())).collect();
    Ok((Remote { requests, files, token_type: manifest.token_type, ahead: Mutex::default() }, manifest))
}

async fn read_manifest(url: &str, store: &dyn ObjectStore) -> Result<TokenManifest, CorpusError> {
    let failed = |error: object_store::Error| CorpusError::Bucket { url: url.to_string(), reason: explain(&error) };
    let bytes = store.get(&Path::from(MANIFEST)).await.map_err(failed)?.bytes().await.map_err(failed)?;
    let name = format!("{url}/{MANIFEST}");
    let manifest = TokenManifest::parse(&name, &bytes)?.finished(&name)?;
    let found: Vec<_> = store.list(None).try_collect().await.map_err(failed)?;
    let lengths: BTreeMap<String, u64> = found.into_iter().map(|meta| (meta.location.to_string(), meta.size)).collect();
    for shard in &manifest.shards {
        let expected = shard.tokens * manifest.token_type.bytes();
        let bytes = lengths.get(&shard.file).copied().unwrap_or(0);
        if bytes != expected {
            let path = format!("{url}/{}", shard.file);
            return Err(CorpusError::ShardLength { path, bytes, expected: format!("{expected}, as {MANIFEST} says") });
        }
    }
    Ok(manifest)
}

async fn serve(store: Arc<dyn ObjectStore>, mut queue: UnboundedReceiver<Request>) {
    let free = Arc::new(Semaphore::new(PARALLEL));
    while let Some(Request { file, range, answer }) = queue.recv().await {
        let permit = free.clone().acquire_owned().await.expect("never closed");
        let store = store.clone();
        tokio::spawn(async move {
            // The requester may be gone.
            let _ = answer.send(fetch(&*store, &file, range).await);
            drop(permit);
        });
    }
}

async fn fetch(store: &dyn ObjectStore, file: &Path, range: Range<u64>) -> Result<Bytes, String> {
    let mut pauses = PAUSES.iter();
    loop {
        let got = store.get_range(file, range.clone()).await;
        let reason = match got {
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => return Ok(bytes),
            Ok(bytes) => format!("{} bytes instead of {}", bytes.len(), range.end - range.start),
            Err(error) => explain(&error),
        };
        let Some(pause) = pauses.next() else { return Err(reason) };
        tracing::warn!(%file, reason, "a page was not fetched; trying again");
        tokio::time::sleep(Duration::from_secs(*pause)).await;
    }
}

impl Remote {
    /// Requests a page of `count` tokens. A page that was fetched ahead is available at once.
    pub fn ask(&self, page: PageId, window: Window, count: usize) -> Answer {
        let ahead = self.ahead.lock().expect("no panic while held").answers.remove(&page);
        ahead.unwrap_or_else(|| self.request(window, count))
    }

    /// Fetches pages that will be requested soon; of very many, only the first ones.
    pub fn fetch_ahead(&self, pages: impl Iterator<Item = (PageId, Window)>, count: usize) {
        let mut ahead = self.ahead.lock().expect("no panic while held");
        for (page, window) in pages.take(MOST_AHEAD) {
            if ahead.answers.contains_key(&page) {
                continue;
            }
            ahead.answers.insert(page, self.request(window, count));
            ahead.order.push_back(page);
            // The oldest belong to rounds without training.
            while ahead.order.len() > MOST_AHEAD
                && let Some(oldest) = ahead.order.pop_front()
            {
                ahead.answers.remove(&oldest);
            }
        }
    }

    fn request(&self, window: Window, count: usize) -> Answer {
        let width = self.token_type.bytes();
        let range = window.at * width..(window.at + count as u64) * width;
        let (answer, wait) = sync_channel(1);
        // If the thread has ended, the reader of the answer notices.
        let _ = self.requests.send(Request { file: self.files[window.shard].clone(), range, answer });
        Answer(wait)
    }

    /// The tokens of an answer.
    pub fn tokens(&self, answer: Answer) -> Result<Vec<u32>, String> {
        let bytes = answer.0.recv().unwrap_or_else(|_| Err("the thread that fetches has ended".into()))?;
        Ok(self.token_type.decode(&bytes))
    }
}
