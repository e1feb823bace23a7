//! The genesis of a run, and its start.

use std::sync::LazyLock;

use super::super::change::{change, reseal};
use bytes::Bytes;
use gauntlet::digest::Digest;
use gauntlet::scenario::Scenario;
use gauntlet::transport::Identity;
use gauntlet::transport::genesis::{self, Genesis, Start};

struct World {
    validator: Identity,
    genesis: Bytes,
    start: Bytes,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let validator = Identity::from_seed(7, "validator", 0);
    let scenario = "name = 'n'\nseed = 3\nrounds = 4\n[model]\npreset = 'nano'\n[[peers]]\ncount = 2\n";
    let genesis = Genesis::new(
        scenario.into(),
        vec![(validator.hotkey(), 1000.0)],
        vec![Identity::from_seed(7, "peer", 0).hotkey()],
        Digest::of(b"theta"),
        Digest::of(b"corpus"),
        5,
    );
    let start = Start { run: Digest::of(b"run"), unix_ms: 1_700_000_000_000 };
    World { genesis: genesis::encode(&genesis), start: genesis::encode_start(&start, &validator), validator }
});

/// Reads an input.
pub fn run(input: &[u8]) {
    let Some((mode, input)) = input.split_first() else { return };
    if mode % 4 == 0 {
        let start = reseal("start", &WORLD.start, input, &WORLD.validator);
        if let Ok((_, signer)) = genesis::decode_start(&start) {
            assert_eq!(signer, WORLD.validator.hotkey());
        }
        return;
    }
    let mut bytes = WORLD.genesis.to_vec();
    change(&mut bytes, input);
    let Ok((read, run)) = genesis::decode(&bytes) else { return };
    assert_eq!(run, Digest::of(&bytes));
    // Only its place vouches for a genesis, so the scenario in it may say anything.
    let _ = Scenario::from_toml(&read.scenario, "genesis", &[]);
}
