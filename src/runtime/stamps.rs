//! A folder as the bucket of a network on a paused clock: objects are stamped with the network's time, and visible from
//! the next millisecond on, as in the simulator's bucket.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    coalesce_ranges,
};

use crate::bucket::FolderStore;
use crate::node::ports::Clock;
use crate::transport::simulated::SimClock;

/// The folder, as it looks at the clock's time.
#[derive(Clone)]
pub struct StampedStore {
    folder: FolderStore,
    clock: Clock,
}

impl StampedStore {
    /// Stamps objects put into `folder` with the time of `clock`, whose genesis is that of simulated worlds.
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

    /// The visible part of a listing.
    fn visible(&self, listed: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = self.clone();
        listed.filter(move |meta| std::future::ready(meta.as_ref().map_or(true, |meta| store.is_visible(meta)))).boxed()
    }
}

// Every method is forwarded explicitly: a default one could show objects that are not visible yet.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for StampedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let at = self.clock.now();
        // The object has its stamp from the first moment. A process killed in between would otherwise leave an object
        // stamped with the file system's time, years in the network's future: invisible, and yet in the way of any new
        // put.
        let stamp = SimClock::stamp(at.as_millis() as u64).into();
        let put = self.folder.put_stamped(location, payload, options.mode, Some(stamp)).await?;
        // The writer waits until it sees its own object.
        self.clock.sleep_until(at + Duration::from_millis(1)).await;
        Ok(put)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self.folder.get_opts(location, options).await?;
        self.check(&found.meta)?;
        Ok(found)
    }

    /// Reads each part by itself, and only if the object is visible.
    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        coalesce_ranges(ranges, |range| self.get_range(location, range), OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.folder.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.visible(self.folder.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.visible(self.folder.list_with_offset(prefix, offset))
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

    async fn rename_opts(&self, _: &Path, _: &Path, _: RenameOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "rename".into(), implementer: "StampedStore".into() })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::local::LocalFileSystem;

    use super::*;
    use crate::bucket::suite;
    use crate::chain::ChainSettings;

    /// This runs on a running clock. The suite asks again at once for an object that is not visible yet, and a paused
    /// clock would advance only once the suite waits.
    #[tokio::test]
    async fn it_passes_the_suite() {
        let folder = tempfile::tempdir().unwrap();
        let files = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let clock = Clock::starting(Duration::ZERO, SimClock::stamp(0), &ChainSettings::default(), 60.0);
        suite::objects(Arc::new(StampedStore::new(FolderStore::new(files), clock))).await;
    }
}
