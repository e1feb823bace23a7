//! The average of the last models: it changes nothing else, is what its models make it, and survives a stop.

use std::sync::{Arc, Mutex};

use gauntlet::engine::{Observer, ObserverError, Outcome, RunOptions, simulate};
use gauntlet::training::Replica;

use super::common::{Run, Stop};
use super::{HONEST, ZOO, assert_same_reports, digest, small};

/// Keeps the models and their averages.
#[derive(Default)]
struct Models {
    models: Vec<Vec<f32>>,
    averages: Vec<Vec<f32>>,
}

impl Observer for Models {
    fn model(&mut self, _round: u64, replica: &Replica) -> Result<(), ObserverError> {
        self.models.push(replica.theta.clone());
        Ok(())
    }

    fn average(&mut self, _round: u64, theta: &[f32]) -> Result<(), ObserverError> {
        self.averages.push(theta.to_vec());
        Ok(())
    }
}

fn models(settings: &[&str]) -> Models {
    let told = Arc::new(Mutex::new(Models::default()));
    let options =
        RunOptions { threads: 2, baseline: false, resume: None, resume_baseline: None, interrupt: Arc::default() };
    let outcome = simulate(small(HONEST, settings), options, told.clone()).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    std::mem::take(&mut *told.lock().unwrap())
}

#[test]
fn it_is_the_weighted_mean_of_the_models_after_each_round() {
    let told = models(&["training.average=0.5", "training.checkpoint_every=1", "rounds=4"]);
    assert_eq!((told.models.len(), told.averages.len()), (4, 4));
    for (round, average) in told.averages.iter().enumerate() {
        let weights: Vec<f64> = (0..=round).map(|earlier| 0.5f64.powi((round - earlier) as i32)).collect();
        for (at, average) in average.iter().enumerate() {
            let sum: f64 = weights.iter().zip(&told.models).map(|(weight, model)| weight * f64::from(model[at])).sum();
            let expected = sum / weights.iter().sum::<f64>();
            assert!((f64::from(*average) - expected).abs() < 1e-6, "round {round}: {average}, {expected}");
        }
    }
    assert!(models(&["rounds=4"]).averages.is_empty());
}

#[test]
fn it_changes_nothing_else_and_goes_on_after_a_stop() {
    let (plain, averaging) = (small(ZOO, &[]), small(ZOO, &["training.average=0.9"]));
    let (_, without) = Run { threads: 2, baseline: true, ..Run::default() }.of(&plain).unwrap();
    let (whole, expected) = Run { threads: 2, baseline: true, ..Run::default() }.of(&averaging).unwrap();
    assert!(without.reports.iter().all(|report| report.average_loss.is_none()));
    for (with, without) in expected.reports.iter().zip(&without.reports) {
        assert_eq!(with.average_loss.is_some(), with.loss.is_some());
        let mut with = with.clone();
        with.average_loss = None;
        assert_eq!(with.digested(), without.digested(), "round {}", with.round);
    }
    for (with, without) in expected.baseline.iter().zip(&without.baseline) {
        assert_eq!((with.lr, with.loss, with.average_loss.is_some()), (without.lr, without.loss, with.loss.is_some()));
        assert!(without.average_loss.is_none());
    }

    let stop = Stop::Round(7);
    let (_, begun) = Run { threads: 2, stop, ..Run::default() }.of(&averaging).unwrap();
    let (bytes, rounds) = begun.checkpoints.last().unwrap().clone();
    let (resumed, told) = Run { threads: 1, resume: Some(bytes), ..Run::default() }.of(&averaging).unwrap();
    assert_same_reports(&told.reports, &expected.reports[rounds..]);
    let averages = |reports: &[gauntlet::node::RoundReport]| -> Vec<Option<f64>> {
        reports.iter().map(|report| report.average_loss).collect()
    };
    assert_eq!(averages(&told.reports), averages(&expected.reports[rounds..]));
    assert_eq!(digest(resumed), digest(whole));

    let state = expected.baseline_states[0].clone();
    assert!(state.average.is_some());
    let again = Run { threads: 2, baseline: true, resume_baseline: Some(state), ..Run::default() };
    let (_, again) = again.of(&averaging).unwrap();
    let losses = |steps: &[gauntlet::engine::BaselineStep]| -> Vec<(u64, Option<f64>)> {
        steps.iter().map(|step| (step.round, step.average_loss)).collect()
    };
    assert_eq!(losses(&again.baseline), losses(&expected.baseline[again.baseline[0].round as usize..]));
}
