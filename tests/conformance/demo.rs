//! DeMo and its exact aggregation against `demo.json` and `demo.safetensors`.

use gauntlet::model::ParamLayout;
use gauntlet::training::aggregate::Weighted;
use gauntlet::training::aggregate::sign_of_mean::signs;
use gauntlet::training::scheme::DemoSettings;
use gauntlet::training::scheme::Scheme;
use gauntlet::training::scheme::demo::Demo;
use gauntlet::training::{PseudoGradient, SparseTensor};
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: Vec<usize>,
    target_chunk: usize,
    topk: usize,
    peers: usize,
    steps: u64,
    decay: f64,
    lr: f32,
}

impl Case {
    fn demo(&self, feedback_from_round: u64) -> Demo {
        let params = ParamLayout::new([(self.name.clone(), self.shape.clone())]);
        let settings = DemoSettings {
            chunk: self.target_chunk,
            topk: self.topk,
            decay: self.decay,
            feedback_from_round,
            ..DemoSettings::default()
        };
        Demo::new(&settings, &params).unwrap()
    }
}

/// The numbers of one case and peer.
struct Numbers<'a> {
    tensors: &'a SafeTensors<'a>,
    prefix: String,
}

impl Numbers<'_> {
    fn words(&self, name: &str) -> Vec<[u8; 4]> {
        let name = format!("{}.{name}", self.prefix);
        let view = self.tensors.tensor(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        view.data().as_chunks().0.to_vec()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.words(name).into_iter().map(f32::from_le_bytes).collect()
    }

    fn indices(&self, name: &str) -> Vec<u16> {
        self.words(name).into_iter().map(|word| i32::from_le_bytes(word).try_into().unwrap()).collect()
    }
}

fn vectors() -> (Vectors, Vec<u8>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let json = std::fs::read_to_string(format!("{folder}/demo.json")).unwrap();
    (serde_json::from_str(&json).unwrap(), std::fs::read(format!("{folder}/demo.safetensors")).unwrap())
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= 1e-6, "{what} at {at}: {got}, expected {expected}");
    }
}

/// The same set in each chunk, and the same order but for magnitudes that f32 cannot tell apart.
#[track_caller]
fn assert_same_indices(what: &str, k: usize, got: &SparseTensor, expected: &[u16]) {
    assert_eq!(got.indices.len(), expected.len(), "{what}");
    let chunks = got.indices.chunks(k).zip(got.values.chunks(k)).zip(expected.chunks(k)).enumerate();
    for (chunk, ((indices, values), expected)) in chunks {
        for (rank, index) in expected.iter().enumerate() {
            let ours = indices.iter().position(|ours| ours == index);
            let ours = ours.unwrap_or_else(|| panic!("{what}, chunk {chunk}: index {index} is missing"));
            let (a, b) = (values[rank].abs(), values[ours].abs());
            assert!((a - b).abs() <= 1e-5 * a, "{what}, chunk {chunk}: index {index} at {ours}, expected at {rank}");
        }
    }
}

#[test]
fn three_rounds_of_every_peer() {
    let (vectors, bytes) = vectors();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert!(!vectors.cases.is_empty());
    for case in &vectors.cases {
        let (demo, without_feedback) = (case.demo(0), case.demo(u64::MAX));
        let k = demo.layout().tensors[0].k;
        for peer in 0..case.peers {
            let mut momentum = vec![0.0; demo.layout().total()];
            for round in 0..case.steps {
                let what = format!("{}.peer{peer}.step{round}", case.name);
                let numbers = Numbers { tensors: &tensors, prefix: what.clone() };
                let gradient = numbers.floats("gradient");
                let mut before_sending = momentum.clone();
                without_feedback.encode(&mut before_sending, &gradient, case.lr, round);
                let sent = demo.encode(&mut momentum, &gradient, case.lr, round);
                demo.shape().check(&sent).unwrap();

                assert_same_indices(&what, k, &sent.tensors[0], &numbers.indices("indices"));
                assert_close(&what, &sent.tensors[0].values, &numbers.floats("values"));
                assert_close(&what, &momentum, &numbers.floats("residual"));
                let transmitted: Vec<f32> = before_sending.iter().zip(&momentum).map(|(m, rest)| m - rest).collect();
                assert_close(&what, &transmitted, &numbers.floats("transmitted"));
            }
        }
    }
}

#[test]
fn aggregation_agrees_in_sign() {
    let (vectors, bytes) = vectors();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for case in &vectors.cases {
        let payload = |peer| {
            let prefix = format!("{}.peer{peer}.step{}", case.name, case.steps - 1);
            let numbers = Numbers { tensors: &tensors, prefix };
            let sparse = SparseTensor { indices: numbers.indices("indices"), values: numbers.floats("values") };
            PseudoGradient { tensors: vec![sparse] }
        };
        let peers: Vec<PseudoGradient> = (0..case.peers).map(payload).collect();
        let signs = signs(case.demo(0).layout(), &Weighted::equally(&peers));
        let expected = Numbers { tensors: &tensors, prefix: case.name.clone() }.floats("aggregate");
        assert_eq!(signs.len(), expected.len(), "{}", case.name);
        for (at, (&sign, &expected)) in signs.iter().zip(&expected).enumerate() {
            let comparable = expected.abs() >= 1e-5;
            assert!(!comparable || f32::from(sign) == expected.signum(), "{} at {at}: {sign}, {expected}", case.name);
        }
    }
}
