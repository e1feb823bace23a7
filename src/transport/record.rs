//! The record of a round: which uploads were aggregated, and the resulting model.
//!
//! A put of a record fails if one exists, so each round has exactly one. The first validator to write it decides, and
//! all nodes follow, other validators included. It is signed JSON ([`super::sealed`]).

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::sealed::{self, SealError};
use super::verified::Verified;
use super::{Hotkey, Identity};
use crate::Uid;
use crate::digest::Digest;

const KIND: &str = "record";

/// A validator's decision about a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundRecord {
    /// Digest that names the run.
    pub run: Digest,
    pub round: u64,
    pub validator: Hotkey,
    /// The uploads that were aggregated, each uid once.
    pub included: Vec<Included>,
    /// Digests of the model before and after the aggregate was applied.
    pub model_before: Digest,
    pub model_after: Digest,
}

/// An upload that was aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Included {
    pub uid: Uid,
    pub hotkey: Hotkey,
    /// Digest of the upload's bytes, including the signature.
    pub payload: Digest,
}

/// Why bytes are not the expected record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("not a record: {0}")]
    Seal(#[from] SealError),
    #[error("record is signed by {signer}, which is not a validator of this run")]
    NotAValidator { signer: Hotkey },
    #[error("record belongs to run {}, not to {}", found.short(), expected.short())]
    Run { expected: Digest, found: Digest },
    #[error("record is of round {found}, not of round {expected}")]
    Round { expected: u64, found: u64 },
    #[error("record names validator {found}, but {expected} signed it")]
    Validator { expected: Hotkey, found: Hotkey },
    #[error("record includes uid {uid} twice")]
    Twice { uid: Uid },
}

/// Encodes a record, signed by `identity`.
pub fn encode(record: &RoundRecord, identity: &Identity) -> Bytes {
    sealed::seal(KIND, record, identity)
}

/// The largest record in bytes with this many uploads. Readers fetch no more.
pub fn max_len(included: usize) -> usize {
    // The pretty text with the largest numbers takes under 450 bytes, and under 230 per upload.
    512 + 256 * included + sealed::TRAILER_LEN
}

/// Decodes the record of a round of a run, signed by one of its validators.
///
/// # Errors
/// Checks in this order: length, signature, JSON, signer, run, round, and that no uid is included twice.
pub fn decode(
    bytes: &[u8],
    max_len: usize,
    run: &Digest,
    round: u64,
    is_validator: impl Fn(&Hotkey) -> bool,
    verified: &Verified,
) -> Result<RoundRecord, RecordError> {
    let (record, signer): (RoundRecord, Hotkey) = sealed::open_again(KIND, bytes, max_len, verified)?;
    if !is_validator(&signer) {
        return Err(RecordError::NotAValidator { signer });
    }
    if record.run != *run {
        return Err(RecordError::Run { expected: *run, found: record.run });
    }
    if record.round != round {
        return Err(RecordError::Round { expected: round, found: record.round });
    }
    if record.validator != signer {
        return Err(RecordError::Validator { expected: signer, found: record.validator });
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = record.included.iter().find(|included| !seen.insert(included.uid)) {
        return Err(RecordError::Twice { uid: twice.uid });
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validator() -> Identity {
        Identity::from_seed(1, "validator", 0)
    }

    fn record(included: u16) -> RoundRecord {
        RoundRecord {
            run: Digest::of(b"run"),
            round: 12,
            validator: validator().hotkey(),
            included: (0..included)
                .map(|uid| Included {
                    uid: u16::MAX - uid,
                    hotkey: Identity::from_seed(1, "peer", uid.into()).hotkey(),
                    payload: Digest::of(&uid.to_le_bytes()),
                })
                .collect(),
            model_before: Digest::of(b"before"),
            model_after: Digest::of(b"after"),
        }
    }

    fn read(bytes: &[u8]) -> Result<RoundRecord, RecordError> {
        let is_validator = |hotkey: &Hotkey| *hotkey == validator().hotkey();
        decode(bytes, max_len(50), &Digest::of(b"run"), 12, is_validator, &Verified::default())
    }

    #[test]
    fn a_record_reads_back_and_keeps_to_its_length() {
        for included in [0, 1, 15, 50] {
            let record = RoundRecord { round: u64::MAX, ..record(included) };
            let bytes = encode(&record, &validator());
            assert!(bytes.len() <= max_len(included.into()), "{} of {included}", bytes.len());
            let longest = max_len(included.into());
            let decoded = decode(&bytes, longest, &record.run, record.round, |_| true, &Verified::default()).unwrap();
            assert_eq!(decoded, record);
        }
    }

    #[test]
    fn each_wrong_part_has_its_own_error() {
        let good = encode(&record(2), &validator());
        let signed = |record: &RoundRecord| read(&encode(record, &validator())).unwrap_err();
        assert!(matches!(read(&good[1..]), Err(RecordError::Seal(SealError::Signature { .. }))));
        let peer = Identity::from_seed(1, "peer", 0);
        assert!(matches!(read(&encode(&record(2), &peer)), Err(RecordError::NotAValidator { .. })));
        assert!(matches!(signed(&RoundRecord { run: Digest::of(b"x"), ..record(2) }), RecordError::Run { .. }));
        assert!(matches!(signed(&RoundRecord { round: 11, ..record(2) }), RecordError::Round { found: 11, .. }));
        let other = Identity::from_seed(1, "validator", 1).hotkey();
        assert!(matches!(signed(&RoundRecord { validator: other, ..record(2) }), RecordError::Validator { .. }));
        let mut twice = record(2);
        twice.included[1].uid = twice.included[0].uid;
        assert!(matches!(signed(&twice), RecordError::Twice { uid: u16::MAX }));
    }
}
