//! A peer's upload, as validators and followers read it: format, signature, and whether it can be aggregated.
#![no_main]

use std::sync::LazyLock;

use gauntlet::digest::Digest;
use gauntlet::model::ParamLayout;
use gauntlet::training::aggregate::aggregate;
use gauntlet::training::scheme::demo::ChunkLayout;
use gauntlet::training::{PseudoGradient, SparseTensor};
use gauntlet::transport::wire::{self, Expected, PayloadShape, Upload};
use gauntlet::transport::{Identity, identity::SIGNATURE_LEN};
use gauntlet_fuzz::change;
use libfuzzer_sys::fuzz_target;

/// A model of three tensors, and a valid upload for it.
struct World {
    peer: Identity,
    chunks: ChunkLayout,
    shape: PayloadShape,
    expected: Expected,
    /// The upload without its signature.
    valid: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let peer = Identity::from_seed(7, "peer", 3);
    let tensors = [("embed".into(), vec![12, 8]), ("norm".into(), vec![8]), ("project".into(), vec![8, 6])];
    let chunks = ChunkLayout::new(&ParamLayout::new(tensors), 4, 3).unwrap();
    let shape = PayloadShape(chunks.tensors.iter().map(|tensor| tensor.coefficients()).collect());
    let expected = Expected { run: Digest::of(b"run"), round: 12, uid: 3, hotkey: peer.hotkey() };
    let tensors = chunks.tensors.iter().map(|tensor| SparseTensor {
        indices: (0..tensor.coefficients()).map(|nth| (nth % tensor.k) as u16).collect(),
        values: (0..tensor.coefficients()).map(|nth| nth as f32 - 7.5).collect(),
    });
    let upload = Upload {
        run: expected.run,
        round: expected.round,
        uid: expected.uid,
        hotkey: expected.hotkey,
        model: Digest::of(b"model"),
        samples: vec![[0.5, -0.5]; chunks.tensors.len()],
        gradient: PseudoGradient { tensors: tensors.collect() },
    };
    let mut valid = wire::encode(&upload, &peer).to_vec();
    valid.truncate(valid.len() - SIGNATURE_LEN);
    World { peer, chunks, shape, expected, valid }
});

fuzz_target!(|input: &[u8]| {
    let world = &*WORLD;
    let Some((mode, input)) = input.split_first() else { return };
    if mode % 4 == 0 {
        assert!(wire::decode(input, &world.shape, &world.expected).is_err(), "nobody has signed it");
        return;
    }
    let mut bytes = world.valid.clone();
    change(&mut bytes, input);
    let signature = world.peer.sign(&Digest::of(&bytes).0);
    bytes.extend(signature);
    let Ok(upload) = wire::decode(&bytes, &world.shape, &world.expected) else { return };
    assert_eq!(wire::encode(&upload, &world.peer), bytes, "one upload has one spelling");
    if world.chunks.check(&upload.gradient).is_ok() {
        aggregate(&world.chunks, &[&upload.gradient]);
    }
});
