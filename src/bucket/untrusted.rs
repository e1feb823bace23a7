//! Access to a bucket that others write to as well. It never replaces their objects, fetches nothing too long, and does
//! not mistake a damaged read for the object itself.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, PutMode, PutOptions, Result,
};

/// Puts an object unless one exists. Returns whether it did.
///
/// # Errors
/// The store fails. The object may have been put all the same.
pub async fn create(bucket: &dyn ObjectStore, key: &Path, bytes: Bytes) -> Result<bool> {
    let options = PutOptions { mode: PutMode::Create, ..Default::default() };
    match bucket.put_opts(key, bytes.into(), options).await {
        Ok(_) => Ok(true),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// An object of at most `most` bytes; `None` if it is missing, larger, or cannot be read.
pub async fn get_bounded(bucket: &Arc<dyn ObjectStore>, key: &Path, most: u64) -> Option<Bytes> {
    Some(get_stamped(bucket, key, most).await?.0)
}

/// The same object with its stamp.
pub async fn get_stamped(bucket: &Arc<dyn ObjectStore>, key: &Path, most: u64) -> Option<(Bytes, DateTime<Utc>)> {
    let options = GetOptions { range: Some(GetRange::Bounded(0..most)), ..Default::default() };
    let answer = bucket.get_opts(key, options).await.ok()?;
    if answer.meta.size > most {
        return None;
    }
    let stamp = answer.meta.last_modified;
    #[cfg(test)]
    if crate::planted::is(crate::planted::Defect::ShortBody) {
        let announced = answer.meta.size as usize;
        return Some((answer.bytes().await.ok()?.slice(..announced), stamp));
    }
    Some((body(answer).await.ok()?, stamp))
}

/// All bytes of an object, as many as the store has announced: a store that somebody else runs can send more, without end.
///
/// # Errors
/// The store fails, or sends more or less.
pub async fn body(answer: GetResult) -> Result<Bytes> {
    let announced = answer.meta.size;
    let wrong =
        |found: usize| Error::Generic { store: "bucket", source: format!("{found} bytes of {announced}").into() };
    // A file ends. A stream of one that was cut off meanwhile would not.
    if matches!(answer.payload, GetResultPayload::File(..)) {
        let bytes = answer.bytes().await?;
        return if bytes.len() as u64 == announced { Ok(bytes) } else { Err(wrong(bytes.len())) };
    }
    let (mut chunks, mut bytes) = (answer.into_stream(), BytesMut::with_capacity(announced as usize));
    while let Some(chunk) = chunks.try_next().await? {
        let found = bytes.len() + chunk.len();
        if chunk.is_empty() || found as u64 > announced {
            return Err(wrong(found));
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.len() as u64 == announced { Ok(bytes.freeze()) } else { Err(wrong(bytes.len())) }
}

/// Result of reading an object several times.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled<T, K> {
    /// `recognise` accepted a read.
    Recognised(K),
    /// Two reads in a row were equal but not recognised, so the object really has this content.
    Confirmed(T),
    /// No two reads in a row were equal.
    Unsettled,
}

/// Reads until `recognise` accepts the result or two reads in a row are equal, at most `reads` times. A single read may
/// be damaged in transit.
///
/// # Errors
/// The first error of `read`.
pub async fn read_until_settled<T: PartialEq, K, E, F: Future<Output = std::result::Result<T, E>>>(
    reads: usize,
    mut read: impl FnMut() -> F,
    mut recognise: impl FnMut(&T) -> Option<K>,
) -> std::result::Result<Settled<T, K>, E> {
    let mut before = None;
    for _ in 0..reads {
        let found = read().await?;
        if let Some(known) = recognise(&found) {
            return Ok(Settled::Recognised(known));
        }
        if before.as_ref() == Some(&found) {
            return Ok(Settled::Confirmed(found));
        }
        before = Some(found);
    }
    Ok(Settled::Unsettled)
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn only_the_first_creates() {
        let (bucket, key) = (InMemory::new(), Path::from("a"));
        assert!(create(&bucket, &key, "first".into()).await.unwrap());
        assert!(!create(&bucket, &key, "second".into()).await.unwrap());
        assert_eq!(bucket.get(&key).await.unwrap().bytes().await.unwrap(), "first");
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_fetched() {
        let bucket: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = Path::from("a");
        bucket.put(&key, "12345".into()).await.unwrap();
        assert_eq!(get_bounded(&bucket, &key, 5).await.unwrap(), "12345");
        assert_eq!(get_bounded(&bucket, &key, 4).await, None);
        assert_eq!(get_bounded(&bucket, &"b".into(), 4).await, None);
    }

    #[tokio::test]
    async fn a_body_that_is_not_as_long_as_announced_is_an_error() {
        let (bucket, key) = (InMemory::new(), Path::from("a"));
        bucket.put(&key, "12345".into()).await.unwrap();
        let announced = async |size| {
            let mut answer = bucket.get(&key).await.unwrap();
            answer.meta.size = size;
            body(answer).await.map_err(|error| error.to_string())
        };
        assert_eq!(announced(5).await.unwrap(), "12345");
        assert!(announced(4).await.unwrap_err().contains("5 bytes of 4"));
        assert!(announced(6).await.unwrap_err().contains("5 bytes of 6"));
    }

    /// Settles these reads, where 7 is recognised and 0 fails, and counts the reads made.
    async fn settle(found: &[u32]) -> (std::result::Result<Settled<u32, &'static str>, u32>, usize) {
        let mut made = 0;
        let read = || {
            made += 1;
            let nth = found[made - 1];
            async move { if nth == 0 { Err(nth) } else { Ok(nth) } }
        };
        let settled = read_until_settled(4, read, |found| (*found == 7).then_some("known")).await;
        (settled, made)
    }

    #[tokio::test]
    async fn reads_end_where_one_is_known_or_two_are_alike() {
        assert_eq!(settle(&[7, 1]).await, (Ok(Settled::Recognised("known")), 1));
        assert_eq!(settle(&[1, 2, 7, 2]).await, (Ok(Settled::Recognised("known")), 3));
        assert_eq!(settle(&[1, 2, 2, 7]).await, (Ok(Settled::Confirmed(2)), 3));
        assert_eq!(settle(&[1, 2, 1, 2]).await, (Ok(Settled::Unsettled), 4));
        assert_eq!(settle(&[1, 0, 1, 1]).await, (Err(0), 2));
    }
}
