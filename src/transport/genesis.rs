//! The genesis of a run, the first object in its bucket: all that a node must know to take part, as JSON. Every signed
//! message names the run by the digest of these bytes, so messages of one run are invalid in another.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Hotkey;
use super::sealed::{self, SealError};
use crate::digest::Digest;
use crate::transport::Identity;

/// Format of the object.
const VERSION: u32 = 1;
/// The largest genesis in bytes: a scenario with many groups of peers, and a hotkey for each slot.
pub const MAX_LEN: usize = 1 << 20;
/// The largest start in bytes.
pub const START_LEN: usize = 1024;

/// All that defines a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    version: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// All settings, as TOML.
    pub scenario: String,
    /// Hotkey and stake of each validator, in the scenario's order.
    pub validators: Vec<(Hotkey, f64)>,
    /// Peers that hold slots 0, 1, 2, ... from the start.
    pub peers: Vec<Hotkey>,
    /// Digest of the initial model.
    pub theta: Digest,
    /// Digest of the corpus.
    pub corpus: Digest,
    /// Makes runs with the same settings differ.
    pub nonce: u64,
}

impl Genesis {
    /// A new run with these settings.
    pub fn new(
        scenario: String,
        validators: Vec<(Hotkey, f64)>,
        peers: Vec<Hotkey>,
        theta: Digest,
        corpus: Digest,
        nonce: u64,
    ) -> Self {
        let program = env!("CARGO_PKG_VERSION").to_string();
        Self { version: VERSION, program, scenario, validators, peers, theta, corpus, nonce }
    }

    /// Whether the other run has the same settings, ignoring its nonce and the version of the program.
    pub fn has_same_settings(&self, other: &Self) -> bool {
        *self == Self { nonce: self.nonce, program: self.program.clone(), ..other.clone() }
    }
}

/// Why bytes are not a genesis.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    #[error("it has {found} bytes; a genesis has at most {MAX_LEN}")]
    TooLong { found: usize },
    #[error("it is of format {found}; this program reads format {VERSION}")]
    Version { found: u64 },
    #[error("it is not what `sim genesis` writes: {0}")]
    Json(#[from] serde_json::Error),
}

/// Encodes a genesis. The digest of the bytes names the run.
pub fn encode(genesis: &Genesis) -> Bytes {
    serde_json::to_vec_pretty(genesis).expect("plain data").into()
}

/// Decodes a genesis, and returns the digest that names the run.
///
/// # Errors
/// Too many bytes, another format, or anything that `encode` does not write.
pub fn decode(bytes: &[u8]) -> Result<(Genesis, Digest), GenesisError> {
    #[derive(Deserialize)]
    struct Format {
        version: u64,
    }
    if bytes.len() > MAX_LEN {
        return Err(GenesisError::TooLong { found: bytes.len() });
    }
    let Format { version } = serde_json::from_slice(bytes)?;
    if version != u64::from(VERSION) {
        return Err(GenesisError::Version { found: version });
    }
    Ok((serde_json::from_slice(bytes)?, Digest::of(bytes)))
}

/// The start of round 0. A validator writes it once, when it is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Digest that names the run.
    pub run: Digest,
    /// Milliseconds since 1970 by the store's clock.
    pub unix_ms: i64,
}

const START: &str = "start";

/// Encodes a start, signed by a validator.
pub fn encode_start(start: &Start, identity: &Identity) -> Bytes {
    sealed::seal(START, start, identity)
}

/// Decodes a start, and returns its signer.
///
/// # Errors
/// The bytes are not a signed start.
pub fn decode_start(bytes: &[u8]) -> Result<(Start, Hotkey), SealError> {
    sealed::open(START, bytes, START_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> Genesis {
        let hotkey = |index| Identity::from_seed(1, "validator", index).hotkey();
        let validators = vec![(hotkey(0), 1000.0), (hotkey(1), 0.1)];
        Genesis::new("name = 'n'".into(), validators, vec![hotkey(2)], Digest::of(b"t"), Digest::of(b"c"), 5)
    }

    #[test]
    fn a_genesis_reads_back_and_its_digest_is_its_own() {
        let (read, run) = decode(&encode(&genesis())).unwrap();
        assert_eq!(read, genesis());
        let other = Genesis { nonce: 6, ..genesis() };
        assert_ne!(decode(&encode(&other)).unwrap().1, run);
        assert!(
            other.has_same_settings(&genesis())
                && !Genesis { theta: Digest::of(b"u"), ..other }.has_same_settings(&genesis())
        );
    }

    #[test]
    fn each_wrong_part_has_its_own_error() {
        assert!(matches!(decode(&vec![b' '; MAX_LEN + 1]), Err(GenesisError::TooLong { .. })));
        let newer = Genesis { version: 2, ..genesis() };
        assert!(matches!(decode(&encode(&newer)), Err(GenesisError::Version { found: 2 })));
        for wrong in [&b""[..], b"{}", b"{\"version\":1}", b"[]"] {
            assert!(matches!(decode(wrong), Err(GenesisError::Json(_))));
        }
    }

    #[test]
    fn a_start_reads_back_with_its_signer() {
        let (start, validator) = (Start { run: Digest::of(b"r"), unix_ms: -7 }, Identity::from_seed(1, "validator", 0));
        let (read, signer) = decode_start(&encode_start(&start, &validator)).unwrap();
        assert_eq!((read, signer), (start, validator.hotkey()));
    }
}
