//! Puts a bundle into the bucket and fetches it, part by part.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::bucket::untrusted::get_bounded;
use crate::digest::Digest;
use crate::transport::bundle::{self, BundleError};
use crate::transport::keys;

/// The parts of a bundle under `key`, the first one first: path and bytes of each.
pub fn parts_of(key: &Path, bytes: &Bytes) -> impl Iterator<Item = (Path, Bytes)> {
    let (key, bytes) = (key.clone(), bytes.clone());
    (0..bundle::parts(bytes.len())).map(move |part| {
        let end = bytes.len().min((part + 1) * bundle::PART);
        (keys::part(&key, part), bytes.slice(part * bundle::PART..end))
    })
}

/// The uploads of the bundle under `key`, if it is complete and has at most `most` bytes.
pub async fn get_bundle(bucket: &Arc<dyn ObjectStore>, key: &Path, most: usize) -> Option<Vec<(Digest, Bytes)>> {
    let wrong = |error: BundleError| tracing::warn!(%key, %error, "ignoring a bundle");
    let first = get_bounded(bucket, key, most.min(bundle::PART) as u64).await?;
    let length = bundle::declared_len(&first, most).map_err(wrong).ok()?;
    if length <= bundle::PART {
        return bundle::decode(&first, most).map_err(wrong).ok();
    }
    // All lengths are checked first. Otherwise an incomplete bundle would be fetched again and again.
    let rest: Vec<(Path, u64)> = (1..bundle::parts(length))
        .map(|part| (keys::part(key, part), bundle::PART.min(length - part * bundle::PART) as u64))
        .collect();
    let there = join_all(rest.iter().map(|(key, _)| bucket.head(key))).await;
    let is_whole = |(meta, (_, expected)): (&object_store::Result<object_store::ObjectMeta>, &(Path, u64))| {
        meta.as_ref().is_ok_and(|meta| meta.size == *expected)
    };
    if first.len() != bundle::PART || !there.iter().zip(&rest).all(is_whole) {
        return None;
    }
    let mut bytes = BytesMut::with_capacity(length);
    bytes.extend_from_slice(&first);
    for (key, expected) in &rest {
        bytes.extend_from_slice(&get_bounded(bucket, key, *expected).await?);
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

/// Removes `parts` parts under `key`. The first part goes first, because without it no node looks for the others.
pub async fn delete_parts(bucket: &dyn ObjectStore, key: &Path, parts: usize) {
    for part in 0..parts {
        let _ = bucket.delete(&keys::part(key, part)).await;
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn bundles_of_whole_parts_have_no_empty_one() {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = Path::from("nodes/a/rounds/00000013/bundle");
        for whole in [1, 2] {
            let upload = whole * bundle::PART - bundle::encoded_len(1, 0);
            let bytes = bundle::encode(&[Bytes::from(vec![3; upload])]);
            let parts: Vec<_> = parts_of(&key, &bytes).collect();
            assert_eq!((bytes.len(), parts.len()), (whole * bundle::PART, whole));
            for (key, part) in parts {
                bucket.put(&key, part.into()).await.unwrap();
            }
            assert_eq!(get_bundle(&bucket, &key, bytes.len()).await.unwrap()[0].1.len(), upload);
            assert_eq!(bundle_len(&bucket, &key).await, Some(bytes.len() as u64));
        }
    }

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
        delete_parts(&bucket, &key, 2).await;
        assert!(bucket.head(&key).await.is_err() && bucket.head(&second).await.is_err());
        assert_eq!(bundle_len(&bucket, &key).await, None);
    }
}
