//! A folder as the bucket of a network on a paused clock: objects are stamped with the network's time, and seen from
//! the next millisecond on, as in the simulator's bucket.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::bucket::FolderStore;
use crate::node::ports::Clock;
use crate::transport::simulated::SimClock;

/// The folder, as of the clock's time.
#[derive(Clone)]
pub struct StampedStore {
    folder: FolderStore,
    clock: Clock,
}

impl StampedStore {
    /// Stamps what is put into `folder` with the time of `clock`, whose genesis is that of simulated worlds.
    pub fn new(folder: FolderStore, clock: Clock) -> Self {
        Self { folder, clock }
    }

    fn is_visible(&self, meta: &ObjectMeta) -> bool {
        SimClock::ms_of(meta.last_modified) < self.clock.now().as_millis() as i64
    }

    fn check(&self, meta: &ObjectMeta) -> Result<()> {
        if self.is_visible(meta) {
            return Ok(());
        }
        Err(Error::NotFound { path: meta.location.to_string(), source: "nothing is stored there yet".into() })
    }
}

#[async_trait]
impl ObjectStore for StampedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let at = self.clock.now();
        // One that had the file system's own time, were it only for a moment, would be an object of years to come for
        // whoever goes on after a kill: nobody would see it, and nobody could put it again.
        let stamp = SimClock::stamp(at.as_millis() as u64).into();
        let put = self.folder.put_stamped(location, payload, options.mode, Some(stamp)).await?;
        // Who wrote it sees it.
        self.clock.sleep_until(at + Duration::from_millis(1)).await;
        Ok(put)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.folder.get_opts(location, options).await?;
        self.check(&found.meta)?;
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.folder.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        let listed = self.folder.list(prefix);
        listed.filter(move |meta| std::future::ready(meta.as_ref().map_or(true, |meta| store.is_visible(meta)))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.folder.list_with_delimiter(prefix).await?;
        listed.objects.retain(|meta| self.is_visible(meta));
        Ok(listed)
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "put_multipart".into(), implementer: "StampedStore".into() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy".into(), implementer: "StampedStore".into() })
    }
}

impl fmt::Display for StampedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StampedStore({})", self.folder)
    }
}

impl fmt::Debug for StampedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
