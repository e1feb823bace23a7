//! Shards in a bucket: a page is one ranged request, and nothing else is fetched.
//!
//! Requests go through a thread with a runtime of its own, so that whoever reads a page, on whatever clock, only waits
//! for an answer.

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

/// Requests under way at a time.
const PARALLEL: usize = 32;
/// Pauses before a request is made again, in seconds; the store's client has its own quick tries in each.
const PAUSES: [u64; 4] = [1, 2, 4, 8];
/// Pages that are fetched ahead and not yet asked for, at most.
const MOST_AHEAD: usize = 16_384;

/// The shards of a bucket.
pub struct Remote {
    requests: UnboundedSender<Request>,
    files: Vec<Path>,
    token_type: TokenType,
    ahead: Mutex<Ahead>,
}

/// Pages that will be asked for.
#[derive(Default)]
struct Ahead {
    answers: BTreeMap<PageId, Answer>,
    /// In the order in which they were fetched; some are no more there.
    order: VecDeque<PageId>,
}

struct Request {
    file: Path,
    range: Range<u64>,
    answer: SyncSender<Result<Bytes, String>>,
}

/// Where the answer to a request comes.
pub struct Answer(Receiver<Result<Bytes, String>>);

/// Reads the manifest of a bucket that `url` names, and holds the shards' lengths against it.
///
/// # Errors
/// A bucket without a manifest; shards that are missing or of another length.
pub fn open(url: &str, store: Arc<dyn ObjectStore>) -> Result<(Remote, TokenManifest), CorpusError> {
    let (opened, wait) = sync_channel(1);
    let (requests, queue) = unbounded_channel();
    let name = url.trim_end_matches('/').to_string();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system lets a program wait");
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
            // Whoever asked may have gone.
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
    /// Asks for a page of `count` tokens; what was fetched ahead is there at once.
    pub fn ask(&self, page: PageId, window: Window, count: usize) -> Answer {
        let ahead = self.ahead.lock().expect("no panic while held").answers.remove(&page);
        ahead.unwrap_or_else(|| self.request(window, count))
    }

    /// Fetches pages that will be asked for soon, the first ones of very many.
    pub fn fetch_ahead(&self, pages: impl Iterator<Item = (PageId, Window)>, count: usize) {
        let mut ahead = self.ahead.lock().expect("no panic while held");
        for (page, window) in pages.take(MOST_AHEAD) {
            if ahead.answers.contains_key(&page) {
                continue;
            }
            ahead.answers.insert(page, self.request(window, count));
            ahead.order.push_back(page);
            // The oldest are of rounds that were not trained in after all.
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
        // Should the thread have ended, the answer's end tells.
        let _ = self.requests.send(Request { file: self.files[window.shard].clone(), range, answer });
        Answer(wait)
    }

    /// The tokens of an answer.
    pub fn tokens(&self, answer: Answer) -> Result<Vec<u32>, String> {
        let bytes = answer.0.recv().unwrap_or_else(|_| Err("the thread that fetches has ended".into()))?;
        Ok(self.token_type.decode(&bytes))
    }
}
