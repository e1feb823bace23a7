//! Tests for all stores of this crate: those of `object_store` itself, and a test that a wrapper forwards every method.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, integration,
};

/// What nodes need of a bucket: conditional puts, conditional gets, and listings.
///
/// Here and in [`copies`] and [`multipart`] two parts of the crate's suite are left out: attributes, which none of
/// these stores keeps, and traits that none of them implements (`MultipartStore`, `PaginatedListStore`).
pub async fn objects(store: Arc<dyn ObjectStore>) {
    integration::put_opts(&store, true).await;
    integration::get_opts(&store).await;
    integration::list_uses_directories_correctly(&store).await;
    integration::list_with_delimiter(&store).await;
    integration::list_with_offset_exclusivity(&store).await;
    let missing = integration::get_nonexistent_object(&store, None).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
}

/// Tests of copies. The simulated bucket and the stamped folder have none, because nodes copy nothing.
pub async fn copies(store: Arc<dyn ObjectStore>) {
    integration::put_get_delete_list(&store).await;
    integration::rename_and_copy(&store).await;
    integration::copy_if_not_exists(&store).await;
    integration::copy_rename_nonexistent_object(&store).await;
}

/// Tests of multipart uploads. Nodes do not use these; they cut large objects into parts themselves.
pub async fn multipart(store: Arc<dyn ObjectStore>) {
    integration::stream_get(&store).await;
    integration::multipart_race_condition(&store, true).await;
    integration::multipart_out_of_order(&store).await;
}

/// Each method of the wrapper calls the same method of the inner store.
pub async fn forwards(wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) {
    let inner = Arc::new(Witness::default());
    let (store, key) = (wrap(inner.clone()), Path::from("a/b"));
    let asked = |method: &str| {
        let asked = std::mem::take(&mut *inner.asked.lock().unwrap());
        assert_eq!(asked, [method]);
    };
    store.put(&key, "bytes".into()).await.unwrap();
    asked("put_opts");
    store.get(&key).await.unwrap();
    asked("get_opts");
    assert_eq!(store.get_ranges(&key, &[0..1, 3..5]).await.unwrap(), ["b", "es"]);
    asked("get_ranges");
    assert_eq!(store.list(None).count().await, 1);
    asked("list");
    assert_eq!(store.list_with_offset(None, &key).count().await, 0);
    asked("list_with_offset");
    store.list_with_delimiter(None).await.unwrap();
    asked("list_with_delimiter");
    store.copy(&key, &"c".into()).await.unwrap();
    asked("copy_opts");
    store.rename(&key, &"d".into()).await.unwrap();
    asked("rename_opts");
    store.delete(&"d".into()).await.unwrap();
    asked("delete_stream");
}

/// A store that records its calls.
#[derive(Debug, Default)]
struct Witness {
    inner: InMemory,
    asked: Mutex<Vec<&'static str>>,
}

impl Witness {
    fn note(&self, method: &'static str) -> &InMemory {
        self.asked.lock().unwrap().push(method);
        &self.inner
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Witness({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for Witness {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.note("put_opts").put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.note("put_multipart_opts").put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.note("get_opts").get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.note("get_ranges").get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.note("delete_stream").delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.note("list").list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.note("list_with_offset").list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.note("list_with_delimiter").list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.note("copy_opts").copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.note("rename_opts").rename_opts(from, to, options).await
    }
}
