//! `loss.svg`: the held-out loss by round, AdamW's beside it, and what simpler models reach.

use super::canvas::{Point, picture};
use super::frame::{BELOW_HEADING, Frame, Legend, Level, Sample, WIDTH, heading, range_of};
use super::palette::{BLACK, Dash, LINES, SHADE, Stroke};
use crate::report::manifest::References;
use crate::report::{ReportError, RunData};

const HEIGHT: f64 = 500.0;
/// Room for the labels of levels.
const RIGHT: f64 = 150.0;

/// One line of the picture.
struct Curve {
    label: String,
    stroke: Stroke,
    points: Vec<Point>,
}

/// The loss of one run, or of several on one set of axes: one colour a run, AdamW dashed (once, where it is the same
/// for all).
pub fn loss(runs: &[&RunData]) -> Result<String, ReportError> {
    let curves = curves(runs);
    let levels = levels(runs);
    let end = curves.iter().flat_map(|curve| curve.points.last()).map(|point| point.0).fold(1.0, f64::max);
    let start = runs.iter().filter_map(|run| run.manifest.initial_loss).fold(f64::NEG_INFINITY, f64::max);
    // A run that blew up is drawn to the upper edge.
    let ceiling = if start.is_finite() { 1.5 * start } else { f64::INFINITY };
    let values = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1.min(ceiling));
    let y = range_of(values.chain(levels.iter().map(|level| level.y)), 0.04);

    let entries = curves.iter().map(|curve| (Sample::Line(curve.stroke), curve.label.clone()));
    let legend = Legend::new(entries, WIDTH - 90.0);
    let top = BELOW_HEADING + legend.height() + 10.0;
    picture("the loss", (WIDTH, HEIGHT + legend.height()), |page| {
        heading(page, &title(runs), "mean cross-entropy on held-out data, of the model that all honest peers share");
        legend.draw(page, (70.0, BELOW_HEADING));
        let bottom = HEIGHT + legend.height() - 50.0;
        let frame = Frame { left: 70.0, top, right: WIDTH - RIGHT, bottom, x: 0.0..end, y: y.clone() };
        frame.axes(page, "communication rounds done", "held-out loss (nats per token)");
        frame.levels(page, &levels);
        for curve in &curves {
            frame.line(page, &curve.points, curve.stroke);
        }
    })
}

fn title(runs: &[&RunData]) -> String {
    match runs {
        [run] => format!("Held-out loss: {}, seed {}", run.manifest.scenario.name, run.manifest.seed),
        _ => "Held-out loss".into(),
    }
}

fn curves(runs: &[&RunData]) -> Vec<Curve> {
    let mut curves = Vec::new();
    let same_baseline = runs.windows(2).all(|pair| pair[0].baseline == pair[1].baseline);
    for (index, run) in runs.iter().enumerate() {
        let color = LINES[index % LINES.len()];
        // Where curves coincide, the first shows at both sides of the later ones.
        let width = (2.8 - 0.5 * index as f64).max(1.3);
        let stroke =
            Stroke::solid(color, width).dash(if index < LINES.len() { Dash::Solid } else { Dash::Alternating });
        let label = if runs.len() == 1 { network(run) } else { run.name.clone() };
        let losses = run.rounds.iter().map(|row| (row.round, row.loss));
        curves.push(Curve { label, stroke, points: points(run, losses) });
        if run.baseline.is_empty() || same_baseline && index > 0 {
            continue;
        }
        let (label, color) = match (runs.len(), same_baseline) {
            (1, _) | (_, true) => (adamw(run), BLACK),
            _ => (format!("AdamW beside {}", run.name), color),
        };
        let losses = run.baseline.iter().map(|row| (row.round, row.loss));
        curves.push(Curve { label, stroke: Stroke::solid(color, 1.8).dash(Dash::Dashed), points: points(run, losses) });
    }
    curves
}

fn network(run: &RunData) -> String {
    format!("the network (peak learning rate {})", run.manifest.scenario.training.lr)
}

fn adamw(run: &RunData) -> String {
    format!("central AdamW on as many tokens (peak learning rate {})", run.manifest.scenario.baseline.lr)
}

/// Losses by the number of rounds done when they were measured.
fn points(run: &RunData, losses: impl Iterator<Item = (u64, Option<f64>)>) -> Vec<Point> {
    let start = run.manifest.initial_loss.map(|loss| (0.0, loss));
    let measured = losses.filter_map(|(round, loss)| loss.map(|loss| (round as f64 + 1.0, loss)));
    start.into_iter().chain(measured).collect()
}

/// The reference losses, once where runs share them.
fn levels(runs: &[&RunData]) -> Vec<Level> {
    let mut levels: Vec<Level> = Vec::new();
    let all_alike = runs.windows(2).all(|pair| pair[0].manifest.references == pair[1].manifest.references);
    for (index, run) in runs.iter().enumerate() {
        if all_alike && index > 0 {
            break;
        }
        let color = if all_alike { SHADE } else { LINES[index % LINES.len()] };
        let References { entropy_floor, bigram, unigram } = run.manifest.references;
        for (name, y, dash) in [
            ("entropy floor", entropy_floor, Dash::Dashed),
            ("bigram", bigram, Dash::Alternating),
            ("unigram", unigram, Dash::Dotted),
        ] {
            if let Some(y) = y.filter(|y| y.is_finite()) {
                levels.push(Level { y, label: format!("{name} {y:.3}"), stroke: Stroke::solid(color, 1.2).dash(dash) });
            }
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn one_run_shows_the_baseline_and_the_levels() {
        let run = sample::copycat();
        let svg = loss(&[&run]).unwrap();
        for text in
            ["Held-out loss: copycat, seed 1", "central AdamW", "entropy floor 1.386", "bigram 2.301", "nats per token"]
        {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn a_shared_baseline_is_drawn_once() {
        let (one, mut other) = (sample::copycat(), sample::copycat());
        other.name = "other".into();
        assert_eq!(curves(&[&one, &other]).len(), 3);
        other.baseline[3].lr *= 2.0;
        assert_eq!(curves(&[&one, &other]).len(), 4);
        assert_eq!(curves(&[&one, &other])[0].stroke.color, LINES[0]);
    }

    #[test]
    fn a_loss_that_is_no_number_breaks_the_line() {
        let mut run = sample::copycat();
        run.rounds[80].loss = Some(f64::NAN);
        run.rounds[81].loss = Some(f64::INFINITY);
        assert!(!loss(&[&run]).unwrap().contains("NaN"));
        run.rounds.clear();
        run.baseline.clear();
        loss(&[&run]).unwrap();
    }
}
