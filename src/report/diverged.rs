//! Detects a diverged run, and describes it with the numbers that show it.

use std::fmt;

use super::{RunData, Status};

/// A loss that exceeds the initial loss by this much, in nats a token, means a spoilt model. A uniform guess over the
/// vocabulary would stay closer to the initial loss.
const FAR: f64 = 1.0;
/// The loss must have been that high for the last 1/LONG of the run.
const LONG: usize = 3;
/// A loss that is not at least this far below the initial one shows no training.
const LEARNT: f64 = 0.05;

/// What has diverged, and the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Diverged {
    /// True for the AdamW baseline, false for the network.
    pub is_baseline: bool,
    /// Rounds done when it first showed.
    pub since: u64,
    how: How,
    /// The learning rate.
    lr: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum How {
    NotFinite {
        last: f64,
    },
    FarAbove {
        last: f64,
        first: f64,
    },
    /// The loss was far above the initial one and is now back where training starts.
    NotBack {
        highest: f64,
        last: f64,
        first: f64,
    },
    NothingAggregated {
        malformed: usize,
        of: usize,
    },
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, key) = if self.is_baseline { ("AdamW", "baseline.lr") } else { ("the network", "training.lr") };
        let since = self.since;
        match self.how {
            How::NotFinite { last } => {
                write!(f, "{who} has diverged: its loss is {} from round {since} on", shown(last))?
            }
            How::FarAbove { last, first } => {
                let (last, first) = (shown(last), shown(first));
                write!(f, "{who} has diverged: its loss is {last}; it was {first} before the first round")?;
            }
            How::NotBack { highest, last, first } => write!(
                f,
                "{who} has diverged: its loss was up to {} from round {since} on and ended at {}; it was {} before the first round",
                shown(highest),
                shown(last),
                shown(first)
            )?,
            How::NothingAggregated { malformed, of } => write!(
                f,
                "{who} has diverged: nothing is aggregated from round {since} on, as {malformed} of {of} uploads are \
                 malformed; values that are not finite make them so"
            )?,
        }
        write!(f, "; try a smaller {key} than {}", self.lr)
    }
}

/// A loss with four decimals or as a power of ten; `NaN` or `inf` if it is not finite.
pub(super) fn shown(loss: f64) -> String {
    if loss.abs() < 1e5 || !loss.is_finite() { format!("{loss:.4}") } else { format!("{loss:.2e}") }
}

/// What has diverged in a run: the network, the baseline, or both.
pub fn diverged(run: &RunData) -> Vec<Diverged> {
    let settings = &run.manifest.scenario;
    let first = run.manifest.initial_loss;
    let network = of_losses(first, run.rounds.iter().map(|row| (row.round, row.loss))).or_else(|| stalled(run));
    let baseline = of_losses(first, run.baseline.iter().map(|row| (row.round, row.loss)));
    let found = [(false, network, settings.training.lr), (true, baseline, settings.baseline.lr)];
    let found = found.into_iter().filter_map(|(is_baseline, found, lr)| {
        let (since, how) = found?;
        Some(Diverged { is_baseline, since, how, lr })
    });
    found.collect()
}

fn of_losses(first: Option<f64>, losses: impl Iterator<Item = (u64, Option<f64>)>) -> Option<(u64, How)> {
    let measured: Vec<(u64, f64)> = losses.filter_map(|(round, loss)| Some((round, loss?))).collect();
    let last = measured.last()?.1;
    // Counted from the end: how long it has been so.
    let since = |is_bad: &dyn Fn(f64) -> bool| {
        let bad = measured.iter().rev().take_while(|(_, loss)| is_bad(*loss)).count();
        (bad, measured.get(measured.len() - bad).map_or(0, |(round, _)| *round))
    };
    if !last.is_finite() {
        return Some((since(&|loss| !loss.is_finite()).1, How::NotFinite { last }));
    }
    let first = first?;
    let (far, round) = since(&|loss| loss.is_nan() || loss > first + FAR);
    let long = measured.len().div_ceil(LONG);
    if far >= long {
        return Some((round, How::FarAbove { last, first }));
    }
    let rose = measured.iter().position(|(_, loss)| loss.is_nan() || *loss > first + FAR)?;
    let highest = measured.iter().fold(first, |highest, (_, loss)| highest.max(*loss));
    let is_long_ago = measured.len() - rose >= long;
    (is_long_ago && last > first - LEARNT).then_some((measured[rose].0, How::NotBack { highest, last, first }))
}

