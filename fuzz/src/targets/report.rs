//! A validator's report of a round, as `sim status` and `sim collect` read it.

use std::sync::LazyLock;
use std::time::Duration;

use super::super::change::reseal;
use bytes::Bytes;
use gauntlet::digest::Digest;
use gauntlet::mechanism::{Column, ColumnKind, Status};
use gauntlet::node::{PeerReport, RoundReport};
use gauntlet::runtime::report;
use gauntlet::transport::Identity;

struct World {
    validator: Identity,
    run: Digest,
    valid: Bytes,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let (validator, run) = (Identity::from_seed(7, "validator", 0), Digest::of(b"run"));
    let peer = |uid| PeerReport {
        uid,
        hotkey: Identity::from_seed(7, "peer", uid.into()).hotkey(),
        status: Status::Passed,
        steps_behind: Some(0.5),
        numbers: vec![Some(-0.25), None],
        incentive: 0.5,
        aggregated: true,
    };
    let column = |name: &str| Column::new(name, name, ColumnKind::Standing);
    let whole = RoundReport {
        round: 12,
        validator: validator.hotkey(),
        decided: true,
        at: Duration::from_millis(1_234_567),
        lr: 4e-4,
        loss: Some(2.5),
        average_loss: None,
        backdoor: None,
        train_loss: None,
        forward_passes: 96,
        uploads: 2,
        model: Digest::of(b"model"),
        columns: ["gain", "score"].map(column).into(),
        peers: (0..2).map(peer).collect(),
    };
    World { valid: report::encode(&run, &whole, &validator), validator, run }
});

/// Reads an input.
pub fn run(input: &[u8]) {
    let World { validator, run, valid } = &*WORLD;
    let read = |bytes: &[u8]| report::decode(bytes, run, 12, &validator.hotkey());
    let Some((mode, input)) = input.split_first() else { return };
    if mode % 4 == 0 {
        assert!(read(input).is_err(), "it is not signed");
        return;
    }
    let Ok(read) = read(&reseal("report", valid, input, validator)) else { return };
    assert_eq!((read.round, read.validator), (12, validator.hotkey()));
    assert!(read.peers.iter().all(|peer| peer.numbers.len() == read.columns.len()));
}
