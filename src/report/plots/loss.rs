//! `loss.svg`: the held-out loss by round, with AdamW's and the losses of simpler models. `loss-late.svg`: the same
//! without the initial fall, for runs that are long past it.

use plotters::style::RGBColor;

use super::canvas::{Point, picture};
use super::frame::{BELOW_HEADING, Frame, Legend, Level, Sample, WIDTH, heading, range_of};
use super::palette::{BLACK, Dash, LINES, SHADE, Stroke};
use crate::report::manifest::References;
use crate::report::{ReportError, RunData, diverged};
use crate::training::BaselineSettings;

const HEIGHT: f64 = 500.0;
/// Space for the labels of reference lines.
const RIGHT: f64 = 150.0;
const ROUNDS: &str = "communication rounds done";
const EXPLANATION: &str = "mean cross-entropy on held-out data, of the model that all honest peers share";

/// The share of the rounds that pictures of late losses leave out.
const EARLY: f64 = 0.1;
/// The late picture is drawn if the remaining losses span at most this share of all losses, too little to tell them
/// apart.
const CLOSE: f64 = 0.1;

/// One line of a picture of losses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    pub label: String,
    pub stroke: Stroke,
    pub points: Vec<Point>,
    /// The smallest and largest loss of several runs, as (x, low, high); empty for one run.
    pub spread: Vec<(f64, f64, f64)>,
}

/// Draws the loss of one run, and AdamW's.
pub fn loss(run: &RunData) -> Result<String, ReportError> {
    let settings = &run.manifest.scenario;
    let title = format!("Held-out loss: {}, seed {}", settings.name, run.manifest.seed);
    draw(&[run], &title, ROUNDS, &curves(run))
}

/// Draws the losses without the first rounds, if the later lines are too close to tell apart otherwise.
pub fn late_loss(run: &RunData) -> Result<Option<String>, ReportError> {
    let all = curves(run);
    let height = |curves: &[Curve]| {
        let y = range_of(curves.iter().flat_map(|curve| &curve.points).map(|point| point.1), 0.0);
        y.end - y.start
    };
    let settings = &run.manifest.scenario;
    let title = format!("Held-out loss after the first tenth: {}, seed {}", settings.name, run.manifest.seed);
    match late(&all).filter(|late| height(late) <= CLOSE * height(&all)) {
        Some(late) => draw_late(&[run], &title, &late).map(Some),
        None => Ok(None),
    }
}

/// The curves after the first tenth of the rounds, without those that end before; `None` if none is left.
pub(super) fn late(all: &[Curve]) -> Option<Vec<Curve>> {
    let last = all.iter().flat_map(|curve| &curve.points).fold(0.0, |last: f64, point| last.max(point.0));
    let is_late = |x: f64| x >= EARLY * last;
    let late = |curve: &Curve| Curve {
        points: curve.points.iter().copied().filter(|point| is_late(point.0)).collect(),
        spread: curve.spread.iter().copied().filter(|spread| is_late(spread.0)).collect(),
        ..curve.clone()
    };
    let late: Vec<Curve> = all.iter().map(late).filter(|curve| curve.points.len() > 1).collect();
    (!late.is_empty()).then_some(late)
}

/// Draws late curves over the rounds, with those reference losses that are among them.
pub(super) fn draw_late(runs: &[&RunData], title: &str, late: &[Curve]) -> Result<String, ReportError> {
    let highest = late.iter().flat_map(|curve| &curve.points).fold(f64::MIN, |highest, point| highest.max(point.1));
    let levels: Vec<Level> = levels(runs).into_iter().filter(|level| level.y < highest).collect();
    draw_with(&levels, ceiling(runs), title, ROUNDS, late)
}