/// The model of a diverged network stays as it is, because the peers' payloads are refused.
fn stalled(run: &RunData) -> Option<(u64, How)> {
    let idle = run.rounds.iter().rev().take_while(|row| row.aggregated == 0).count();
    if idle == 0 || idle < run.rounds.len().div_ceil(LONG) {
        return None;
    }
    let since = run.rounds[run.rounds.len() - idle].round;
    let sent = run.peers.iter().filter(|row| row.round >= since && row.status != Status::Absent);
    let (of, malformed) =
        sent.fold((0, 0), |(of, malformed), row| (of + 1, malformed + usize::from(row.status == Status::Malformed)));
    (2 * malformed > of).then_some((since, How::NothingAggregated { malformed, of }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn said(change: impl Fn(&mut RunData)) -> Vec<String> {
        let mut run = sample::copycat();
        change(&mut run);
        diverged(&run).iter().map(ToString::to_string).collect()
    }

    fn from(run: &mut RunData, round: u64, loss: f64) {
        let late = run.rounds.iter_mut().filter(|row| row.round >= round && row.loss.is_some());
        late.for_each(|row| row.loss = Some(loss));
    }

    #[test]
    fn divergence_is_described_in_words() {
        assert_eq!(said(|_| ()), [""; 0]);
        assert_eq!(
            said(|run| from(run, 50, f64::NAN)),
            ["the network has diverged: its loss is NaN from round 54 on; try a smaller training.lr than 0.003"]
        );
        assert_eq!(
            said(|run| from(run, 50, 1.4e6)),
            ["the network has diverged: its loss is 1.40e6; it was 5.5500 before the first round; try a smaller \
              training.lr than 0.003"]
        );
        assert_eq!(
            said(|run| run.baseline.iter_mut().for_each(|row| row.loss = row.loss.map(|_| f64::INFINITY))),
            ["AdamW has diverged: its loss is inf from round 4 on; try a smaller baseline.lr than 0.003"]
        );
        let dead = said(|run| {
            from(run, 0, 3e6);
            from(run, 90, 5.5452);
        });
        assert_eq!(
            dead,
            [
                "the network has diverged: its loss was up to 3.00e6 from round 4 on and ended at 5.5452; it was 5.5500 before the \
              first round; try a smaller training.lr than 0.003"
            ]
        );
        let stalled = said(|run| {
            run.rounds.iter_mut().for_each(|row| row.aggregated = 0);
            run.peers.iter_mut().for_each(|row| row.status = Status::Malformed);
        });
        assert_eq!(
            stalled,
            [
                "the network has diverged: nothing is aggregated from round 0 on, as 2400 of 2400 uploads are malformed; \
              values that are not finite make them so; try a smaller training.lr than 0.003"
            ]
        );
    }

    #[test]
    fn a_short_rise_and_slow_learning_are_no_divergence() {
        assert_eq!(said(|run| run.rounds[80].loss = Some(f64::NAN)), [""; 0]);
        assert_eq!(said(|run| from(run, 140, 9.0)), [""; 0]);
        assert_eq!(said(|run| from(run, 0, 6.0)), [""; 0]);
        assert_eq!(said(|run| run.rounds.iter_mut().for_each(|row| row.aggregated = 0)), [""; 0]);
    }
}
