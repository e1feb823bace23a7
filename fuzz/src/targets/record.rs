//! The record of a round: which uploads were aggregated.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::super::change::reseal;
use bytes::Bytes;
use gauntlet::digest::Digest;
use gauntlet::transport::record::{self, Included, RoundRecord};
use gauntlet::transport::verified::Verified;
use gauntlet::transport::{Hotkey, Identity};

struct World {
    validator: Identity,
    run: Digest,
    valid: Bytes,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (validator, run) = (Identity::from_seed(7, "validator", 0), Digest::of(b"run"));
    let included = |uid: u16| Included {
        uid,
        hotkey: Identity::from_seed(7, "peer", uid.into()).hotkey(),
        payload: Digest::of(&uid.to_le_bytes()),
    };
    let record = RoundRecord {
        run,
        round: 12,
        validator: validator.hotkey(),
        included: (0..3).map(included).collect(),
        model_before: Digest::of(b"before"),
        model_after: Digest::of(b"after"),
    };
    World { valid: record::encode(&record, &validator), validator, run }
});

/// Reads an input.
pub fn run(input: &[u8]) {
    let World { validator, run, valid } = &*WORLD;
    let is_validator = |signer: &Hotkey| *signer == validator.hotkey();
    let read = |bytes: &[u8]| record::decode(bytes, record::max_len(15), run, 12, is_validator, &Verified::default());
    let Some((mode, input)) = input.split_first() else { return };
    if mode % 4 == 0 {
        assert!(read(input).is_err(), "it is not signed");
        return;
    }
    let Ok(read) = read(&reseal("record", valid, input, validator)) else { return };
    assert_eq!((read.run, read.round, read.validator), (*run, 12, validator.hotkey()));
    let uids: BTreeSet<_> = read.included.iter().map(|included| included.uid).collect();
    assert_eq!(uids.len(), read.included.len());
}
