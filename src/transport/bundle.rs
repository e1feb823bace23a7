//! The uploads that a round includes, in one object, so that a node that catches up makes one fetch a round instead of
//! fifteen.
//!
//! Version 1, little-endian: `GNTB`, version (2 bytes), number of uploads (4), for each upload its blake3 digest (32)
//! and length (8), then the uploads one after another. A bundle needs no signature: its digests are in the validator's
//! signed record, and each upload is signed by its peer.
//!
//! Bundles longer than [`PART`] are cut into objects of that size, sent and received one by one
//! ([`super::keys::part`]), because stores limit the size of a request and slow links its duration.

use bytes::Bytes;

use super::take;
use crate::digest::Digest;
use crate::words::counted;

const MAGIC: [u8; 4] = *b"GNTB";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 4 + 2 + 4;
const ENTRY_LEN: usize = 32 + 8;

/// Length of a part: 64 MiB.
pub const PART: usize = 64 << 20;

/// Why bytes are not a valid bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("bundle of {found} bytes; at most {max} expected")]
    TooLong { max: usize, found: usize },
    #[error("not a bundle: it does not begin with \"GNTB\"")]
    NotABundle,
    #[error("bundle of format version {found}; this program reads version {VERSION}")]
    Version { found: u16 },
    #[error("bundle of {} does not have the length that its index gives", counted(*.found, "byte"))]
    Length { found: usize },
    #[error("upload {number} of the bundle is damaged: its digest is {}, the index says {}", found.short(), expected.short())]
    Payload { number: usize, expected: Digest, found: Digest },
}

/// Length in bytes of a bundle with this many uploads of this length.
pub fn encoded_len(uploads: usize, upload_len: usize) -> usize {
    HEADER_LEN + uploads * (ENTRY_LEN + upload_len)
}

/// Number of parts of a bundle of `length` bytes.
pub fn parts(length: usize) -> usize {
    length.div_ceil(PART).max(1)
}

/// Length in bytes of the bundle that begins with `first`, as its index declares it.
///
/// # Errors
/// `first` has another format or does not hold the whole index, or the bundle is longer than `max_len`.
pub fn declared_len(first: &[u8], max_len: usize) -> Result<usize, BundleError> {
    let wrong_length = BundleError::Length { found: first.len() };
    let (mut index, _) = index(first)?;
    let mut length = HEADER_LEN + index.len();
    while let (Some(_), Some(upload)) = (take::<32>(&mut index), take(&mut index)) {
        let upload = usize::try_from(u64::from_le_bytes(upload)).unwrap_or(usize::MAX);
        length = length.checked_add(upload).ok_or_else(|| wrong_length.clone())?;
    }
    if length > max_len { Err(BundleError::TooLong { max: max_len, found: length }) } else { Ok(length) }
}

/// Splits a bundle into its index (whole entries only) and the rest.
fn index(bytes: &[u8]) -> Result<(&[u8], &[u8]), BundleError> {
    let wrong_length = || BundleError::Length { found: bytes.len() };
    let mut rest = bytes;
    if take(&mut rest) != Some(MAGIC) {
        return Err(BundleError::NotABundle);
    }
    let version = take(&mut rest).map(u16::from_le_bytes).ok_or_else(wrong_length)?;
    if version != VERSION {
        return Err(BundleError::Version { found: version });
    }
    let count = take(&mut rest).map(u32::from_le_bytes).ok_or_else(wrong_length)? as usize;
    let index_len = count.checked_mul(ENTRY_LEN).ok_or_else(wrong_length)?;
    rest.split_at_checked(index_len).ok_or_else(wrong_length)
}

