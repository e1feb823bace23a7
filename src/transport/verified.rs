//! Signatures that are known to be valid.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, PoisonError};

use super::Hotkey;
use super::identity::SIGNATURE_LEN;
use crate::digest::Digest;

/// Signatures that are remembered, at most twice as many. More than the uploads of two rounds.
const REMEMBERED: usize = 1024;

/// Remembers the valid signatures that were verified last, because verifying one takes longer than decoding a small upload. In
/// a simulation all nodes of a network share it: many read the same upload. A validator that comes back to an upload of the
/// round before gains too.
///
/// It changes no answer: only valid signatures are remembered.
#[derive(Default)]
pub struct Verified(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    newer: HashSet<Digest>,
    /// Forgotten when as many newer ones are there.
    older: HashSet<Digest>,
}

impl Verified {
    /// Whether this is the key's signature of a message, as [`Hotkey::verify`] says.
    #[must_use]
    pub fn verify(&self, hotkey: &Hotkey, message: &Digest, signature: &[u8; SIGNATURE_LEN]) -> bool {
        let all = Digest::of_parts([&hotkey.0[..], &message.0, signature]);
        if self.lock(|remembered| remembered.has(&all)) {
            return true;
        }
        let is_valid = hotkey.verify(&message.0, signature);
        if is_valid {
            self.lock(|remembered| remembered.add(all));
        }
        is_valid
    }

    fn lock<T>(&self, what: impl FnOnce(&mut Remembered) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Remembered {
    fn has(&self, all: &Digest) -> bool {
        self.newer.contains(all) || self.older.contains(all)
    }

    fn add(&mut self, all: Digest) {
        if self.newer.len() == REMEMBERED {
            self.older = mem::take(&mut self.newer);
        }
        self.newer.insert(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Identity;

    #[test]
    fn what_is_remembered_changes_no_answer() {
        let (verified, peer, other) =
            (Verified::default(), Identity::from_seed(1, "peer", 0), Identity::from_seed(1, "peer", 1));
        let (message, changed) = (Digest::of(b"an upload"), Digest::of(b"another upload"));
        let signature = peer.sign(&message.0);
        let mut wrong = signature;
        wrong[40] ^= 1;
        for _ in 0..2 {
            assert!(verified.verify(&peer.hotkey(), &message, &signature));
            assert!(!verified.verify(&peer.hotkey(), &changed, &signature));
            assert!(!verified.verify(&other.hotkey(), &message, &signature));
            assert!(!verified.verify(&peer.hotkey(), &message, &wrong));
        }
        assert_eq!(verified.lock(|remembered| remembered.newer.len()), 1);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut remembered = Remembered::default();
        let digest = |at: usize| Digest::of(&at.to_le_bytes());
        (0..3 * REMEMBERED).for_each(|at| remembered.add(digest(at)));
        assert!((REMEMBERED..3 * REMEMBERED).all(|at| remembered.has(&digest(at))));
        assert!((0..REMEMBERED).all(|at| !remembered.has(&digest(at))));
    }
}
