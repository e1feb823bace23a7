//! Wraps a store on the network as the bucket of nodes on a paused clock.
//!
//! A request takes real time but no virtual time: the other processes catch up before it, and this process's clock
//! stands still during it. The store must stamp objects with the network's time, as the one that the tests start does.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::node::ports::Clock;

/// A store whose requests wait until all processes have reached this one's time.
#[derive(Clone)]
pub struct GatedStore {
    inner: Arc<dyn ObjectStore>,
    clock: Clock,
}

/// While it lives, the paused clock stands still: tokio does not advance it during a blocking task.
struct Held {
    _until_dropped: Sender<()>,
}

impl GatedStore {
    /// Wraps `inner`, which must not wait by tokio's clock inside a request.
    pub fn new(inner: Arc<dyn ObjectStore>, clock: Clock) -> Self {
        Self { inner, clock }
    }

    async fn hold(&self) -> Held {
        self.clock.let_others_catch_up().await;
        let (until_dropped, dropped) = channel();
        tokio::task::spawn_blocking(move || dropped.recv());
        Held { _until_dropped: until_dropped }
    }

    /// A whole listing, collected while the clock stands still.
    fn list_all(
        &self,
        list: impl FnOnce(&dyn ObjectStore) -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let all = async move {
            let _held = store.hold().await;
            list(&*store.inner).try_collect::<Vec<_>>().await
        };
        stream::once(all).map_ok(|objects| stream::iter(objects.into_iter().map(Ok))).try_flatten().boxed()
    }
}

// Every method is forwarded explicitly: a default one would not reach the inner store.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for GatedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let _held = self.hold().await;
        self.inner.put_opts(location, payload, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let held = self.hold().await;
        let found = self.inner.get_opts(location, options).await?;
        let payload = match found.payload {
            GetResultPayload::Stream(body) => {
                // The clock is held while more of the body may come.
                let body = body.inspect(move |_| {
                    let _ = &held;
                });
                GetResultPayload::Stream(body.boxed())
            }
            whole => whole,
        };
        Ok(GetResult { payload, ..found })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let _held = self.hold().await;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let _held = store.hold().await;
                store.inner.delete(&location).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
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
        let _held = self.hold().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "put_multipart".into(), implementer: "GatedStore".into() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let _held = self.hold().await;
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let _held = self.hold().await;
        self.inner.rename_opts(from, to, options).await
    }
}

impl fmt::Display for GatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatedStore({})", self.inner)
    }
}

impl fmt::Debug for GatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::bucket::suite;
    use crate::chain::ChainSettings;
    use crate::transport::simulated::SimClock;

    fn gated(inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        let clock = Clock::starting(Default::default(), SimClock::stamp(0), &ChainSettings::default(), 60.0);
        Arc::new(GatedStore::new(inner, clock))
    }

    #[tokio::test]
    async fn every_method_asks_the_inner_store() {
        suite::forwards(gated).await;
    }

    /// Multipart uploads are left out: they would let the clock run.
    #[tokio::test(start_paused = true)]
    async fn it_passes_the_suite() {
        let store = gated(Arc::new(InMemory::new()));
        suite::objects(store.clone()).await;
        suite::copies(store).await;
    }
}
