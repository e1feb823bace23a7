//! Tells the URL of a bucket from a path.

use std::sync::Arc;

use object_store::ObjectStore;

use super::error::CorpusError;
use crate::bucket::{self, BucketError};

/// Opens the bucket of a URL; `None` for a path.
///
/// # Errors
/// The bucket does not exist, or the URL names a folder.
pub fn bucket_of(path: &str) -> Result<Option<Arc<dyn ObjectStore>>, CorpusError> {
    if !path.contains("://") {
        return Ok(None);
    }
    let failed = |reason: String| CorpusError::Bucket { url: path.to_string(), reason };
    let a_folder = "a folder; expected its path, or the URL of a bucket";
    let bucket = bucket::open_patiently(path, false).map_err(|error| match error {
        BucketError::NoFolder { .. } => failed(a_folder.into()),
        error => failed(error.to_string()),
    })?;
    if bucket.folder.is_some() {
        return Err(failed(a_folder.into()));
    }
    Ok(Some(bucket.store))
}
