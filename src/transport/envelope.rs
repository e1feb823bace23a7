//! A sealed upload: encrypted while the put window is open, and read with a key that its peer puts after it. Version 1.
//! All numbers are little-endian.
//!
//! | bytes | a sealed upload |
//! |---|---|
//! | 4 | `GNTE` |
//! | 2 | version |
//! | 32 | digest of the run |
//! | 8 | round |
//! | 2 | uid |
//! | 32 | hotkey |
//! | 32 | blake3 digest of the plain upload |
//! | n | the plain upload ([`super::wire`]), encrypted with ChaCha20-Poly1305; all bytes before it are the associated data |
//! | 16 | Poly1305 tag |
//! | 64 | ed25519 signature of the blake3 digest of all bytes before it |
//!
//! | bytes | its key |
//! |---|---|
//! | 4 | `GNTK` |
//! | 2 | version |
//! | 32 | blake3 digest of the plain upload that it opens |
//! | 32 | the key |
//!
//! ChaCha20-Poly1305 does not commit to its key: a ciphertext can be made that two keys open, to two texts. So a valid
//! tag decides nothing here. The signed digest does: a key opens the upload only if it yields the text with that digest,
//! and there is one such text. The digest tells others nothing about the text, which ends with a signature that only its
//! peer can make.
//!
//! A key follows from its peer's secret, the run, the round and the digest of the text. So it encrypts one text only,
//! and the nonce can be constant.

use bytes::Bytes;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce, Tag};

use super::identity::SIGNATURE_LEN;
use super::verified::Verified;
use super::wire::{self, Expected, HEADER_LEN, WireError};
use super::{Identity, take};
use crate::digest::Digest;
use crate::words::counted;

const MAGIC: [u8; 4] = *b"GNTE";
const KEY_MAGIC: [u8; 4] = *b"GNTK";
const VERSION: u16 = 1;
const TAG_LEN: usize = 16;
/// Length in bytes of every key object.
pub const KEY_LEN: usize = 4 + 2 + 32 + 32;

/// Length in bytes of a sealed upload whose plain text has this length.
pub fn sealed_len(plain: usize) -> usize {
    HEADER_LEN + plain + TAG_LEN + SIGNATURE_LEN
}

/// Why bytes are not the expected sealed upload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("not a sealed upload: it does not begin with \"GNTE\"")]
    NotSealed,
    #[error("sealed upload of format version {found}; this program reads version {VERSION}")]
    Version { found: u16 },
    #[error("sealed upload has {}; those of this model and scheme have {expected}", counted(*.found, "byte"))]
    Length { expected: usize, found: usize },
    /// It belongs to another run, round or peer, or is not signed.
    #[error(transparent)]
    Header(#[from] WireError),
}

/// Why a key does not open a sealed upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no key, or yields something else than the text whose digest is signed.
    #[error("the key does not open the upload")]
    Wrong,
    /// It names the digest of another upload.
    #[error("the key is of another upload")]
    OfAnother,
}

/// Encrypts a plain upload and signs the result. Returns the sealed upload and its key.
///
/// Checks nothing, because nodes that misbehave use it too. The reader checks.
pub fn seal(plain: &[u8], of: &Expected, identity: &Identity) -> (Bytes, Bytes) {
    let payload = Digest::of(plain);
    let key = identity.key_of_upload(&of.run, of.round, &payload);
    (seal_with(plain, of, identity, &payload, &key), key_object(&payload, &key))
}

/// Encrypts any text under a signature of any digest.
fn seal_with(plain: &[u8], of: &Expected, identity: &Identity, payload: &Digest, key: &[u8; 32]) -> Bytes {
    let mut bytes = Vec::with_capacity(sealed_len(plain.len()));
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(of.run.0);
    bytes.extend(of.round.to_le_bytes());
    bytes.extend(of.uid.to_le_bytes());
    bytes.extend(of.hotkey.0);
    bytes.extend(payload.0);
    bytes.extend(plain);
    let (header, text) = bytes.split_at_mut(HEADER_LEN);
    let tag = cipher(key).encrypt_inout_detached(&Nonce::default(), header, text.into());
    bytes.extend(tag.expect("an upload has less than 256 GiB"));
    let signature = identity.sign(&Digest::of(&bytes).0);
    bytes.extend(signature);
    bytes.into()
}

fn key_object(payload: &Digest, key: &[u8; 32]) -> Bytes {
    [&KEY_MAGIC[..], &VERSION.to_le_bytes(), &payload.0, key].concat().into()
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(&Key::from(*key))
}

/// A sealed upload of the expected peer and round, as this peer signed it.
#[derive(Clone, Debug)]
pub struct Envelope {
    payload: Digest,
    bytes: Bytes,
}

impl Envelope {
    /// Checks a sealed upload whose plain text has `plain` bytes.
    ///
    /// # Errors
    /// Checks in this order: format, length, run, round and peer, signature. Nothing is allocated.
    pub fn read(bytes: &Bytes, plain: usize, expected: &Expected, verified: &Verified) -> Result<Self, EnvelopeError> {
        let mut rest = &bytes[..];
        if take(&mut rest) != Some(MAGIC) {
            return Err(EnvelopeError::NotSealed);
        }
        let (right, found) = (sealed_len(plain), bytes.len());
        let length = EnvelopeError::Length { expected: right, found };
        let Some(version) = take(&mut rest).map(u16::from_le_bytes) else { return Err(length) };
        if version != VERSION {
            return Err(EnvelopeError::Version { found: version });
        }
        if found != right {
            return Err(length);
        }
        let payload = wire::check_header(&mut rest, expected)?;
        wire::check_signature(bytes, &expected.hotkey, verified)?;
        Ok(Self { payload, bytes: bytes.clone() })
    }

    /// Decrypts the plain upload. `key` is an object of any bytes. The result has the signed digest, but need not be an
    /// upload.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn open(&self, key: &[u8]) -> Result<Bytes, KeyError> {
        let mut rest = key;
        let (magic, version) = (take(&mut rest), take(&mut rest).map(u16::from_le_bytes));
        let (Some(payload), Some(secret)) = (take(&mut rest).map(Digest), take(&mut rest)) else {
            return Err(KeyError::Wrong);
        };
        if magic != Some(KEY_MAGIC) || version != Some(VERSION) || !rest.is_empty() {
            return Err(KeyError::Wrong);
        }
        if payload != self.payload {
            return Err(KeyError::OfAnother);
        }
        let (header, rest) = self.bytes.split_at(HEADER_LEN);
        let (text, tag) = rest.split_at(rest.len() - SIGNATURE_LEN - TAG_LEN);
        let tag: [u8; TAG_LEN] = *tag.first_chunk().ok_or(KeyError::Wrong)?;
        let mut plain = text.to_vec();
        cipher(&secret)
            .decrypt_inout_detached(&Nonce::default(), header, plain.as_mut_slice().into(), &Tag::from(tag))
            .map_err(|_| KeyError::Wrong)?;
        if Digest::of(&plain) == payload { Ok(plain.into()) } else { Err(KeyError::Wrong) }
    }
}

#[cfg(test)]
mod tests;
