//! Calls to the chain: registrations and weights.

use std::sync::LazyLock;

use super::super::change::reseal;
use bytes::Bytes;
use gauntlet::digest::Digest;
use gauntlet::transport::Identity;
use gauntlet::transport::call::{self, Registration, Weights};

struct World {
    signer: Identity,
    registration: Registration,
    valid_registration: Bytes,
    valid_weights: Bytes,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (signer, run) = (Identity::from_seed(7, "validator", 0), Digest::of(b"run"));
    let registration = Registration { run, uid: 7, generation: 2, bucket: Some("s3://mine/uploads".into()) };
    let weights = Weights { run, block: 84, weights: vec![(0, 0.25), (7, 1e-300), (249, 3.0)] };
    World {
        valid_registration: call::encode_registration(&registration, &signer),
        valid_weights: call::encode_weights(&weights, &signer),
        signer,
        registration,
    }
});

/// Reads an input.
pub fn run(input: &[u8]) {
    let World { signer, registration, valid_registration, valid_weights } = &*WORLD;
    let registered =
        |bytes: &[u8]| call::decode_registration(bytes, &registration.run, registration.uid, registration.generation);
    let weighed = |bytes: &[u8]| call::decode_weights(bytes, &registration.run, 84, &signer.hotkey());
    let Some((mode, input)) = input.split_first() else { return };
    match mode % 4 {
        0 => assert!(registered(input).is_err() && weighed(input).is_err(), "it is not signed"),
        1 => {
            let bytes = reseal("registration", valid_registration, input, signer);
            assert!(registered(&bytes).is_err() || bytes.len() <= call::REGISTRATION_LEN);
            assert!(weighed(&bytes).is_err(), "a registration does not pass for weights");
        }
        _ => {
            let bytes = reseal("weights", valid_weights, input, signer);
            assert!(registered(&bytes).is_err(), "weights do not pass for a registration");
            if let Ok(weights) = weighed(&bytes) {
                assert!(weights.iter().all(|(_, weight)| !weight.is_nan()), "JSON has no NaN");
            }
        }
    }
}
