//! Weights that a validator commits to before anybody can read them.
//!
//! With `chain.commit_reveal`, a validator first posts a digest of its weights and a salt. It reveals both after the next
//! epoch, and only then do the weights count. So weights that are copied from others are an epoch late.

use serde::{Deserialize, Serialize};

use super::registry::Hotkey;
use crate::Uid;
use crate::digest::Digest;

/// A commitment can be opened for this many epochs after its own.
const OPEN_FOR: u64 = 2;

/// The digest that commits a validator to its weights. It covers the validator, so nobody can post another's as its own.
pub fn commitment(validator: &Hotkey, weights: &[(Uid, f64)], salt: &Digest) -> Digest {
    let plain = postcard::to_stdvec(weights).expect("plain numbers");
    Digest::of_parts([&b"gauntlet: weights"[..], validator, &salt.0, &plain])
}

/// The commitments of one validator that are not revealed yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Commitments(Vec<Commitment>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Commitment {
    /// The epoch before which it was made.
    epoch: u64,
    block: u64,
    digest: Digest,
}

impl Commitments {
    /// Takes a commitment made before this epoch. Returns whether it is the epoch's first; others have no effect.
    pub fn commit(&mut self, epoch: u64, block: u64, digest: Digest) -> bool {
        self.0.retain(|made| made.epoch + OPEN_FOR >= epoch);
        let is_first = self.0.iter().all(|made| made.epoch != epoch);
        if is_first {
            self.0.push(Commitment { epoch, block, digest });
        }
        is_first
    }

    /// Opens the commitment with this digest. Returns its block; `None` if no earlier epoch has it.
    pub fn open(&mut self, epoch: u64, digest: &Digest) -> Option<u64> {
        let may_open = |made: &Commitment| made.epoch < epoch && epoch <= made.epoch + OPEN_FOR;
        let at = self.0.iter().position(|made| made.digest == *digest && may_open(made))?;
        // Weights must not go back to older ones.
        let opened = self.0.drain(..=at).next_back();
        opened.map(|opened| opened.block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V: Hotkey = [1; 32];

    #[test]
    fn a_commitment_is_of_one_validator_its_weights_and_its_salt() {
        let (salt, other) = (Digest::of(b"salt"), Digest::of(b"other"));
        let digest = commitment(&V, &[(1, 0.5)], &salt);
        assert_eq!(digest, commitment(&V, &[(1, 0.5)], &salt));
        let others = [
            commitment(&[2; 32], &[(1, 0.5)], &salt),
            commitment(&V, &[(1, 0.25)], &salt),
            commitment(&V, &[(2, 0.5)], &salt),
            commitment(&V, &[(1, 0.5)], &other),
        ];
        assert!(!others.contains(&digest));
    }

    #[test]
    fn the_first_of_an_epoch_counts_and_opens_after_it() {
        let (mut made, first, second) = (Commitments::default(), Digest::of(b"1"), Digest::of(b"2"));
        assert!(made.commit(5, 50, first) && !made.commit(5, 51, second));
        assert_eq!(made.open(5, &first), None, "not before its epoch is over");
        assert_eq!(made.open(6, &second), None, "what did not count");
        assert_eq!(made.open(6, &first), Some(50));
        assert_eq!(made.open(6, &first), None, "once");
    }

    #[test]
    fn weights_do_not_go_back_and_do_not_wait_for_long() {
        let (mut made, first, second) = (Commitments::default(), Digest::of(b"1"), Digest::of(b"2"));
        made.commit(5, 50, first);
        made.commit(6, 60, second);
        assert_eq!(made.clone().open(8, &first), None, "too late");
        assert_eq!((made.open(7, &second), made.open(7, &first)), (Some(60), None));
    }
}
