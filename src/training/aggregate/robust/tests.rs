//! Tests the robust rules against ByzFL's results, and the properties of each.

use std::sync::Arc;

use proptest::prelude::*;
use rand::seq::SliceRandom;
use serde::Deserialize;

use super::super::testing::{layout, payload, shapes, weighted};
use super::groups;
use super::vectors::{Geometry, Vectors};
use super::*;
use crate::random::{normal, rng};
use crate::training::aggregate::{Aggregation, Weighted};
use crate::training::{Basis, ChunkLayout, PayloadLayout, PseudoGradient, SparseTensor};

const RULES: [RobustRule; 6] = [
    RobustRule::Mean,
    RobustRule::TrimmedMean,
    RobustRule::Median,
    RobustRule::Krum,
    RobustRule::MultiKrum,
    RobustRule::CenteredClip { radius: 1.0 },
];

/// The rule with this name.
fn named(name: &str, radius: f64) -> RobustRule {
    match name {
        "mean" => RobustRule::Mean,
        "trimmed-mean" => RobustRule::TrimmedMean,
        "median" => RobustRule::Median,
        "krum" => RobustRule::Krum,
        "multi-krum" => RobustRule::MultiKrum,
        "centered-clip" => RobustRule::CenteredClip { radius },
        other => panic!("no such rule: {other}"),
    }
}

fn rule(layout: &ChunkLayout, basis: Basis, rule: RobustRule, settings: RobustSettings) -> Robust {
    Robust::new(PayloadLayout { chunks: Arc::new(layout.clone()), basis }, rule, settings)
}

/// A set of vectors, and ByzFL's result for each rule.
#[derive(Deserialize)]
struct Case {
    f: usize,
    radius: f64,
    vectors: Vec<Vec<f32>>,
    plain: std::collections::BTreeMap<String, Vec<f64>>,
    #[serde(rename = "nearest-neighbour-mixing")]
    mixed: std::collections::BTreeMap<String, Vec<f64>>,
}

