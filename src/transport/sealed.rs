//! Signed JSON: a text that people can read in the bucket, and a last line that names the signer.
//!
//! That line is the hotkey, a space and the ed25519 signature, both hexadecimal. The signature covers the blake3 digest
//! of the kind of message and the text, so a message of one kind never passes for one of another.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::identity::SIGNATURE_LEN;
use super::verified::Verified;
use super::{Hotkey, Identity, hex};
use crate::digest::Digest;

/// Length in bytes of the end: a line break, the hotkey, a space, the signature, a line break.
pub const TRAILER_LEN: usize = 1 + 64 + 1 + 2 * SIGNATURE_LEN + 1;

/// Why bytes are not a signed message.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("{found} bytes; at most {max} expected")]
    TooLong { max: usize, found: usize },
    #[error("it does not end with a line of a hotkey and its signature, {} bytes", TRAILER_LEN - 2)]
    NoSignature,
    #[error("it names {signer} as its signer, but the signature is not valid")]
    Signature { signer: Hotkey },
    #[error("it is not what version {} of this program writes: {source}", env!("CARGO_PKG_VERSION"))]
    Json { source: serde_json::Error },
}

/// Encodes and signs a message of a kind.
pub fn seal(kind: &str, message: &impl Serialize, identity: &Identity) -> Bytes {
    let mut text = serde_json::to_string_pretty(message).expect("messages are plain data");
    let signature = identity.sign(&signed(kind, text.as_bytes()).0);
    text.push_str(&format!("\n{} ", identity.hotkey()));
    hex::write(&mut text, &signature).expect("a string takes any text");
    text.push('\n');
    text.into()
}

/// Decodes a message of at most `max_len` bytes and returns its signer. The caller must check that this signer is
/// allowed.
///
/// # Errors
/// Checks in this order: length, signature, JSON.
pub fn open<T: DeserializeOwned>(kind: &str, bytes: &[u8], max_len: usize) -> Result<(T, Hotkey), SealError> {
    open_again(kind, bytes, max_len, &Verified::default())
}

/// [`open`] for a message that many readers in this process read.
///
/// # Errors
/// The same.
pub fn open_again<T: DeserializeOwned>(
    kind: &str,
    bytes: &[u8],
    max_len: usize,
    verified: &Verified,
) -> Result<(T, Hotkey), SealError> {
    if bytes.len() > max_len {
        return Err(SealError::TooLong { max: max_len, found: bytes.len() });
    }
    let (text, signer, signature) = split(bytes).ok_or(SealError::NoSignature)?;
    if !verified.verify(&signer, &signed(kind, text), &signature) {
        return Err(SealError::Signature { signer });
    }
    let message = serde_json::from_slice(text).map_err(|source| SealError::Json { source })?;
    Ok((message, signer))
}

fn signed(kind: &str, text: &[u8]) -> Digest {
    Digest::of_parts([b"gauntlet message", kind.as_bytes(), text])
}

fn split(bytes: &[u8]) -> Option<(&[u8], Hotkey, [u8; SIGNATURE_LEN])> {
    let (text, trailer) = bytes.split_at_checked(bytes.len().checked_sub(TRAILER_LEN)?)?;
    let line = trailer.strip_prefix(b"\n")?.strip_suffix(b"\n")?;
    let (hotkey, signature) = line.split_at_checked(64)?;
    Some((text, Hotkey(hex::parse(hotkey)?), hex::parse(signature.strip_prefix(b" ")?)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer() -> Identity {
        Identity::from_seed(1, "validator", 0)
    }

    fn read(bytes: &[u8]) -> Result<(Vec<u32>, Hotkey), SealError> {
        open("numbers", bytes, 1000)
    }

    #[test]
    fn a_message_reads_back_with_its_signer() {
        let bytes = seal("numbers", &[1, 2, 3], &signer());
        let (message, hotkey) = read(&bytes).unwrap();
        assert_eq!((message, hotkey), (vec![1, 2, 3], signer().hotkey()));
    }

    #[test]
    fn each_wrong_part_has_its_own_error() {
        let good = seal("numbers", &[1, 2, 3], &signer());
        assert!(matches!(open::<Vec<u32>>("numbers", &good, 10), Err(SealError::TooLong { .. })));
        assert!(matches!(read(&good[..good.len() - 1]), Err(SealError::NoSignature)));
        assert!(matches!(read(b""), Err(SealError::NoSignature)));
        assert!(matches!(open::<Vec<u32>>("letters", &good, 1000), Err(SealError::Signature { .. })));
        let edited = String::from_utf8(good.to_vec()).unwrap().replace('3', "4");
        assert!(read(edited.as_bytes()).is_err());
        assert!(matches!(read(&seal("numbers", &"text", &signer())), Err(SealError::Json { .. })));
        // Signed by one hotkey, but naming another.
        let other = Identity::from_seed(1, "validator", 1).hotkey().to_string();
        let renamed = String::from_utf8(good.to_vec()).unwrap().replace(&signer().hotkey().to_string(), &other);
        assert!(matches!(read(renamed.as_bytes()), Err(SealError::Signature { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(read(&bytes).is_err());
        }
    }
}
