//! A store in the network as the bucket of nodes on a paused clock.
//!
//! A request takes real time and none of the network's: before it is made the others catch up, and while it is under
//! way this process's clock stands still. The store has to stamp with the network's time; the one that the tests start
//! does.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::node::ports::Clock;

/// A store that is asked when all have got as far as the one who asks.
#[derive(Clone)]
pub struct GatedStore {
    inner: Arc<dyn ObjectStore>,
    clock: Clock,
}

/// While it lives, the paused clock stands still: tokio does not move it on while a blocking task runs.
struct Held {
    _until_dropped: Sender<()>,
}

impl GatedStore {
    /// `inner`, which does not wait by tokio's clock inside of a request.
    pub fn new(inner: Arc<dyn ObjectStore>, clock: Clock) -> Self {
        Self { inner, clock }
    }

    async fn hold(&self) -> Held {
        self.clock.let_others_catch_up().await;
        let (until_dropped, dropped) = channel();
        tokio::task::spawn_blocking(move || dropped.recv());
        Held { _until_dropped: until_dropped }
    }
}

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
                // As long as the body may still come.
                let body = body.inspect(move |_| {
                    let _ = &held;
                });
                GetResultPayload::Stream(body.boxed())
            }
            whole => whole,
        };
        Ok(GetResult { payload, ..found })
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
        let (store, prefix) = (self.clone(), prefix.cloned());
        let all = async move {
            let _held = store.hold().await;
            store.inner.list(prefix.as_ref()).try_collect::<Vec<_>>().await
        };
        stream::once(all).map_ok(|objects| stream::iter(objects.into_iter().map(Ok))).try_flatten().boxed()
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
