//! Tests of sealed uploads: who opens what.

use proptest::prelude::*;

use super::*;
use crate::transport::Hotkey;

const PLAIN: &[u8] = b"a plain upload of some bytes, signed by its peer";

fn peer() -> Identity {
    Identity::from_seed(7, "peer", 3)
}

fn expected() -> Expected {
    Expected { run: Digest::of(b"run"), round: 12, uid: 3, hotkey: peer().hotkey() }
}

fn read(bytes: &Bytes) -> Result<Envelope, EnvelopeError> {
    read_as(bytes, PLAIN.len(), &expected())
}

/// By a reader that has verified nothing yet.
fn read_as(bytes: &Bytes, plain: usize, expected: &Expected) -> Result<Envelope, EnvelopeError> {
    Envelope::read(bytes, plain, expected, &Verified::default())
}

/// A sealed upload with one byte changed, signed again.
fn changed(sealed: &[u8], at: usize, by: u8) -> Bytes {
    let mut bytes = sealed[..sealed.len() - SIGNATURE_LEN].to_vec();
    bytes[at] ^= by;
    let signature = peer().sign(&Digest::of(&bytes).0);
    [&bytes[..], &signature].concat().into()
}

#[test]
fn its_key_opens_an_upload_and_no_other() {
    let (sealed, key) = seal(PLAIN, &expected(), &peer());
    assert_eq!((sealed.len(), key.len()), (sealed_len(PLAIN.len()), KEY_LEN));
    assert!(!sealed.windows(8).any(|part| PLAIN.windows(8).any(|plain| plain == part)), "it shows nothing");
    let envelope = read(&sealed).unwrap();
    assert_eq!(envelope.open(&key).unwrap(), PLAIN);

    let mut other = key.to_vec();
    other[KEY_LEN - 1] ^= 1;
    assert_eq!(envelope.open(&other), Err(KeyError::Wrong));
    let (_, of_another) = seal(b"another", &expected(), &peer());
    assert_eq!(envelope.open(&of_another), Err(KeyError::OfAnother));
    for wrong in [&[][..], &key[..KEY_LEN - 1], &[&key[..], &[0]].concat(), &sealed[..KEY_LEN]] {
        assert_eq!(envelope.open(wrong), Err(KeyError::Wrong));
    }
}

#[test]
fn each_wrong_part_has_its_own_error() {
    let (sealed, _) = seal(PLAIN, &expected(), &peer());
    let with = |at: usize| {
        let mut bytes = sealed.to_vec();
        bytes[at] ^= 2;
        read(&bytes.into()).unwrap_err()
    };
    let (len, hotkey) = (sealed.len(), peer().hotkey());
    assert_eq!(with(0), EnvelopeError::NotSealed);
    assert_eq!(with(4), EnvelopeError::Version { found: 3 });
    assert!(matches!(with(6), EnvelopeError::Header(WireError::Run { .. })));
    assert_eq!(with(38), EnvelopeError::Header(WireError::Round { expected: 12, found: 14 }));
    assert_eq!(with(46), EnvelopeError::Header(WireError::Uid { expected: 3, found: 1 }));
    assert!(matches!(with(48), EnvelopeError::Header(WireError::Hotkey { .. })));
    for at in [HEADER_LEN - 1, HEADER_LEN, len - SIGNATURE_LEN - 1, len - 1] {
        assert_eq!(with(at), EnvelopeError::Header(WireError::Signature { hotkey }), "byte {at}");
    }
    for wrong in [sealed.slice(..len - 1), [&sealed[..], &[0]].concat().into(), sealed.slice(..5)] {
        assert_eq!(read(&wrong).unwrap_err(), EnvelopeError::Length { expected: len, found: wrong.len() });
    }
}

/// A peer that signs whatever it likes still opens only the text whose digest it signed.
#[test]
fn a_valid_tag_opens_nothing_but_what_was_signed() {
    let (of, payload) = (expected(), Digest::of(PLAIN));
    let mut other = PLAIN.to_vec();
    other[0] ^= 1;
    let key = peer().key_of_upload(&of.run, of.round, &payload);
    let sealed = seal_with(&other, &of, &peer(), &payload, &key);
    assert_eq!(read(&sealed).unwrap().open(&key_object(&payload, &key)), Err(KeyError::Wrong));
    // Under the digest of what is in it, the same key opens the same text.
    let honest = seal_with(&other, &of, &peer(), &Digest::of(&other), &key);
    assert_eq!(read(&honest).unwrap().open(&key_object(&Digest::of(&other), &key)).unwrap(), other);
}