fn curves(run: &RunData) -> Vec<Curve> {
    let settings = &run.manifest.scenario;
    let diverged = diverged(run);
    let marked = |label: String, is_baseline: bool| match diverged.iter().find(|it| it.is_baseline == is_baseline) {
        Some(it) => format!("{label}, diverged in round {}", it.since),
        None => label,
    };
    let network = marked(format!("the network (peak learning rate {})", settings.training.lr), false);
    let losses = run.rounds.iter().map(|row| (row.round, row.loss));
    let mut curves = Vec::new();
    if !run.manifest.central {
        curves.push(curve(network, Stroke::solid(LINES[0], 2.8), run, losses));
    }
    let averages = run.rounds.iter().map(|row| (row.round, row.average_loss.flatten()));
    curves.extend(average("the network", LINES[0], run, averages));
    if !run.baseline.is_empty() {
        let losses = run.baseline.iter().map(|row| (row.round, row.loss));
        curves.push(curve(marked(adamw(run), true), Stroke::solid(BLACK, 1.8).dash(Dash::Dashed), run, losses));
    }
    let averages = run.baseline.iter().map(|row| (row.round, row.average_loss.flatten()));
    curves.extend(average("the central trainer", BLACK, run, averages));
    curves
}

/// The losses of the average of the last models of a run with `training.average`.
fn average(
    whose: &str,
    color: RGBColor,
    run: &RunData,
    losses: impl Iterator<Item = (u64, Option<f64>)>,
) -> Option<Curve> {
    let factor = run.manifest.scenario.training.average?;
    let label = format!("average of the last models of {whose} (factor {factor})");
    let curve = curve(label, Stroke::solid(color, 1.4).dash(Dash::Dotted), run, losses);
    // The model at the start is in no average.
    let points: Vec<Point> = curve.points.into_iter().filter(|point| point.0 > 0.0).collect();
    (!points.is_empty()).then_some(Curve { points, ..curve })
}

/// Losses by the number of rounds done at the measurement.
fn curve(label: String, stroke: Stroke, run: &RunData, losses: impl Iterator<Item = (u64, Option<f64>)>) -> Curve {
    let start = run.manifest.initial_loss.map(|loss| (0.0, loss));
    let measured = losses.filter_map(|(round, loss)| loss.map(|loss| (round as f64 + 1.0, loss)));
    Curve { label, stroke, points: start.into_iter().chain(measured).collect(), spread: Vec::new() }
}

/// The name of a run's baseline.
pub(crate) fn adamw(run: &RunData) -> String {
    let BaselineSettings { optimizer, steps_per_round, lr, .. } = &run.manifest.scenario.baseline;
    let steps = if *steps_per_round == 1 { String::new() } else { format!("{steps_per_round} steps a round, ") };
    format!("central {} on as many tokens ({steps}peak learning rate {lr})", optimizer.name())
}

/// Draws loss curves on the same axes, with the runs' reference losses.
pub(super) fn draw(runs: &[&RunData], title: &str, x_title: &str, curves: &[Curve]) -> Result<String, ReportError> {
    let ceiling = ceiling(runs);
    let mut levels = levels(runs);
    if curves.iter().flat_map(|curve| &curve.points).any(|point| point.1 > ceiling) {
        let (label, stroke) = (format!("off scale above {ceiling:.1}"), Stroke::solid(SHADE, 1.2).dash(Dash::Dotted));
        levels.push(Level { y: ceiling, label, stroke });
    }
    draw_with(&levels, ceiling, title, x_title, curves)
}

/// The highest loss that is drawn. A diverged run is drawn along the upper edge.
fn ceiling(runs: &[&RunData]) -> f64 {
    let start = runs.iter().filter_map(|run| run.manifest.initial_loss).fold(f64::NEG_INFINITY, f64::max);
    if start.is_finite() { 1.5 * start } else { f64::INFINITY }
}

