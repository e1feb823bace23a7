//! What a validator asks of peers whose work of a round it will do again: signed JSON ([`super::sealed`]).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::sealed::{self, SealError};
use super::verified::Verified;
use super::{Hotkey, Identity};
use crate::Uid;
use crate::digest::Digest;

const KIND: &str = "audits";

/// The largest request in bytes: room for all slots that a chain may have.
pub const REQUEST_LEN: usize = 64 * 1024;

/// The peers that a validator audits in a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Digest that names the run.
    pub run: Digest,
    pub round: u64,
    pub uids: Vec<Uid>,
}

/// Why bytes are not the expected request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("not a request for audits: {0}")]
    Seal(#[from] SealError),
    #[error("the request is of another run or round")]
    Misplaced,
    #[error("the request is signed by {found}, not by {expected}")]
    Signer { expected: Hotkey, found: Hotkey },
}

/// Encodes a request, signed by the validator.
pub fn encode(request: &Request, identity: &Identity) -> Bytes {
    sealed::seal(KIND, request, identity)
}

/// Decodes the request of `validator` in a round: the uids that it names.
///
/// # Errors
/// The bytes are no request of this run and round, signed by `validator`.
pub fn decode(
    bytes: &[u8],
    run: &Digest,
    round: u64,
    validator: &Hotkey,
    verified: &Verified,
) -> Result<Vec<Uid>, RequestError> {
    let (found, signer): (Request, Hotkey) = sealed::open_again(KIND, bytes, REQUEST_LEN, verified)?;
    if signer != *validator {
        return Err(RequestError::Signer { expected: *validator, found: signer });
    }
    if (found.run, found.round) != (*run, round) {
        return Err(RequestError::Misplaced);
    }
    Ok(found.uids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_validators_for_one_round() {
        let [own, other] = [0, 1].map(|index| Identity::from_seed(1, "validator", index));
        let run = Digest::of(b"run");
        let request = Request { run, round: 12, uids: (0..4096).collect() };
        let bytes = encode(&request, &own);
        assert!(bytes.len() <= REQUEST_LEN, "{}", bytes.len());
        let read = |run, round, of: &Identity| decode(&bytes, &run, round, &of.hotkey(), &Verified::default());
        assert_eq!(read(run, 12, &own).unwrap(), request.uids);
        assert!(matches!(read(run, 12, &other), Err(RequestError::Signer { .. })));
        assert!(matches!(read(run, 13, &own), Err(RequestError::Misplaced)));
        assert!(matches!(read(Digest::of(b"x"), 12, &own), Err(RequestError::Misplaced)));
        let cut = decode(&bytes[1..], &run, 12, &own.hotkey(), &Verified::default());
        assert!(matches!(cut, Err(RequestError::Seal(_))));
    }
}
