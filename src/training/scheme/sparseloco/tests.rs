//! Compares the scheme with its definition, in f64 and one value at a time.

use proptest::prelude::*;

use super::*;
use crate::random::{self, rng};
use crate::training::aggregate::clipped_mean::ClippedMean;
use crate::training::aggregate::{Aggregation, Weighted};

/// The definition, written as plainly as possible.
struct Reference {
    rows: usize,
    cols: usize,
    chunk: usize,
    topk: usize,
    decay: f64,
    bits: u32,
}

impl Reference {
    /// The dense tensor of what is sent of `decay * error + update`; the rest stays in `error`.
    fn send(&self, error: &mut [f64], update: &[f64]) -> Vec<f64> {
        error.iter_mut().zip(update).for_each(|(e, u)| *e = self.decay * *e + u);
        let mut chosen: Vec<usize> = Vec::new();
        for top in (0..self.rows).step_by(self.chunk) {
            for left in (0..self.cols).step_by(self.chunk) {
                let rows = top..top + self.chunk;
                let mut places: Vec<usize> =
                    rows.flat_map(|row| (left..left + self.chunk).map(move |col| row * self.cols + col)).collect();
                places.sort_by(|&a, &b| error[b].abs().total_cmp(&error[a].abs()));
                chosen.extend(&places[..self.topk]);
            }
        }
        let values = self.quantised(chosen.iter().map(|&place| error[place]).collect());
        let mut sent = vec![0.0; error.len()];
        for (place, value) in chosen.into_iter().zip(values) {
            sent[place] = value;
            error[place] -= value;
        }
        sent
    }

    /// Each value becomes the mean of its bin. Equal bins span six standard deviations around the mean.
    fn quantised(&self, values: Vec<f64>) -> Vec<f64> {
        if self.bits == 32 {
            return values;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count).sqrt();
        let bins = 2f64.powi(self.bits as i32);
        let bin = |value: f64| (((value - mean) / deviation + 3.0) / 6.0 * bins).floor().clamp(0.0, bins - 1.0);
        let mean_of = |wanted: f64| {
            let inside: Vec<f64> = values.iter().copied().filter(|&value| bin(value) == wanted).collect();
            inside.iter().sum::<f64>() / inside.len() as f64
        };
        values.iter().map(|&value| mean_of(bin(value))).collect()
    }
}

/// theta - rate * mean over all peers, each clipped to the median norm.
fn aggregated(theta: &[f64], sent: &[Vec<f64>], rate: f64) -> Vec<f64> {
    let norm = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let mut norms: Vec<f64> = sent.iter().map(|values| norm(values)).collect();
    norms.sort_by(f64::total_cmp);
    let median = norms[(norms.len() - 1) / 2];
    let mut after = theta.to_vec();
    for values in sent {
        let factor = (median / norm(values)).min(1.0);
        for (after, value) in after.iter_mut().zip(values) {
            *after -= rate * factor * value / sent.len() as f64;
        }
    }
    after
}

fn settings(topk: usize, decay: f64, bits: u32, outer_lr: f64) -> SparseLocoSettings {
    SparseLocoSettings { chunk: 16, topk, decay, bits, outer_lr, ..SparseLocoSettings::default() }
}

fn normal(size: usize, who: u64, round: u64) -> Vec<f32> {
    let mut rng = rng(11, "sparseloco test", who, round);
    (0..size).map(|_| random::normal(&mut rng)).collect()
}

fn close(what: &str, got: &[f32], expected: &[f64]) {
    for (at, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        assert!((f64::from(got) - expected).abs() < 2e-5, "{what} at {at}: {got}, expected {expected}");
    }
}

