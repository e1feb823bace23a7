//! A sealed upload and its key: whatever they hold, what opens has the digest that its peer has signed.

use std::sync::LazyLock;

use super::super::change::{change, take};
use bytes::Bytes;
use gauntlet::digest::Digest;
use gauntlet::transport::envelope::{self, Envelope};
use gauntlet::transport::verified::Verified;
use gauntlet::transport::wire::Expected;
use gauntlet::transport::{Identity, identity::SIGNATURE_LEN};

const PLAIN: [u8; 100] = [7; 100];
/// Where the header holds the digest of the plain upload.
const DIGEST_AT: usize = 4 + 2 + 32 + 8 + 2 + 32;

static PEER: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(7, "peer", 3));
static EXPECTED: LazyLock<Expected> =
    LazyLock::new(|| Expected { run: Digest::of(b"run"), round: 12, uid: 3, hotkey: PEER.hotkey() });
/// A sealed upload without its signature, and its key.
static VALID: LazyLock<(Vec<u8>, Bytes)> = LazyLock::new(|| {
    let (sealed, key) = envelope::seal(&PLAIN, &EXPECTED, &PEER);
    (sealed[..sealed.len() - SIGNATURE_LEN].to_vec(), key)
});

/// Reads an input.
pub fn run(input: &[u8]) {
    let mut input = input;
    let [mode, split] = take(&mut input);
    if mode % 4 == 0 {
        let read = Envelope::read(&Bytes::copy_from_slice(input), PLAIN.len(), &EXPECTED, &Verified::default());
        assert!(read.is_err(), "it is not signed");
        return;
    }
    let (of_upload, of_key) = input.split_at(input.len().min(split.into()));
    let (mut bytes, mut key) = (VALID.0.clone(), VALID.1.to_vec());
    change(&mut bytes, of_upload);
    change(&mut key, of_key);
    let signature = PEER.sign(&Digest::of(&bytes).0);
    bytes.extend(signature);
    let bytes = Bytes::from(bytes);
    let Ok(envelope) = Envelope::read(&bytes, PLAIN.len(), &EXPECTED, &Verified::default()) else { return };
    let Ok(plain) = envelope.open(&key) else { return };
    assert_eq!(Digest::of(&plain).0, bytes[DIGEST_AT..DIGEST_AT + 32], "the signed digest");
}
