//! Tests of the wire format: what round-trips and what is refused.

use proptest::prelude::*;

use super::*;
use crate::training::{SparseTensor, TensorShape};

fn peer() -> Identity {
    Identity::from_seed(7, "peer", 3)
}

/// Of a reader that has verified nothing yet.
fn decode(bytes: &[u8], shape: &PayloadShape, expected: &Expected) -> Result<Upload, WireError> {
    super::decode(bytes, shape, expected, &Verified::default())
}

fn expected() -> Expected {
    Expected { run: Digest::of(b"run"), round: 12, uid: 3, hotkey: peer().hotkey() }
}

/// One chunk of 4,096 per tensor, with `counts` coefficients sent, at 32 bits a value.
fn shape(counts: impl IntoIterator<Item = usize>) -> PayloadShape {
    PayloadShape { tensors: counts.into_iter().map(|k| TensorShape::new("t", 1, 4096, k, 32)).collect() }
}

fn shape_of(upload: &Upload) -> PayloadShape {
    shape(upload.gradient.tensors.iter().map(|tensor| tensor.values.len()))
}

fn upload_of(tensors: Vec<Vec<(u16, u32)>>, samples: [u32; 2]) -> Upload {
    let Expected { run, round, uid, hotkey } = expected();
    let tensors: Vec<_> = tensors
        .into_iter()
        .map(|coefficients| {
            let (indices, bits): (Vec<_>, Vec<_>) = coefficients.into_iter().unzip();
            SparseTensor { indices, values: bits.into_iter().map(f32::from_bits).collect() }
        })
        .collect();
    Upload {
        run,
        round,
        uid,
        hotkey,
        model: Digest::of(b"model"),
        pages: None,
        commitment: None,
        samples: vec![samples.map(f32::from_bits); tensors.len()],
        gradient: PseudoGradient { tensors },
    }
}

fn plain() -> Upload {
    upload_of(vec![vec![(1, 2), (3, 4), (5, 6)], vec![(7, 8)]], [1, 2])
}

/// Every bit of an upload, because NaNs are not equal to themselves.
fn bits(upload: &Upload) -> Vec<u32> {
    let samples = upload.samples.iter().flatten();
    let values = upload.gradient.tensors.iter().flat_map(|tensor| &tensor.values);
    let indices = upload.gradient.tensors.iter().flat_map(|tensor| &tensor.indices);
    samples.chain(values).map(|value| value.to_bits()).chain(indices.map(|&index| index.into())).collect()
}

/// So a digest of an upload tells nothing of a guess of its values.
#[test]
fn who_guesses_an_upload_lacks_its_signature() {
    let (upload, stranger) = (plain(), Identity::from_seed(7, "peer", 4));
    let shape = shape_of(&upload);
    let bytes = encode(&upload, &shape, &peer());
    let guess = encode(&upload, &shape, &stranger);
    let signed = bytes.len() - SIGNATURE_LEN;
    assert_eq!(bytes[..signed], guess[..signed], "the guess is right");
    assert_ne!(Digest::of(&bytes), Digest::of(&guess));
    assert_eq!(encode(&upload, &shape, &peer()), bytes, "the peer itself finds the same bytes again");
}

#[test]
fn each_wrong_part_has_its_own_error() {
    let (upload, good) = (plain(), expected());
    let shape = shape_of(&upload);
    let bytes = encode(&upload, &shape_of(&upload), &peer());
    let with = |at: usize| {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        decode(&changed, &shape, &good).unwrap_err()
    };
    assert_eq!(bytes.len(), encoded_len(&shape));
    assert_eq!(with(0), WireError::NotAnUpload);
    assert_eq!(with(4), WireError::Version { found: 3 });
    assert!(matches!(with(6), WireError::Run { .. }));
    assert_eq!(with(38), WireError::Round { expected: 12, found: 13 });
    assert_eq!(with(46), WireError::Uid { expected: 3, found: 2 });
    assert!(matches!(with(48), WireError::Hotkey { .. }));
    assert_eq!(with(HEADER_LEN), WireError::Signature { hotkey: good.hotkey });
    assert_eq!(with(bytes.len() - 1), WireError::Signature { hotkey: good.hotkey });

    let len = bytes.len();
    assert_eq!(decode(&bytes[..len - 1], &shape, &good), Err(WireError::TooShort { expected: len, found: len - 1 }));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(decode(&longer, &shape, &good), Err(WireError::TrailingBytes { expected: len }));

    let by_another = encode(&upload, &shape, &Identity::from_seed(7, "peer", 4));
    assert_eq!(decode(&by_another, &shape, &good), Err(WireError::Signature { hotkey: good.hotkey }));
}

