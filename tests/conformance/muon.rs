//! Steps of Muon against `muon.json`.

use gauntlet::model::{Device, ParamLayout};
use gauntlet::training::optimiser::{Optimiser, OptimiserKind, OptimiserSettings};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: Vec<usize>,
    lr: f64,
    momentum: f64,
    weight_decay: f64,
    start: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    after: Vec<Vec<f32>>,
}

#[test]
fn steps_are_those_of_pytorch_on_every_device() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/muon.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    for case in &cases {
        let layout = ParamLayout::new([("model.layers.0.mlp.up_proj.weight".to_string(), case.shape.clone())]);
        let settings = OptimiserSettings {
            kind: OptimiserKind::Muon,
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: case.weight_decay,
            clip_norm: 1e9,
            momentum: Some(case.momentum),
            matrix_lr: Some(2.0),
        };
        let optimiser = Optimiser::new(&settings, &layout);
        for device in [Device::Cpu, Device::CpuF32] {
            let (mut theta, mut moments) = (case.start.clone(), optimiser.moments());
            for (step, (gradient, expected)) in case.gradients.iter().zip(&case.after).enumerate() {
                optimiser.step(&device, &mut moments, &mut theta, gradient, case.lr / 2.0);
                let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                for (at, (found, expected)) in theta.iter().zip(expected).enumerate() {
                    assert!(
                        (found - expected).abs() <= 1e-5 * largest,
                        "{} on {device}, step {step}, at {at}: {found}, expected {expected}",
                        case.name
                    );
                }
            }
        }
    }
}