/// Encodes, quantises and aggregates over three rounds of three peers. One of them is a hundred times too loud.
#[test]
fn rounds_are_as_the_definition_says() {
    let (rows, cols) = (32, 48);
    let size = rows * cols;
    for (topk, decay, bits, outer_lr) in [(8, 0.95, 2, 1.0), (20, 0.9, 4, 0.7), (256, 0.0, 8, 1.0), (5, 0.95, 32, 0.5)]
    {
        let reference = Reference { rows, cols, chunk: 16, topk, decay, bits };
        let params = ParamLayout::new([("w".into(), vec![rows, cols])]);
        let scheme = SparseLoco::new(&settings(topk, decay, bits, outer_lr), &params).unwrap();
        let rule = ClippedMean::new(scheme.payloads().chunks);
        let mut theta = normal(size, 9, 0);
        let mut errors = vec![(vec![0.0f32; size], vec![0.0f64; size]); 3];
        for round in 0..3 {
            let mut payloads = Vec::new();
            let mut expected = Vec::new();
            for (peer, (error, reference_error)) in errors.iter_mut().enumerate() {
                let loud = if peer == 2 { 100.0 } else { 1.0 };
                let update: Vec<f32> = normal(size, peer as u64, round).iter().map(|v| v * 0.01 * loud).collect();
                payloads.push(scheme.encode(error, &update));
                scheme.shape().check(payloads.last().unwrap()).unwrap();
                let update: Vec<f64> = update.iter().map(|&v| v.into()).collect();
                expected.push(reference.send(reference_error, &update));
                close("error", error, reference_error);
            }
            let before: Vec<f64> = theta.iter().map(|&v| v.into()).collect();
            let lone = rule.step(&theta, &[Weighted::once(&payloads[2])], 0.2 * scheme.rate(1.0));
            close("a peer alone", &lone, &aggregated(&before, &expected[2..], 0.2 * outer_lr));
            theta = rule.step(&theta, &Weighted::equally(&payloads), scheme.rate(1.0));
            close("theta", &theta, &aggregated(&before, &expected, outer_lr));
        }
    }
}

#[test]
fn indices_come_by_falling_magnitude_and_ties_by_index() {
    let params = ParamLayout::new([("w".into(), vec![4])]);
    let scheme = SparseLoco::new(&settings(3, 0.0, 32, 1.0), &params).unwrap();
    let mut error = vec![5.0; 4];
    let sent = scheme.encode(&mut error, &[1.0, -2.0, 2.0, 0.5]);
    assert_eq!(sent.tensors[0], SparseTensor { indices: vec![1, 2, 0], values: vec![-2.0, 2.0, 1.0] });
    assert_eq!(error, [0.0, 0.0, 0.0, 0.5]);
}

#[test]
fn a_saved_state_goes_on_and_one_of_another_model_is_refused() {
    let scheme = |size| {
        let params = ParamLayout::new([("w".into(), vec![size])]);
        SparseLoco::new(&settings(3, 0.9, 2, 1.0), &params).unwrap()
    };
    let mut saved = Vec::new();
    scheme(40).local().save(&mut saved);
    assert_eq!(scheme(40).local().restore(&saved), Ok(()));
    assert!(scheme(41).local().restore(&saved).unwrap_err().contains("expected 41"));
    assert!(scheme(40).local().restore(&saved[..3]).is_err());
}

proptest! {
    /// Nothing is lost: what is sent and what remains add up to the decayed error and the update.
    #[test]
    fn sent_and_owed_are_all_there_is(seed: u64, topk in 1usize..60, bits in prop::sample::select(vec![2u32, 4, 8, 32])) {
        let params = ParamLayout::new([("w".into(), vec![32, 16]), ("norm".into(), vec![16])]);
        let scheme = SparseLoco::new(&settings(topk, 0.5, bits, 1.0), &params).unwrap();
        let (mut error, update) = (normal(528, seed, 0), normal(528, seed, 1));
        let due: Vec<f32> = error.iter().zip(&update).map(|(e, u)| 0.5 * e + u).collect();
        let sent = scheme.encode(&mut error, &update);
        prop_assert_eq!(scheme.shape().check(&sent), Ok(()));
        let mut owed = error;
        for (chunks, sparse) in scheme.layout().tensors.iter().zip(&sent.tensors) {
            for (at, (&index, &value)) in sparse.indices.iter().zip(&sparse.values).enumerate() {
                owed[chunks.range.start + chunks.corner(at / chunks.k) + chunks.offset(index)] += value;
            }
        }
        for (owed, due) in owed.iter().zip(&due) {
            prop_assert!((owed - due).abs() <= 1e-6 * (1.0 + due.abs()), "{} and {}", owed, due);
        }
    }
}
