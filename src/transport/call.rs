//! Calls to the chain as nodes store them in the bucket: signed JSON ([`super::sealed`]).
//!
//! A registration is stored under the slot it asks for, with a put that fails if the object exists, so the first of two
//! contenders gets the slot. A validator stores weights below its own prefix. The store's stamp decides which block a
//! call belongs to.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::sealed::{self, SealError};
use super::{Hotkey, Identity};
use crate::Uid;
use crate::digest::Digest;

const REGISTRATION: &str = "registration";
const WEIGHTS: &str = "weights";
const STATEMENT: &str = "validator's call";

/// The largest registration in bytes.
pub const REGISTRATION_LEN: usize = 1024;
/// The largest object of a validator's call in bytes: room for weights of all slots that a chain may have.
pub const WEIGHTS_LEN: usize = 64 * 1024;

/// A peer's claim to a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Digest that names the run.
    pub run: Digest,
    pub uid: Uid,
    /// The number of earlier registrations for the slot.
    pub generation: u32,
    /// The URL of the peer's own bucket for its uploads, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
}

/// A validator's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Digest that names the run.
    pub run: Digest,
    /// The block in which the validator sent them.
    pub block: u64,
    pub weights: Vec<(Uid, f64)>,
}

/// A validator's call that is not plain weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Digest that names the run.
    pub run: Digest,
    /// The block in which the validator sent it.
    pub block: u64,
    /// Its number among those of this block, from 1 on.
    pub nth: u8,
    pub says: Says,
}

/// What a validator says in a [`Statement`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Says {
    /// It commits to weights.
    Commits(Digest),
    /// It reveals weights of an earlier commitment.
    Reveals { weights: Vec<(Uid, f64)>, salt: Digest },
    /// It objects to the record of a round, because it lacks payloads or because no honest validator would have written
    /// it.
    Objects { round: u64, author: Hotkey, lacks: bool },
}

/// Why bytes are not the expected call.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("not a call: {0}")]
    Seal(#[from] SealError),
    #[error("the call belongs to another run or to another path")]
    Misplaced,
    #[error("the call is signed by {found}, not by {expected}")]
    Signer { expected: Hotkey, found: Hotkey },
}

/// Encodes a registration, signed by the node that wants the slot.
pub fn encode_registration(registration: &Registration, identity: &Identity) -> Bytes {
    sealed::seal(REGISTRATION, registration, identity)
}

/// Decodes a registration: the hotkey that claims the slot, and the bucket it names.
///
/// # Errors
/// The bytes are not a signed registration of this run for this slot and generation.
pub fn decode_registration(
    bytes: &[u8],
    run: &Digest,
    uid: Uid,
    generation: u32,
) -> Result<(Hotkey, Option<String>), CallError> {
    let (found, signer): (Registration, Hotkey) = sealed::open(REGISTRATION, bytes, REGISTRATION_LEN)?;
    if (found.run, found.uid, found.generation) != (*run, uid, generation) {
        return Err(CallError::Misplaced);
    }
    Ok((signer, found.bucket))
}

/// Encodes a validator's weights, signed by the validator.
pub fn encode_weights(weights: &Weights, identity: &Identity) -> Bytes {
    sealed::seal(WEIGHTS, weights, identity)
}

/// Decodes the weights that `validator` posted in `block`.
///
/// # Errors
/// The bytes are not weights of this run and block, signed by `validator`.
pub fn decode_weights(
    bytes: &[u8],
    run: &Digest,
    block: u64,
    validator: &Hotkey,
) -> Result<Vec<(Uid, f64)>, CallError> {
    let (found, signer): (Weights, Hotkey) = sealed::open(WEIGHTS, bytes, WEIGHTS_LEN)?;
    if signer != *validator {
        return Err(CallError::Signer { expected: *validator, found: signer });
    }
    if found.run != *run || found.block != block {
        return Err(CallError::Misplaced);
    }
    Ok(found.weights)
}

/// Encodes a validator's statement, signed by the validator.
pub fn encode_statement(statement: &Statement, identity: &Identity) -> Bytes {
    sealed::seal(STATEMENT, statement, identity)
}

