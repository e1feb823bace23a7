//! A local folder as a bucket. It adds two things that `object_store` lacks for folders: conditional replacement of an
//! object, and objects that have a given stamp from the moment they appear.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UpdateVersion,
};
use tempfile::NamedTempFile;

/// Suffix of files that are still being written. `object_store` uses it too, and does not list such files.
const STAGED: &str = "#0";
/// A folder may be removed as empty before a file is made in it. It is made again this many times.
const TRIES: usize = 10;

/// A local folder with these additions.
#[derive(Clone)]
pub struct FolderStore {
    files: Arc<LocalFileSystem>,
}

impl FolderStore {
    /// A store on the folder of `files`.
    pub fn new(files: LocalFileSystem) -> Self {
        Self { files: Arc::new(files) }
    }

    /// Puts an object, stamped `stamp` instead of the current time if given. The object appears whole and with its
    /// stamp or not at all, even if the process is killed.
    pub async fn put_stamped(
        &self,
        location: &Path,
        payload: PutPayload,
        mode: PutMode,
        stamp: Option<SystemTime>,
    ) -> Result<PutResult> {
        // The lock is held until the object is replaced.
        let _lock = match &mode {
            PutMode::Update(seen) => Some(self.lock_as_seen(location, seen).await?),
            _ => None,
        };
        let path = self.files.path_to_filesystem(location)?;
        let only_if_new = mode == PutMode::Create;
        let written = blocking(move || {
            let staged = stage(&path, &payload, stamp)?;
            let e_tag = e_tag(&staged.as_file().metadata()?);
            if only_if_new {
                staged.persist_noclobber(&path)?;
            } else {
                staged.persist(&path)?;
            }
            Ok(e_tag)
        });
        let e_tag = written.await.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: location.to_string(), source: source.into() },
            _ => generic(source),
        })?;
        Ok(PutResult { e_tag, version: None, extensions: Default::default() })
    }

    /// Locks an object against replacement, if it is still the one that was seen. The lock is on the file itself, so
    /// nothing is left behind. If the file was replaced while a process waited for the lock, the process finds another
    /// object at the path.
    async fn lock_as_seen(&self, location: &Path, seen: &UpdateVersion) -> Result<File> {
        let path = self.files.path_to_filesystem(location)?;
        let locked = blocking(move || {
            let file = File::open(path)?;
            file.lock()?;
            Ok(file)
        });
        let changed = || Error::Precondition { path: location.to_string(), source: "another object is there".into() };
        let locked = locked.await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => changed(),
            _ => generic(error),
        })?;
        let found = self.files.head(location).await?;
        if found.e_tag.is_none() || found.e_tag != seen.e_tag {
            return Err(changed());
        }
        Ok(locked)
    }
}

/// Writes a temporary file with this content and stamp beside `path`.
fn stage(path: &FilePath, payload: &PutPayload, stamp: Option<SystemTime>) -> io::Result<NamedTempFile> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut staged = create_in(folder)?;
    payload.iter().try_for_each(|part| staged.write_all(part))?;
    if let Some(stamp) = stamp {
        staged.as_file().set_modified(stamp)?;
    }
    Ok(staged)
}

/// The tag that `object_store` gives a file. Computed before the file gets its name, because another process may then
/// replace it at once.
#[cfg(unix)]
fn e_tag(file: &Metadata) -> Option<String> {
    let written = file.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    let inode = std::os::unix::fs::MetadataExt::ino(file);
    Some(format!("\"{inode:x}-{written:x}-{:x}\"", file.len()))
}

#[cfg(not(unix))]
fn e_tag(_: &Metadata) -> Option<String> {
    None
}

fn create_in(folder: &FilePath) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.suffix(STAGED);
    // Other users may read it too, as far as the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    for _ in 1..TRIES {
        std::fs::create_dir_all(folder)?;
        match builder.tempfile_in(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            created => return created,
        }
    }
    builder.tempfile_in(folder)
}

/// Runs work on files on a blocking thread, which holds a paused clock meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn generic(source: io::Error) -> Error {
    Error::Generic { store: "FolderStore", source: source.into() }
}

// Every method is forwarded explicitly: a default one would bypass that of `LocalFileSystem`.
#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ObjectStore for FolderStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match options.mode {
            PutMode::Update(_) => self.put_stamped(location, payload, options.mode, None).await,
            _ => self.files.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}

impl fmt::Display for FolderStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FolderStore({})", self.files)
    }
}