#[test]
fn header_text_and_tag_belong_together() {
    let (sealed, key) = seal(PLAIN, &expected(), &peer());
    let end = sealed.len() - SIGNATURE_LEN;
    for at in [HEADER_LEN, HEADER_LEN + PLAIN.len() - 1, end - TAG_LEN, end - 1] {
        let envelope = read(&changed(&sealed, at, 1)).unwrap();
        assert_eq!(envelope.open(&key), Err(KeyError::Wrong), "byte {at}");
    }
    let envelope = read(&changed(&sealed, HEADER_LEN - 1, 1)).unwrap();
    assert_eq!(envelope.open(&key), Err(KeyError::OfAnother), "another digest is signed");
}

#[test]
fn an_envelope_of_another_cannot_be_posted_again() {
    let (sealed, _) = seal(PLAIN, &expected(), &peer());
    let thief = Identity::from_seed(7, "peer", 4).hotkey();
    let read = |expected| read_as(&sealed, PLAIN.len(), &expected);
    for other in [
        Expected { run: Digest::of(b"other"), ..expected() },
        Expected { round: 13, ..expected() },
        Expected { uid: 4, hotkey: thief, ..expected() },
        Expected { hotkey: Hotkey([0; 32]), ..expected() },
    ] {
        assert!(read(other).is_err());
    }
}

/// Under one key and nonce, two texts would reveal their difference.
#[test]
fn no_two_texts_have_the_same_key() {
    let key = |identity: &Identity, run: &[u8], round, text: &[u8]| {
        identity.key_of_upload(&Digest::of(run), round, &Digest::of(text))
    };
    let own = key(&peer(), b"run", 12, PLAIN);
    assert_eq!(own, key(&peer(), b"run", 12, PLAIN), "a repeated run repeats its keys");
    let another = Identity::from_seed(7, "peer", 4);
    let others = [
        key(&another, b"run", 12, PLAIN),
        key(&peer(), b"other", 12, PLAIN),
        key(&peer(), b"run", 13, PLAIN),
        key(&peer(), b"run", 12, b"another"),
    ];
    assert!(others.iter().all(|other| *other != own));
}

proptest! {
    #[test]
    fn arbitrary_bytes_open_nothing(bytes in prop::collection::vec(any::<u8>(), 0..400), key in prop::collection::vec(any::<u8>(), 0..100)) {
        let bytes = Bytes::from(bytes);
        for plain in [0, PLAIN.len(), bytes.len().saturating_sub(sealed_len(0))] {
            prop_assert!(read_as(&bytes, plain, &expected()).is_err());
        }
        let (sealed, _) = seal(PLAIN, &expected(), &peer());
        prop_assert_eq!(read(&sealed).unwrap().open(&key), Err(KeyError::Wrong));
    }

    #[test]
    fn any_text_comes_back(plain in prop::collection::vec(any::<u8>(), 0..600)) {
        let (sealed, key) = seal(&plain, &expected(), &peer());
        let envelope = read_as(&sealed, plain.len(), &expected()).unwrap();
        prop_assert_eq!(envelope.open(&key).unwrap(), plain);
    }

    /// Changes bytes before signing, so that the signature does not shield the rest.
    #[test]
    fn what_opens_has_the_signed_digest(
        at in any::<prop::sample::Index>(), by: u8, key_at in 0..KEY_LEN, key_by: u8,
    ) {
        let (sealed, key) = seal(PLAIN, &expected(), &peer());
        let sealed = changed(&sealed, at.index(sealed.len() - SIGNATURE_LEN), by);
        let mut key = key.to_vec();
        key[key_at] ^= key_by;
        if let Ok(plain) = read(&sealed).and_then(|envelope| envelope.open(&key).map_err(|_| EnvelopeError::NotSealed)) {
            prop_assert_eq!(plain, PLAIN);
            prop_assert_eq!((by, key_by), (0, 0));
        }
    }
}