/// Decodes the statement `nth` of `validator` in `block`.
///
/// # Errors
/// The bytes are no such statement of this run, signed by `validator`.
pub fn decode_statement(
    bytes: &[u8],
    run: &Digest,
    (block, nth): (u64, u8),
    validator: &Hotkey,
) -> Result<Says, CallError> {
    let (found, signer): (Statement, Hotkey) = sealed::open(STATEMENT, bytes, WEIGHTS_LEN)?;
    if signer != *validator {
        return Err(CallError::Signer { expected: *validator, found: signer });
    }
    if (found.run, found.block, found.nth) != (*run, block, nth) {
        return Err(CallError::Misplaced);
    }
    Ok(found.says)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(index: u64) -> Identity {
        Identity::from_seed(1, "peer", index)
    }

    #[test]
    fn a_registration_is_for_one_slot_of_one_run() {
        let (run, bucket) = (Digest::of(b"run"), Some("s3://mine/uploads".to_string()));
        let registration = Registration { run, uid: 7, generation: 2, bucket: bucket.clone() };
        let bytes = encode_registration(&registration, &identity(0));
        assert!(bytes.len() <= REGISTRATION_LEN);
        assert_eq!(decode_registration(&bytes, &run, 7, 2).unwrap(), (identity(0).hotkey(), bucket));
        for (run, uid, generation) in [(Digest::of(b"other"), 7, 2), (run, 8, 2), (run, 7, 3)] {
            assert!(matches!(decode_registration(&bytes, &run, uid, generation), Err(CallError::Misplaced)));
        }
        assert!(matches!(decode_registration(&bytes[1..], &run, 7, 2), Err(CallError::Seal(_))));
    }

    #[test]
    fn weights_are_one_validators_of_one_block() {
        let run = Digest::of(b"run");
        let all: Vec<(Uid, f64)> = (0..250).map(|uid| (uid, f64::MAX / f64::from(uid + 1) / 3.0)).collect();
        let weights = Weights { run, block: 84, weights: all.clone() };
        let bytes = encode_weights(&weights, &identity(0));
        assert!(bytes.len() <= WEIGHTS_LEN, "{}", bytes.len());
        let own = identity(0).hotkey();
        assert_eq!(decode_weights(&bytes, &run, 84, &own).unwrap(), all);
        assert!(matches!(decode_weights(&bytes, &run, 85, &own), Err(CallError::Misplaced)));
        assert!(matches!(decode_weights(&bytes, &Digest::of(b"x"), 84, &own), Err(CallError::Misplaced)));
        let other = identity(1).hotkey();
        assert!(matches!(decode_weights(&bytes, &run, 84, &other), Err(CallError::Signer { .. })));
    }

    #[test]
    fn a_statement_is_one_validators_at_one_place() {
        let (run, own, other) = (Digest::of(b"run"), identity(0).hotkey(), identity(1).hotkey());
        let weights: Vec<(Uid, f64)> = (0..250).map(|uid| (uid, f64::MAX / f64::from(uid + 1) / 3.0)).collect();
        for says in [
            Says::Commits(Digest::of(b"weights")),
            Says::Reveals { weights, salt: Digest::of(b"salt") },
            Says::Objects { round: u64::MAX, author: other, lacks: true },
        ] {
            let statement = Statement { run, block: 84, nth: 3, says: says.clone() };
            let bytes = encode_statement(&statement, &identity(0));
            assert!(bytes.len() <= WEIGHTS_LEN, "{}", bytes.len());
            let read = |run, place, validator| decode_statement(&bytes, &run, place, &validator);
            assert_eq!(read(run, (84, 3), own).unwrap(), says);
            for place in [(85, 3), (84, 4)] {
                assert!(matches!(read(run, place, own), Err(CallError::Misplaced)));
            }
            assert!(matches!(read(Digest::of(b"x"), (84, 3), own), Err(CallError::Misplaced)));
            assert!(matches!(read(run, (84, 3), other), Err(CallError::Signer { .. })));
            assert!(decode_weights(&bytes, &run, 84, &own).is_err(), "it is never taken for weights");
        }
    }
}