/// Draws loss curves up to `ceiling`, with these reference lines.
fn draw_with(
    levels: &[Level],
    ceiling: f64,
    title: &str,
    x_title: &str,
    curves: &[Curve],
) -> Result<String, ReportError> {
    let x = || curves.iter().flat_map(|curve| &curve.points).map(|point| point.0);
    let x = x().fold(f64::INFINITY, f64::min).min(1e300)..x().fold(f64::NEG_INFINITY, f64::max).max(-1e300);
    let x = if x.start < x.end { x } else { 0.0..1.0 };
    let points = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let spreads = curves.iter().flat_map(|curve| &curve.spread).flat_map(|(_, low, high)| [*low, *high]);
    let values = points.chain(spreads).map(|loss| loss.min(ceiling));
    let y = range_of(values.chain(levels.iter().map(|level| level.y)), 0.04);

    let sample = |curve: &Curve| {
        if curve.spread.is_empty() { Sample::Line(curve.stroke) } else { Sample::Band(curve.stroke) }
    };
    let legend = Legend::new(curves.iter().map(|curve| (sample(curve), curve.label.clone())), WIDTH - 90.0);
    let top = BELOW_HEADING + legend.height() + 10.0;
    picture("the loss", (WIDTH, HEIGHT + legend.height()), |page| {
        heading(page, title, EXPLANATION);
        legend.draw(page, (70.0, BELOW_HEADING));
        let bottom = HEIGHT + legend.height() - 50.0;
        let frame = Frame { left: 70.0, top, right: WIDTH - RIGHT, bottom, x: x.clone(), y: y.clone() };
        frame.axes(page, x_title, "held-out loss (nats per token)");
        frame.levels(page, levels);
        for curve in curves {
            frame.band(page, &curve.spread, curve.stroke.color, 0.2);
        }
        for curve in curves {
            frame.line(page, &curve.points, curve.stroke);
        }
    })
}

/// The reference losses. If runs have different ones, as with seeds of a synthetic corpus, their mean.
fn levels(runs: &[&RunData]) -> Vec<Level> {
    type Kind = (&'static str, fn(&References) -> Option<f64>, Dash);
    let kinds: [Kind; 3] = [
        ("entropy floor", |references| references.entropy_floor, Dash::Dashed),
        ("bigram", |references| references.bigram, Dash::Alternating),
        ("unigram", |references| references.unigram, Dash::Dotted),
    ];
    let level = |(name, of, dash): Kind| {
        let values = runs.iter().filter_map(|run| of(&run.manifest.references)).filter(|value| value.is_finite());
        let values: Vec<f64> = values.collect();
        let first = *values.first()?;
        let is_mean = values.iter().any(|value| *value != first);
        let y = if is_mean { values.iter().sum::<f64>() / values.len() as f64 } else { first };
        let label = format!("{name} {}{y:.3}", if is_mean { "\u{2248}" } else { "" });
        Some(Level { y, label, stroke: Stroke::solid(SHADE, 1.2).dash(dash) })
    };
    kinds.into_iter().filter_map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn one_run_shows_the_baseline_and_the_levels() {
        let run = sample::copycat();
        let svg = loss(&run).unwrap();
        for text in
            ["Held-out loss: copycat, seed 1", "central AdamW", "entropy floor 1.386", "bigram 2.301", "nats per token"]
        {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn late_losses_have_their_own_picture_if_the_fall_hides_them() {
        let mut run = sample::copycat();
        assert!(late_loss(&run).unwrap().is_none(), "it falls all along");
        let rounds = run.rounds.len();
        for (nth, row) in run.rounds.iter_mut().enumerate() {
            row.loss = Some(if nth * 20 < rounds { 5.0 } else { 1.5 - 1e-4 * nth as f64 });
        }
        run.baseline.clear();
        let svg = late_loss(&run).unwrap().expect("drawn apart");
        assert!(svg.contains("after the first tenth") && svg.contains("entropy floor") && !svg.contains("bigram"));
    }

    #[test]
    fn a_loss_that_is_not_finite_breaks_the_line() {
        let mut run = sample::copycat();
        run.rounds[80].loss = Some(f64::NAN);
        run.rounds[81].loss = Some(f64::INFINITY);
        assert!(!loss(&run).unwrap().contains("NaN"));
        run.rounds.clear();
        run.baseline.clear();
        loss(&run).unwrap();
    }

    #[test]
    fn a_run_that_has_diverged_is_marked() {
        let mut run = sample::copycat();
        let drawn = loss(&run).unwrap();
        assert!(!drawn.contains("diverged") && !drawn.contains("off scale"));
        run.rounds.iter_mut().for_each(|row| row.loss = row.loss.map(|_| 1.4e6));
        run.baseline.iter_mut().for_each(|row| row.loss = row.loss.map(|_| f64::NAN));
        let drawn = loss(&run).unwrap();
        assert!(drawn.contains("(peak learning rate 0.003), diverged in round 4"), "{drawn}");
        assert!(drawn.matches("diverged in round 4").count() == 2 && drawn.contains("off scale above 8.3"), "{drawn}");
    }
}