#[test]
fn rules_match_byzfl() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../../tests/vectors/robust.json")).unwrap();
    let mut compared = 0;
    for (number, case) in cases.iter().enumerate() {
        let layout = layout(&[vec![case.vectors[0].len()]], 64, 64);
        let payloads: Vec<PseudoGradient> = case.vectors.iter().map(|values| plain(values)).collect();
        let dishonest = (case.f as f64 + 0.5) / payloads.len() as f64;
        let kinds = [(None, &case.plain), (Some(Before::NearestNeighbourMixing), &case.mixed)];
        for (before, expected) in kinds {
            for (name, expected) in expected {
                let settings = RobustSettings { dishonest, before };
                let robust = rule(&layout, Basis::Values, named(name, case.radius), settings);
                let after = robust.step(&vec![0.0; layout.total()], &Weighted::equally(&payloads), 1.0);
                for (found, expected) in after.iter().zip(expected) {
                    let off = (f64::from(-found) - expected).abs();
                    assert!(off < 1e-5, "case {number}, {name:?}, {before:?}: {found} for {expected}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 5 * 2 * 6 * 24);
}

/// Honest vectors, vectors of an attacker that knows them, and the distance of ByzFL's results from the honest mean.
#[derive(Deserialize)]
struct Attacked {
    attack: String,
    f: usize,
    radius: f64,
    honest: usize,
    vectors: Vec<Vec<f32>>,
    plain: std::collections::BTreeMap<String, f64>,
    #[serde(rename = "nearest-neighbour-mixing")]
    mixed: std::collections::BTreeMap<String, f64>,
}

/// Compares which rule withstands an attack better, wherever ByzFL shows a difference.
#[test]
fn rules_withstand_attacks_in_byzfls_order() {
    let text = include_str!("../../../../tests/vectors/robust_ranking.json");
    let cases: Vec<Attacked> = serde_json::from_str(text).unwrap();
    let mut compared = 0;
    for case in &cases {
        let layout = layout(&[vec![case.vectors[0].len()]], 64, 64);
        let payloads: Vec<PseudoGradient> = case.vectors.iter().map(|values| plain(values)).collect();
        let mean = |at: usize| {
            case.vectors[..case.honest].iter().map(|vector| f64::from(vector[at])).sum::<f64>() / case.honest as f64
        };
        let dishonest = (case.f as f64 + 0.5) / payloads.len() as f64;
        for (before, byzfl) in [(None, &case.plain), (Some(Before::NearestNeighbourMixing), &case.mixed)] {
            let distance = |name: &str| {
                let settings = RobustSettings { dishonest, before };
                let robust = rule(&layout, Basis::Values, named(name, case.radius), settings);
                let after = robust.step(&vec![0.0; layout.total()], &Weighted::equally(&payloads), 1.0);
                let off = after.iter().enumerate().map(|(at, value)| (f64::from(-value) - mean(at)).powi(2));
                off.sum::<f64>().sqrt()
            };
            let found: Vec<(f64, f64)> = byzfl.iter().map(|(name, expected)| (distance(name), *expected)).collect();
            for (a, expected_a) in &found {
                for (b, expected_b) in found.iter().filter(|(_, expected)| expected - expected_a > 1e-4) {
                    assert!(a < b, "{}, {before:?}: {a} and {b} for {expected_a} and {expected_b}", case.attack);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 80, "{compared}");
}

fn plain(values: &[f32]) -> PseudoGradient {
    let indices = (0..values.len() as u16).collect();
    PseudoGradient { tensors: vec![SparseTensor { indices, values: values.to_vec() }] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn order_and_repetition_do_not_change_a_bit(
        shapes in shapes(), chunk in 1usize..=32, topk in 1usize..40, count in 1usize..8, seed: u64,
        which in 0..RULES.len(), dct: bool, dishonest in 0.0f64..0.49,
        before in prop_oneof![Just(None), Just(Some(Before::NearestNeighbourMixing)), Just(Some(Before::Bucketing))],
    ) {
        let layout = layout(&shapes, chunk, topk);
        let mut rng = rng(seed, "robust test", 0, 0);
        let payloads: Vec<PseudoGradient> = (0..count).map(|_| payload(&layout, &mut rng)).collect();
        let theta: Vec<f32> = (0..layout.total()).map(|_| normal(&mut rng)).collect();
        let basis = if dct { Basis::Dct } else { Basis::Values };
        let robust = rule(&layout, basis, RULES[which], RobustSettings { dishonest, before });
        let bits = |peers: &[Weighted]| {
            robust.step(&theta, peers, 0.01).into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let mut peers = weighted(&payloads, 3, &mut rng);
        let after = bits(&peers);
        prop_assert!(after.iter().all(|&bits| f32::from_bits(bits).is_finite()));
        peers.shuffle(&mut rng);
        prop_assert_eq!(&after, &bits(&peers));
        // A weight stands for that many identical payloads.
        let repeated: Vec<Weighted> = (peers.iter())
            .flat_map(|peer| std::iter::repeat_n(Weighted::once(peer.payload), peer.weight.into()))
            .collect();
        prop_assert_eq!(&after, &bits(&repeated));
    }

    /// A single payload takes its own step under every rule, as loss scores need.
    #[test]
    fn one_payload_makes_its_own_step(shapes in shapes(), chunk in 1usize..=32, topk in 1usize..40, seed: u64) {
        let layout = layout(&shapes, chunk, topk);
        let mut rng = rng(seed, "robust test", 1, 0);
        let payloads = [payload(&layout, &mut rng)];
        let theta: Vec<f32> = (0..layout.total()).map(|_| normal(&mut rng)).collect();
        let signs = super::super::sign_of_mean::signs(&layout, &Weighted::equally(&payloads));
        let expected = super::super::sign_of_mean::apply(&theta, &signs, 0.01);
        for name in RULES {
            let robust = rule(&layout, Basis::Dct, name, RobustSettings { dishonest: 0.4, before: None });
            prop_assert_eq!(&robust.step(&theta, &Weighted::equally(&payloads), 0.01), &expected, "{:?}", name);
        }
    }
}

#[test]
fn a_minority_far_away_moves_no_robust_rule() {
    let layout = layout(&[vec![8, 8]], 8, 64);
    let mut rng = rng(3, "robust test", 2, 0);
    let mut vector = |middle: f32| plain(&(0..64).map(|_| middle + 0.1 * normal(&mut rng)).collect::<Vec<f32>>());
    let honest: Vec<PseudoGradient> = (0..8).map(|_| vector(1.0)).collect();
    let hostile: Vec<PseudoGradient> = (0..2).map(|_| vector(-20.0)).collect();
    let all = Weighted::equally(honest.iter().chain(&hostile));
    let means = |name, before| {
        let settings = RobustSettings { dishonest: 0.25, before };
        let after = rule(&layout, Basis::Values, name, settings).step(&[0.0; 64], &all, 1.0);
        -after.iter().sum::<f32>() / 64.0
    };
    assert!(means(RobustRule::Mean, None) < -2.0);
    for name in &RULES[1..] {
        for before in [None, Some(Before::NearestNeighbourMixing)] {
            let mean = means(*name, before);
            assert!((0.6..1.2).contains(&mean), "{name:?}, {before:?}: {mean}");
        }
    }
    // Two of ten payloads can spoil up to two of five buckets.
    for name in [RobustRule::TrimmedMean, RobustRule::Median, RobustRule::Krum, RobustRule::MultiKrum] {
        let mean = means(name, Some(Before::Bucketing));
        assert!((0.6..1.2).contains(&mean), "{name:?} of buckets: {mean}");
    }
}

#[test]
fn buckets_hold_every_payload_once() {
    let layout = layout(&[vec![4]], 4, 4);
    let payloads: Vec<PseudoGradient> = (0..7).map(|at| plain(&[at as f32, 1.0, 2.0, 3.0])).collect();
    let layout = PayloadLayout { chunks: Arc::new(layout), basis: Basis::Values };
    let peers = Weighted::equally(&payloads);
    let vectors = Vectors::new(&layout, &peers);
    let groups = groups::groups(Some(Before::Bucketing), &Geometry::of(&vectors), 1, vectors.lot());
    let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 2, 2, 1]);
    let mut members = groups.concat();
    assert!(!members.is_sorted(), "they are shuffled");
    members.sort_unstable();
    assert_eq!(members, (0..7).collect::<Vec<_>>());
}
