//! A node's identity: an ed25519 key pair. The public half, the hotkey, names the node on the chain and in the bucket.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand::Rng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex;
use crate::digest::Digest;

/// Length of a signature in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// First line of a key file; tells it from other files.
const KEY_FILE: &str = "gauntlet ed25519 secret key\n";

/// A node's key pair.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
}

impl Identity {
    /// The identity of node `index` with a role (`"peer"`, `"validator"`) in the run with this seed. Only for
    /// simulations: anyone who knows the seed knows the key.
    pub fn from_seed(run_seed: u64, role: &str, index: u64) -> Self {
        let mut secret = [0; 32];
        crate::random::rng(run_seed, &format!("{} a {role}", crate::random::KEYS), index, 0).fill_bytes(&mut secret);
        Self::from_secret(&secret)
    }

    /// The identity of an ed25519 secret key.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(secret) }
    }

    /// Key number `number` of those that only the owner of this one can make; number 0 is this one. Nobody else sees
    /// that they belong together.
    pub fn successor(&self, number: u64) -> Self {
        if number == 0 {
            return self.clone();
        }
        let mut secret = blake3::Hasher::new_derive_key("gauntlet 2026 key that succeeds another");
        secret.update(&self.key.to_bytes()).update(&number.to_le_bytes());
        Self::from_secret(secret.finalize().as_bytes())
    }

    /// The key that encrypts a sealed upload of a round. Only the owner of this identity can make it, and it differs
    /// from payload to payload.
    pub fn key_of_upload(&self, run: &Digest, round: u64, payload: &Digest) -> [u8; 32] {
        let mut key = blake3::Hasher::new_derive_key("gauntlet 2026 key of a sealed upload");
        key.update(&self.key.to_bytes()).update(&run.0).update(&round.to_le_bytes()).update(&payload.0);
        *key.finalize().as_bytes()
    }

    /// The text of a key file. Anyone who has it can sign as this node.
    pub fn to_key_file(&self) -> String {
        let mut text = String::from(KEY_FILE);
        hex::write(&mut text, &self.key.to_bytes()).expect("a string takes any text");
        text + "\n"
    }

    /// Reads the text of a key file; `None` for any other text.
    pub fn from_key_file(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(KEY_FILE)?.trim_end();
        hex::parse(digits.as_bytes()).map(|secret| Self::from_secret(&secret))
    }

    /// The public half.
    pub fn hotkey(&self) -> Hotkey {
        Hotkey(self.key.verifying_key().to_bytes())
    }

    /// Signs a message. Signing is deterministic.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.hotkey())
    }
}

/// A node's public key; printed and stored as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hotkey(pub [u8; 32]);

impl Hotkey {
    /// Whether `signature` is this key's signature of `message`. Verification is strict: it refuses keys of small order
    /// and other encodings of a valid signature, so that a signed object has exactly one signature.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Display for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a hotkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hotkey is 64 lower-case hexadecimal digits")]
pub struct NotAHotkey;

impl FromStr for Hotkey {
    type Err = NotAHotkey;

    fn from_str(text: &str) -> Result<Self, NotAHotkey> {
        hex::parse(text.as_bytes()).map(Self).ok_or(NotAHotkey)
    }
}

impl Serialize for Hotkey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hotkey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_that_signed_verifies_and_only_what_it_signed() {
        let peer = Identity::from_seed(1, "peer", 3);
        let mut signature = peer.sign(b"round 7");
        assert!(peer.hotkey().verify(b"round 7", &signature));
        assert!(!peer.hotkey().verify(b"round 8", &signature));
        assert!(!Identity::from_seed(1, "peer", 4).hotkey().verify(b"round 7", &signature));
        signature[5] ^= 1;
        assert!(!peer.hotkey().verify(b"round 7", &signature));
    }

    #[test]
    fn every_key_has_successors_of_its_own() {
        let peer = Identity::from_seed(1, "peer", 3);
        assert_eq!(peer.successor(0).hotkey(), peer.hotkey());
        assert_eq!(peer.successor(2).hotkey(), peer.successor(2).hotkey());
        let others = [peer.successor(1), peer.successor(2), Identity::from_seed(1, "peer", 4).successor(1)];
        let hotkeys: std::collections::BTreeSet<Hotkey> = others.iter().map(Identity::hotkey).collect();
        assert!(hotkeys.len() == 3 && !hotkeys.contains(&peer.hotkey()));
    }

    #[test]
    fn a_key_file_reads_back() {
        let peer = Identity::from_seed(1, "peer", 3);
        let text = peer.to_key_file();
        assert_eq!(Identity::from_key_file(&text).unwrap().hotkey(), peer.hotkey());
        for wrong in ["", &text[1..], &text[..text.len() - 2], &peer.hotkey().to_string()] {
            assert!(Identity::from_key_file(wrong).is_none());
        }
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        // The neutral element of the curve: lax rules accept the all-zero scalar as its signature.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; SIGNATURE_LEN];
        signature[0] = 1;
        assert!(!Hotkey(neutral).verify(b"anything", &signature));
    }

    #[test]
    fn seed_role_and_index_make_the_identity() {
        let hotkey = |seed, role, index| Identity::from_seed(seed, role, index).hotkey();
        assert_eq!(hotkey(1, "peer", 3), hotkey(1, "peer", 3));
        let others = [hotkey(2, "peer", 3), hotkey(1, "validator", 3), hotkey(1, "peer", 4)];
        assert!(others.iter().all(|other| *other != hotkey(1, "peer", 3)));
    }

    #[test]
    fn text_form_reads_back_and_has_one_spelling() {
        let hotkey = Identity::from_seed(1, "peer", 0).hotkey();
        let text = hotkey.to_string();
        assert_eq!(text.parse(), Ok(hotkey));
        assert_eq!(serde_json::from_str::<Hotkey>(&format!("\"{text}\"")).unwrap(), hotkey);
        for wrong in ["", "ab", &text[1..], &text.to_uppercase(), &format!("+{}", &text[1..]), &format!("{text}00")] {
            assert_eq!(wrong.parse::<Hotkey>(), Err(NotAHotkey), "{wrong}");
        }
    }
}
