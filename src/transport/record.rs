//! A validator's word on a round: whose uploads were aggregated, and which model came of it.
//!
//! A JSON text that people can read in the bucket, and under it one line with the ed25519 signature (hexadecimal) of
//! the blake3 digest of the text.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::identity::SIGNATURE_LEN;
use super::{Hotkey, Identity, hex};
use crate::Uid;
use crate::digest::Digest;

/// Bytes after the text: a line break, the signature, a line break.
const TRAILER_LEN: usize = 1 + 2 * SIGNATURE_LEN + 1;

/// What a validator says about a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundRecord {
    /// Digest that names the run.
    pub run: Digest,
    pub round: u64,
    pub validator: Hotkey,
    /// The uploads that were aggregated, each uid once.
    pub included: Vec<Included>,
    /// Digest of the model that they were applied to, and of what came of it.
    pub model_before: Digest,
    pub model_after: Digest,
}

/// An upload that was aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Included {
    pub uid: Uid,
    pub hotkey: Hotkey,
    /// Digest of the upload's bytes, signature included.
    pub payload: Digest,
}

/// Why some bytes are not the record that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("record of {found} bytes; at most {max} expected")]
    TooLong { max: usize, found: usize },
    #[error("record does not end with a line of {} hexadecimal digits, its signature", 2 * SIGNATURE_LEN)]
    NoSignature,
    #[error("record is not signed by {validator}")]
    Signature { validator: Hotkey },
    #[error("record is not what version {} of this program writes: {source}", env!("CARGO_PKG_VERSION"))]
    Json { source: serde_json::Error },
    #[error("record belongs to run {}, not to {}", found.short(), expected.short())]
    Run { expected: Digest, found: Digest },
    #[error("record is of round {found}, not of round {expected}")]
    Round { expected: u64, found: u64 },
    #[error("record names validator {found}, but {expected} signed it")]
    Validator { expected: Hotkey, found: Hotkey },
    #[error("record includes uid {uid} twice")]
    Twice { uid: Uid },
}

/// The record's bytes, signed by `identity`.
pub fn encode(record: &RoundRecord, identity: &Identity) -> Bytes {
    let mut text = serde_json::to_string_pretty(record).expect("a record is plain data");
    let signature = identity.sign(&Digest::of(text.as_bytes()).0);
    text.push('\n');
    hex::write(&mut text, &signature).expect("a string takes any text");
    text.push('\n');
    text.into()
}

/// Length in bytes of a record that includes so many uploads: what a reader asks for at most.
pub fn max_len(included: usize) -> usize {
    // Names, line breaks and the largest numbers of the pretty text: under 450 bytes, and under 230 for each upload.
    512 + 256 * included + TRAILER_LEN
}

/// Reads the record of `validator` for a round of a run.
///
/// # Errors
/// Checked in this order: length, signature, JSON, whether it is the record asked for, and that no uid is included
/// twice.
pub fn decode(
    bytes: &[u8],
    max_len: usize,
    run: &Digest,
    round: u64,
    validator: &Hotkey,
) -> Result<RoundRecord, RecordError> {
    if bytes.len() > max_len {
        return Err(RecordError::TooLong { max: max_len, found: bytes.len() });
    }
    let (text, signature) = split_signature(bytes).ok_or(RecordError::NoSignature)?;
    if !validator.verify(&Digest::of(text).0, &signature) {
        return Err(RecordError::Signature { validator: *validator });
    }
    let record: RoundRecord = serde_json::from_slice(text).map_err(|source| RecordError::Json { source })?;
    if record.run != *run {
        return Err(RecordError::Run { expected: *run, found: record.run });
    }
    if record.round != round {
        return Err(RecordError::Round { expected: round, found: record.round });
    }
    if record.validator != *validator {
        return Err(RecordError::Validator { expected: *validator, found: record.validator });
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = record.included.iter().find(|included| !seen.insert(included.uid)) {
        return Err(RecordError::Twice { uid: twice.uid });
    }
    Ok(record)
}

fn split_signature(bytes: &[u8]) -> Option<(&[u8], [u8; SIGNATURE_LEN])> {
    let (text, trailer) = bytes.split_at_checked(bytes.len().checked_sub(TRAILER_LEN)?)?;
    let digits = trailer.strip_prefix(b"\n")?.strip_suffix(b"\n")?;
    Some((text, hex::parse(digits)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        decode(bytes, max_len(50), &Digest::of(b"run"), 12, &validator().hotkey())
    }

    #[test]
    fn a_record_reads_back_and_keeps_to_its_length() {
        for included in [0, 1, 15, 50] {
            let record = RoundRecord { round: u64::MAX, ..record(included) };
            let bytes = encode(&record, &validator());
            assert!(bytes.len() <= max_len(included.into()), "{} of {included}", bytes.len());
            let decoded =
                decode(&bytes, max_len(included.into()), &record.run, record.round, &record.validator).unwrap();
            assert_eq!(decoded, record);
        }
    }

    #[test]
    fn each_wrong_part_is_an_error_of_its_own() {
        let good = encode(&record(2), &validator());
        let signed = |record: &RoundRecord| read(&encode(record, &validator())).unwrap_err();
        assert!(matches!(
            decode(&good, 10, &record(0).run, 12, &validator().hotkey()),
            Err(RecordError::TooLong { .. })
        ));
        assert!(matches!(read(&good[..good.len() - 1]), Err(RecordError::NoSignature)));
        assert!(matches!(read(b""), Err(RecordError::NoSignature)));
        let by_peer = encode(&record(2), &Identity::from_seed(1, "peer", 0));
        assert!(matches!(read(&by_peer), Err(RecordError::Signature { .. })));
        assert!(matches!(signed(&RoundRecord { run: Digest::of(b"x"), ..record(2) }), RecordError::Run { .. }));
        assert!(matches!(signed(&RoundRecord { round: 11, ..record(2) }), RecordError::Round { found: 11, .. }));
        let other = Identity::from_seed(1, "validator", 1).hotkey();
        assert!(matches!(signed(&RoundRecord { validator: other, ..record(2) }), RecordError::Validator { .. }));
        let mut twice = record(2);
        twice.included[1].uid = twice.included[0].uid;
        assert!(matches!(signed(&twice), RecordError::Twice { uid: u16::MAX }));
        let edited = String::from_utf8(good.to_vec()).unwrap().replace("\"round\": 12", "\"round\": 13");
        assert!(matches!(read(edited.as_bytes()), Err(RecordError::Signature { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_signed_text_is_an_error(mut text in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&text).is_err());
            let signature = validator().sign(&Digest::of(&text).0);
            let mut line = String::from("\n");
            hex::write(&mut line, &signature).unwrap();
            text.extend(line.bytes().chain(*b"\n"));
            prop_assert!(matches!(read(&text), Err(RecordError::Json { .. })), "signed, but no record");
        }
    }
}
