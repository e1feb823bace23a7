//! A store that counts requests, failures and bytes for a node's metrics.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use super::metrics::NodeMetrics;

/// A store whose requests are counted.
#[derive(Clone)]
pub struct CountedStore {
    inner: Arc<dyn ObjectStore>,
    metrics: NodeMetrics,
}

impl CountedStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>, metrics: NodeMetrics) -> Self {
        Self { inner, metrics }
    }

    fn count<T>(&self, operation: &'static str, done: Result<T>) -> Result<T> {
        self.metrics.request(operation, matches!(done, Err(Error::Generic { .. })));
        done
    }
}

// Every method is forwarded explicitly: a default one would not reach the inner store.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for CountedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.metrics.bytes(payload.content_length() as u64, 0);
        self.count("put", self.inner.put_opts(location, payload, options).await)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.count("put", self.inner.put_multipart_opts(location, options).await)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { "head" } else { "get" };
        let found = self.count(operation, self.inner.get_opts(location, options).await)?;
        if operation == "get" {
            self.metrics.bytes(0, found.range.end - found.range.start);
        }
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let found = self.count("get", self.inner.get_ranges(location, ranges).await)?;
        self.metrics.bytes(0, found.iter().map(|part| part.len() as u64).sum());
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        self.inner.delete_stream(locations).map(move |deleted| store.count("delete", deleted)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.metrics.request("list", false);
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.metrics.request("list", false);
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count("list", self.inner.list_with_delimiter(prefix).await)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.count("copy", self.inner.copy_opts(from, to, options).await)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.count("rename", self.inner.rename_opts(from, to, options).await)
    }
}

impl fmt::Display for CountedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for CountedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::bucket::suite;
    use crate::runtime::Metrics;
    use crate::transport::Identity;

    fn counted(inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        let hotkey = Identity::from_seed(1, "peer", 0).hotkey();
        Arc::new(CountedStore::new(inner, Metrics::default().of_node(&hotkey)))
    }

    #[tokio::test]
    async fn every_method_asks_the_inner_store() {
        suite::forwards(counted).await;
    }

    #[tokio::test]
    async fn it_passes_the_suite() {
        let store = counted(Arc::new(InMemory::new()));
        suite::objects(store.clone()).await;
        suite::copies(store.clone()).await;
        suite::multipart(store).await;
    }
}