impl fmt::Debug for FolderStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use futures::TryStreamExt;
    use futures::future::join_all;

    use super::*;
    use crate::bucket::suite;

    fn store(folder: &tempfile::TempDir) -> FolderStore {
        FolderStore::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap())
    }

    async fn version(store: &FolderStore, key: &Path) -> UpdateVersion {
        UpdateVersion { e_tag: store.head(key).await.unwrap().e_tag, version: None }
    }

    async fn replace(store: &FolderStore, key: &Path, seen: UpdateVersion, by: String) -> Result<PutResult> {
        store.put_opts(key, by.into(), PutMode::Update(seen).into()).await
    }

    #[tokio::test]
    async fn exactly_what_was_seen_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key) = (store(&folder), Path::from("rounds/00000001/record"));
        store.put(&key, "no record".into()).await.unwrap();
        let seen = version(&store, &key).await;
        replace(&store, &key, seen.clone(), "a record".into()).await.unwrap();
        let again = replace(&store, &key, seen.clone(), "another".into()).await;
        assert!(matches!(again, Err(Error::Precondition { .. })), "{again:?}");
        assert_eq!(store.get(&key).await.unwrap().bytes().await.unwrap(), "a record");
        store.delete(&key).await.unwrap();
        let gone = replace(&store, &key, seen, "another".into()).await;
        assert!(matches!(gone, Err(Error::Precondition { .. })), "{gone:?}");
    }

    #[tokio::test]
    async fn of_several_that_saw_the_same_one_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key) = (store(&folder), Path::from("record"));
        for _ in 0..50 {
            store.put(&key, "no record".into()).await.unwrap();
            let seen = version(&store, &key).await;
            let tried = join_all((0..8).map(|nth| replace(&store, &key, seen.clone(), format!("record {nth}")))).await;
            let winner = tried.iter().position(Result::is_ok).unwrap();
            assert_eq!(tried.iter().filter(|done| done.is_ok()).count(), 1);
            let found = store.get(&key).await.unwrap().bytes().await.unwrap();
            assert_eq!(found, format!("record {winner}"));
        }
    }

    #[tokio::test]
    async fn it_passes_the_suite() {
        let folder = tempfile::tempdir().unwrap();
        let files = LocalFileSystem::new_with_prefix(folder.path()).unwrap().with_automatic_cleanup(true);
        let store: Arc<dyn ObjectStore> = Arc::new(FolderStore::new(files));
        suite::objects(store.clone()).await;
        suite::copies(store.clone()).await;
        suite::multipart(store).await;
    }

    #[tokio::test]
    async fn a_put_tells_the_tag_that_a_look_shows() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key) = (store(&folder), Path::from("object"));
        let stamp = SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_000_007);
        for stamp in [None, Some(stamp)] {
            let put = store.put_stamped(&key, "bytes".into(), PutMode::Overwrite, stamp).await.unwrap();
            assert_eq!(put.e_tag, version(&store, &key).await.e_tag);
        }
    }

    /// Another task reads the file all the time, so it sees what a process would find after a kill.
    #[tokio::test]
    async fn an_object_has_its_stamp_from_the_moment_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (store, key, path) = (store(&folder), Path::from("a/object"), folder.path().join("a/object"));
        let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let over = Arc::new(AtomicBool::new(false));
        let watcher = std::thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Ordering::Relaxed) {
                    if let Ok(found) = std::fs::metadata(&path) {
                        assert_eq!(found.modified().unwrap(), stamp);
                        assert_eq!(found.len(), 1 << 20);
                    }
                }
            }
        });
        for _ in 0..50 {
            store.put_stamped(&key, vec![7; 1 << 20].into(), PutMode::Create, Some(stamp)).await.unwrap();
            let again = store.put_stamped(&key, "other".into(), PutMode::Create, Some(stamp)).await;
            assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
            store.delete(&key).await.unwrap();
        }
        over.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    }

    #[tokio::test]
    async fn what_a_killed_process_was_writing_is_no_object() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let staged = stage(&folder.path().join("a/object"), &"half".into(), None).unwrap();
        staged.keep().unwrap();
        assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap(), Vec::new());
        #[cfg(unix)]
        {
            let permissions = |path: &str| {
                let found = std::fs::metadata(folder.path().join(path)).unwrap().permissions();
                std::os::unix::fs::PermissionsExt::mode(&found)
            };
            store.put(&"usual".into(), "".into()).await.unwrap();
            store.put_stamped(&"stamped".into(), "".into(), PutMode::Overwrite, None).await.unwrap();
            assert_eq!(
                permissions("stamped"),
                permissions("usual"),
                "others may read it as they may what is put plainly"
            );
        }
    }
}
