//! A bundle in the bucket: put and fetched part by part.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::follow::get_bounded;
use crate::digest::Digest;
use crate::transport::bundle::{self, BundleError};
use crate::transport::keys;

/// The parts of a bundle under `key`, the first one first: where each lies, and its bytes.
pub fn parts_of(key: &Path, bytes: &Bytes) -> impl Iterator<Item = (Path, Bytes)> {
    let (key, bytes) = (key.clone(), bytes.clone());
    (0..bundle::parts(bytes.len())).map(move |part| {
        let end = bytes.len().min((part + 1) * bundle::PART);
        (keys::part(&key, part), bytes.slice(part * bundle::PART..end))
    })
}

/// The uploads of the bundle under `key`, if all of it is there, with at most `most` bytes.
pub async fn get_bundle(bucket: &Arc<dyn ObjectStore>, key: &Path, most: usize) -> Option<Vec<(Digest, Bytes)>> {
    let wrong = |error: BundleError| tracing::warn!(%key, %error, "ignoring a bundle");
    let first = get_bounded(bucket, key, most.min(bundle::PART) as u64).await?;
    let length = bundle::promised_len(&first, most).map_err(wrong).ok()?;
    if length <= bundle::PART {
        return bundle::decode(&first, most).map_err(wrong).ok();
    }
    let mut bytes = BytesMut::with_capacity(length);
    bytes.extend_from_slice(&first);
    for part in 1..bundle::parts(length) {
        let expected = bundle::PART.min(length - part * bundle::PART);
        bytes.extend_from_slice(&get_bounded(bucket, &keys::part(key, part), expected as u64).await?);
    }
    bundle::decode(&bytes.freeze(), most).map_err(wrong).ok()
}

/// Bytes of the bundle under `key`; `None` if there is none.
pub async fn bundle_len(bucket: &dyn ObjectStore, key: &Path) -> Option<u64> {
    let mut length = bucket.head(key).await.ok()?.size;
    let mut part = 1;
    while length == (part * bundle::PART) as u64 {
        length += bucket.head(&keys::part(key, part)).await.map_or(0, |meta| meta.size);
        part += 1;
    }
    Some(length)
}

/// Removes what lies under `key`, of a bundle of at most `most` bytes.
pub async fn delete_bundle(bucket: &dyn ObjectStore, key: &Path, most: usize) {
    for part in 0..bundle::parts(most) {
        let _ = bucket.delete(&keys::part(key, part)).await;
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_large_bundle_is_put_and_fetched_in_parts() {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = Path::from("nodes/a/rounds/00000012/bundle");
        let uploads = vec![Bytes::from(vec![1; bundle::PART / 2]), Bytes::from(vec![2; bundle::PART / 2 + 7])];
        let bytes = bundle::encode(&uploads);
        let parts: Vec<_> = parts_of(&key, &bytes).collect();
        assert_eq!(parts.len(), 2);
        for (key, part) in parts {
            assert!(get_bundle(&bucket, &key, bytes.len()).await.is_none(), "not all of it is there");
            bucket.put(&key, part.into()).await.unwrap();
        }
        let read = get_bundle(&bucket, &key, bytes.len()).await.unwrap();
        assert!(read.into_iter().map(|(_, upload)| upload).eq(uploads));
        assert_eq!(bundle_len(&bucket, &key).await, Some(bytes.len() as u64));
        assert!(get_bundle(&bucket, &key, bytes.len() - 1).await.is_none(), "too long");

        let second = keys::part(&key, 1);
        for wrong in [vec![0; 97], vec![0; 98], vec![0; 96]] {
            bucket.put(&second, wrong.into()).await.unwrap();
            assert!(get_bundle(&bucket, &key, bytes.len()).await.is_none(), "damaged");
        }
        delete_bundle(&bucket, &key, bytes.len()).await;
        assert!(bucket.head(&key).await.is_err() && bucket.head(&second).await.is_err());
        assert_eq!(bundle_len(&bucket, &key).await, None);
    }
}