#[test]
fn an_upload_of_another_peer_round_or_run_cannot_be_posted_again() {
    let bytes = encode(&plain(), &shape_of(&plain()), &peer());
    let shape = shape_of(&plain());
    let copycat = Identity::from_seed(7, "peer", 4).hotkey();
    for other in [
        Expected { run: Digest::of(b"other"), ..expected() },
        Expected { round: 13, ..expected() },
        Expected { uid: 4, hotkey: copycat, ..expected() },
        Expected { hotkey: copycat, ..expected() },
    ] {
        assert!(decode(&bytes, &shape, &other).is_err());
    }
}

#[test]
fn a_payload_of_another_shape_has_another_length() {
    let shape = shape_of(&plain());
    let len_of = |change: fn(&mut PseudoGradient)| {
        let mut upload = plain();
        change(&mut upload.gradient);
        let bytes = encode(&upload, &shape, &peer());
        assert!(decode(&bytes, &shape, &expected()).is_err());
        bytes.len()
    };
    let good = encoded_len(&shape);
    assert_eq!(len_of(|gradient| gradient.tensors[0].values.push(1.0)), good + 4);
    assert_eq!(len_of(|gradient| gradient.tensors.truncate(1)), good - 6);
    assert!(len_of(|gradient| gradient.tensors[0].indices.truncate(1)) < good);
}

fn any_upload() -> impl Strategy<Value = Upload> {
    let tensor = prop::collection::vec((0..4096u16, any::<u32>()), 1..20);
    (prop::collection::vec(tensor, 0..5), any::<[u32; 2]>()).prop_map(|(tensors, samples)| upload_of(tensors, samples))
}

proptest! {
    #[test]
    fn uploads_decode_bit_for_bit(upload in any_upload()) {
        let shape = shape_of(&upload);
        let bytes = encode(&upload, &shape_of(&upload), &peer());
        prop_assert_eq!(bytes.len(), encoded_len(&shape));
        let decoded = decode(&bytes, &shape, &expected()).unwrap();
        prop_assert_eq!(bits(&decoded), bits(&upload));
        prop_assert_eq!(encode(&decoded, &shape, &peer()), bytes);
    }

    #[test]
    fn arbitrary_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400), counts in prop::collection::vec(1..20usize, 0..5)) {
        prop_assert!(decode(&bytes, &shape(counts), &expected()).is_err());
    }

    /// Changes bytes before signing, so that the signature check does not shield the rest of the decoder.
    #[test]
    fn a_changed_upload_is_an_error_or_still_an_upload(
        upload in any_upload(), at in any::<prop::sample::Index>(), value: u8, cut in any::<prop::sample::Index>(), extra in 0..8usize, shorten: bool,
    ) {
        let shape = shape_of(&upload);
        let good = encode(&upload, &shape_of(&upload), &peer());
        let mut bytes = good[..good.len() - SIGNATURE_LEN].to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
            bytes.extend(vec![value; extra]);
        }
        let signature = peer().sign(&Digest::of(&bytes).0);
        bytes.extend(signature);
        if let Ok(decoded) = decode(&bytes, &shape, &expected()) {
            let again = encode(&decoded, &shape, &peer());
            prop_assert_eq!(again.len(), bytes.len());
            prop_assert_eq!(bits(&decode(&again, &shape, &expected()).unwrap()), bits(&decoded));
        }
    }
}