/// Encodes uploads as a bundle.
pub fn encode(uploads: &[Bytes]) -> Bytes {
    let total = HEADER_LEN + uploads.iter().map(|upload| ENTRY_LEN + upload.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(total);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((uploads.len() as u32).to_le_bytes());
    for upload in uploads {
        bytes.extend(Digest::of(upload).0);
        bytes.extend((upload.len() as u64).to_le_bytes());
    }
    for upload in uploads {
        bytes.extend_from_slice(upload);
    }
    bytes.into()
}

/// Splits a bundle of at most `max_len` bytes into uploads: the digest and bytes of each, as views without a copy.
///
/// # Errors
/// Too many bytes, another format, or a length or digest that differs from the index.
pub fn decode(bytes: &Bytes, max_len: usize) -> Result<Vec<(Digest, Bytes)>, BundleError> {
    if bytes.len() > max_len {
        return Err(BundleError::TooLong { max: max_len, found: bytes.len() });
    }
    let wrong_length = BundleError::Length { found: bytes.len() };
    let (mut index, mut payloads) = index(bytes)?;

    let mut uploads = Vec::with_capacity(index.len() / ENTRY_LEN);
    while let (Some(digest), Some(length)) = (take(&mut index), take(&mut index)) {
        let (expected, length) = (Digest(digest), usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX));
        let (payload, after) = payloads.split_at_checked(length).ok_or_else(|| wrong_length.clone())?;
        let found = Digest::of(payload);
        if found != expected {
            return Err(BundleError::Payload { number: uploads.len(), expected, found });
        }
        uploads.push((found, bytes.slice_ref(payload)));
        payloads = after;
    }
    if payloads.is_empty() { Ok(uploads) } else { Err(wrong_length) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bundle() -> (Vec<Bytes>, Bytes) {
        let uploads = vec![Bytes::from_static(b"first"), Bytes::new(), Bytes::from_static(b"the third")];
        let bytes = encode(&uploads);
        (uploads, bytes)
    }

    #[test]
    fn uploads_come_out_as_they_went_in() {
        let (uploads, bytes) = bundle();
        let decoded = decode(&bytes, bytes.len()).unwrap();
        assert_eq!(decoded.iter().map(|(_, upload)| upload.clone()).collect::<Vec<_>>(), uploads);
        assert!(decoded.iter().all(|(digest, upload)| *digest == Digest::of(upload)));
        assert_eq!(encode(&[uploads[0].clone(), uploads[0].clone()]).len(), encoded_len(2, 5));
        assert_eq!(decode(&encode(&[]), 100), Ok(vec![]));
        assert_eq!(declared_len(&bytes[..HEADER_LEN + 3 * ENTRY_LEN], bytes.len()), Ok(bytes.len()));
        assert!(matches!(declared_len(&bytes, bytes.len() - 1), Err(BundleError::TooLong { .. })));
        assert!(matches!(declared_len(&bytes[..40], bytes.len()), Err(BundleError::Length { .. })));
    }

    #[test]
    fn each_wrong_part_has_its_own_error() {
        let (_, bytes) = bundle();
        let read = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut changed = bytes.to_vec();
            change(&mut changed);
            decode(&changed.into(), 1000).unwrap_err()
        };
        assert!(matches!(decode(&bytes, bytes.len() - 1), Err(BundleError::TooLong { .. })));
        assert_eq!(read(&|b| b[0] = 0), BundleError::NotABundle);
        assert_eq!(read(&|b| b[4] = 9), BundleError::Version { found: 9 });
        assert!(matches!(read(&|b| b[6..10].fill(255)), BundleError::Length { .. }));
        assert!(matches!(read(&|b| b[42..50].fill(255)), BundleError::Length { .. }));
        assert!(matches!(read(&|b| b.push(0)), BundleError::Length { .. }));
        assert!(matches!(read(&|b| b.truncate(b.len() - 1)), BundleError::Length { .. }));
        assert!(matches!(read(&|b| *b.last_mut().unwrap() ^= 1), BundleError::Payload { number: 2, .. }));
    }

    proptest! {
        #[test]
        fn changed_bytes_are_an_error_or_a_bundle(at in any::<prop::sample::Index>(), value: u8, cut in 0..40usize) {
            let mut bytes = bundle().1.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = value;
            bytes.truncate(bytes.len() - cut);
            let bytes = Bytes::from(bytes);
            let declared = declared_len(&bytes, 1000);
            if let Ok(uploads) = decode(&bytes, 1000) {
                prop_assert_eq!(declared, Ok(bytes.len()));
                prop_assert_eq!(encode(&uploads.into_iter().map(|(_, upload)| upload).collect::<Vec<_>>()), bytes);
            }
        }
    }
}
