//! Tries whether a store keeps the two promises that a network rests on: what is put only where nothing is never replaces
//! anything, and what is replaced is what the writer saw. `sim doctor`, `sim genesis` and nodes all ask here.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, Result, UpdateVersion};
use thiserror::Error as ThisError;

use super::untrusted::create;

/// Replacements that are tried until one is taken. An answer that was lost makes the client's own repetition fail.
const TRIES: usize = 3;

/// A promise that a store does not keep. No network can run on such a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum Broken {
    #[error(
        "the store replaces an object that it was told to put only where none is (If-None-Match): several validators could \
         decide one round; take a store that refuses that, as S3, R2, MinIO, GCS and Azure do"
    )]
    LastWins,
    #[error(
        "the store cannot put an object only where none is (If-None-Match): it answers that it does not implement that; \
         take a store that does, as S3, R2, MinIO, GCS and Azure"
    )]
    NoCondition,
    #[error(
        "the store replaces an object that has changed since it was read, though it was told not to (If-Match): a record \
         could be lost; take a store that refuses that, as S3, R2, MinIO, GCS and Azure do"
    )]
    ReplacesChanged,
    #[error(
        "the store refuses to replace exactly the object that was read (If-Match): what somebody puts in a record's place \
         could not be removed; take a store that does, as S3, R2, MinIO, GCS and Azure"
    )]
    ReplacesNothing,
    #[error(
        "the store gives objects no tag (ETag), without which none can be replaced only if it is unchanged; take a store \
         that does, as S3, R2, MinIO, GCS and Azure"
    )]
    NoTag,
}

/// Tries both promises with an object of our own, which is there afterwards. The key must be allowed to put it.
///
/// # Errors
/// The store fails, so neither can be said.
pub async fn keeps_its_word(store: &dyn ObjectStore, key: &Path) -> Result<std::result::Result<(), Broken>> {
    match keeps_the_first(store, key).await? {
        Ok(()) => replaces_what_was_seen(store, key).await,
        broken => Ok(broken),
    }
}

/// Whether the store refuses to create an object that is there. One that takes it ignores the condition
/// (`If-None-Match`), and lets the last writer win.
///
/// # Errors
/// The store fails.
pub async fn keeps_the_first(store: &dyn ObjectStore, key: &Path) -> Result<std::result::Result<(), Broken>> {
    // Whether something is there or not, it must be understood.
    match create(store, key, Bytes::from_static(b"first")).await {
        Err(error) if is_not_implemented(&error) => return Ok(Err(Broken::NoCondition)),
        tried => tried?,
    };
    store.put(key, "first".into()).await?;
    Ok(match create(store, key, Bytes::from_static(b"second")).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(Broken::LastWins),
        Err(error) if is_not_implemented(&error) => Err(Broken::NoCondition),
        Err(error) => return Err(error),
    })
}

/// Whether the store replaces an object if it is the one that was seen, and refuses to if it is not.
///
/// # Errors
/// The store fails.
pub async fn replaces_what_was_seen(store: &dyn ObjectStore, key: &Path) -> Result<std::result::Result<(), Broken>> {
    store.put(key, "first".into()).await?;
    let Some(stale) = version(store, key).await? else { return Ok(Err(Broken::NoTag)) };
    store.put(key, "a later one".into()).await?;
    if replace(store, key, stale).await? {
        return Ok(Err(Broken::ReplacesChanged));
    }
    for _ in 0..TRIES {
        let Some(seen) = version(store, key).await? else { return Ok(Err(Broken::NoTag)) };
        if replace(store, key, seen).await? {
            return Ok(Ok(()));
        }
    }
    Ok(Err(Broken::ReplacesNothing))
}

async fn version(store: &dyn ObjectStore, key: &Path) -> Result<Option<UpdateVersion>> {
    let meta = store.head(key).await?;
    let known = meta.e_tag.is_some() || meta.version.is_some();
    Ok(known.then_some(UpdateVersion { e_tag: meta.e_tag, version: meta.version }))
}

/// Replaces an object if it is this one. Returns whether it was.
async fn replace(store: &dyn ObjectStore, key: &Path, seen: UpdateVersion) -> Result<bool> {
    match store.put_opts(key, "the last one".into(), PutMode::Update(seen).into()).await {
        Ok(_) => Ok(true),
        Err(Error::Precondition { .. } | Error::AlreadyExists { .. } | Error::NotFound { .. }) => Ok(false),
        Err(error) if is_not_implemented(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_not_implemented(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("501 Not Implemented") {
            return true;
        }
        cause = error.source();
    }
    matches!(error, Error::NotImplemented { .. } | Error::NotSupported { .. })
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::ops::Range;
    use std::sync::Arc;

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
        PutPayload, PutResult, RenameOptions,
    };

    use super::*;

    /// How a store breaks its word.
    #[derive(Clone, Copy, Debug)]
    enum Fault {
        None,
        IgnoresAbsent,
        IgnoresSame,
        RefusesSame,
        NotImplemented,
        NoTags,
    }

    #[derive(Debug)]
    struct Faulty(Arc<InMemory>, Fault);

    impl fmt::Display for Faulty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:?}", self.1)
        }
    }

    #[async_trait]
    impl ObjectStore for Faulty {
        async fn put_opts(&self, key: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
            let refused = || Error::Precondition { path: key.to_string(), source: "refused".into() };
            match (self.1, &options.mode) {
                (Fault::IgnoresAbsent, PutMode::Create) | (Fault::IgnoresSame, PutMode::Update(_)) => {
                    options.mode = PutMode::Overwrite;
                }
                (Fault::RefusesSame, PutMode::Update(_)) => return Err(refused()),
                (Fault::NotImplemented, PutMode::Create) => {
                    let source = "Server returned non-2xx status code: 501 Not Implemented".into();
                    return Err(Error::Generic { store: "S3", source });
                }
                _ => {}
            }
            self.0.put_opts(key, payload, options).await
        }

        async fn put_multipart_opts(
            &self,
            key: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(key, options).await
        }

        async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
            let mut found = self.0.get_opts(key, options).await?;
            if matches!(self.1, Fault::NoTags) {
                found.meta.e_tag = None;
            }
            Ok(found)
        }

        async fn get_ranges(&self, key: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
            self.0.get_ranges(key, ranges).await
        }

        fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(keys)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }

        async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
            self.0.rename_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn each_broken_promise_is_found_and_a_kept_one_is_not_doubted() {
        for (fault, expected) in [
            (Fault::None, Ok(())),
            (Fault::IgnoresAbsent, Err(Broken::LastWins)),
            (Fault::IgnoresSame, Err(Broken::ReplacesChanged)),
            (Fault::RefusesSame, Err(Broken::ReplacesNothing)),
            (Fault::NotImplemented, Err(Broken::NoCondition)),
            (Fault::NoTags, Err(Broken::NoTag)),
        ] {
            let store = Faulty(Arc::new(InMemory::new()), fault);
            assert_eq!(keeps_its_word(&store, &"a".into()).await.unwrap(), expected, "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_folder_keeps_its_word() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = crate::bucket::open(folder.path().to_str().unwrap(), false).unwrap();
        assert_eq!(keeps_its_word(bucket.store.as_ref(), &"a/b".into()).await.unwrap(), Ok(()));
    }
}
