//! A peer's upload, as validators and followers read it: the format, the signature, and whether it can be aggregated.

use std::sync::LazyLock;

use super::super::change::{change, take};
use gauntlet::digest::Digest;
use gauntlet::model::{Device, ParamLayout};
use gauntlet::settings::Kinded;
use gauntlet::training::aggregate::{self, Aggregation, Weighted};
use gauntlet::training::scheme::{DemoSettings, Scheme, SchemeSettings, SparseLocoSettings};
use gauntlet::training::{PayloadShape, PseudoGradient, SparseTensor, TensorShape};
use gauntlet::transport::verified::Verified;
use gauntlet::transport::wire::{self, Expected, Upload};
use gauntlet::transport::{Identity, identity::SIGNATURE_LEN};

/// A scheme for a model of three tensors, and a valid upload for it.
struct World {
    scheme: Box<dyn Scheme>,
    rule: Box<dyn Aggregation>,
    theta: Vec<f32>,
    /// The upload without its signature.
    valid: Vec<u8>,
}

static PEER: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(7, "peer", 3));
static EXPECTED: LazyLock<Expected> =
    LazyLock::new(|| Expected { run: Digest::of(b"run"), round: 12, uid: 3, hotkey: PEER.hotkey() });
/// One scheme with 32-bit values and one with two-bit values.
static WORLDS: LazyLock<[World; 2]> = LazyLock::new(|| {
    let demo = DemoSettings { chunk: 4, topk: 3, ..DemoSettings::default() };
    let sparseloco = SparseLocoSettings { chunk: 8, topk: 20, bits: 2, ..SparseLocoSettings::default() };
    [World::new(&demo), World::new(&sparseloco)]
});

impl World {
    fn new(settings: &dyn SchemeSettings) -> Self {
        let tensors = [("embed".into(), vec![16, 8]), ("norm".into(), vec![8]), ("project".into(), vec![8, 24])];
        let layout = ParamLayout::new(tensors);
        let scheme = settings.build(&layout).unwrap();
        let shape = scheme.shape();
        let upload = Upload {
            run: EXPECTED.run,
            round: EXPECTED.round,
            uid: EXPECTED.uid,
            hotkey: EXPECTED.hotkey,
            model: Digest::of(b"model"),
            pages: None,
            commitment: None,
            samples: vec![[0.5, -0.5]; shape.tensors.len()],
            gradient: PseudoGradient { tensors: shape.tensors.iter().map(coefficients).collect() },
        };
        assert!(shape.check(&upload.gradient).is_ok());
        let mut valid = wire::encode(&upload, shape, &PEER).to_vec();
        valid.truncate(valid.len() - SIGNATURE_LEN);
        let theta = vec![0.25; layout.total()];
        let rule = aggregate::shipped().resolve(&Kinded::of(settings.default_rule())).unwrap().settings;
        let rule = rule.build(&scheme.payloads(), Device::Cpu);
        Self { scheme, rule, theta, valid }
    }
}

/// Valid coefficients with two distinct values.
fn coefficients(shape: &TensorShape) -> SparseTensor {
    let all = 0..shape.coefficients();
    SparseTensor {
        indices: all.clone().map(|nth| (nth % shape.per_chunk) as u16).collect(),
        values: all.map(|nth| if nth % 3 == 0 { 1.0 } else { -0.5 }).collect(),
    }
}

fn read(bytes: &[u8], shape: &PayloadShape) -> Option<Upload> {
    wire::decode(bytes, shape, &EXPECTED, &Verified::default()).ok()
}

/// Reads an input.
pub fn run(input: &[u8]) {
    let mut input = input;
    let [mode] = take(&mut input);
    let world = &WORLDS[usize::from(mode / 4 % 2)];
    let shape = world.scheme.shape();
    if mode % 4 == 0 {
        assert!(read(input, shape).is_none(), "it is not signed");
        return;
    }
    let mut bytes = world.valid.clone();
    change(&mut bytes, input);
    let signature = PEER.sign(&Digest::of(&bytes).0);
    bytes.extend(signature);
    let Some(upload) = read(&bytes, shape) else { return };
    assert_eq!(bytes.len(), wire::encoded_len(shape), "one length");
    if shape.check(&upload.gradient).is_ok() {
        let after = world.rule.step(&world.theta, &[Weighted::once(&upload.gradient)], 1e-3);
        assert!(after.iter().all(|value| value.is_finite()), "a valid upload leaves the model finite");
    }
}
