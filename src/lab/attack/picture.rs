//! `frontier.svg`: pay of all strategies by their work.

use std::collections::BTreeSet;

use super::arena::Trial;
use super::search::{Finding, Found};
use crate::lab::statistics::Interval;
use crate::report::ReportError;
use crate::report::plots::canvas::{Anchor, Canvas, Lettering, Point, picture};
use crate::report::plots::frame::{BELOW_HEADING, Frame, Legend, Sample, WIDTH, heading};
use crate::report::plots::palette::{BLUE, Dash, INK, SHADE, Stroke, VERMILLION};

const HEIGHT: f64 = 500.0;
/// Half the side of the marks of a strategy and of a finding.
const SMALL: f64 = 1.6;
const LARGE: f64 = 4.5;

/// Draws all strategies of the cheap networks, their frontier, and the findings with their intervals.
///
/// # Errors
/// The picture cannot be drawn.
pub fn frontier(found: &Found, title: &str) -> Result<String, ReportError> {
    let tried: Vec<Point> = found.cheap.iter().map(|(_, trials)| mean(trials)).collect();
    let frontier =
        frontier_of(found.cheap.iter().filter(|(_, trials)| trials.len() > 1).map(|(_, trials)| mean(trials)));
    let findings = found.findings.iter().map(|finding| {
        let (work, pay) = mean(&finding.trials);
        (work, pays_of(finding).map_or(pay, |(_, high)| high))
    });
    let highest = frontier
        .iter()
        .copied()
        .chain(findings)
        .fold((1.0f64, 1.5f64), |(x, y), point| (x.max(point.0), y.max(point.1)));
    let entries = [
        (Sample::Box(SHADE), "tried in a cheap network".to_string()),
        (Sample::Line(Stroke::solid(BLUE, 2.0)), "most pay for so much work, of two seeds or more".to_string()),
        (Sample::Box(VERMILLION), "finding, in the scenario itself (95 % interval)".to_string()),
        (
            Sample::Line(Stroke::solid(INK, 1.2).dash(Dash::Dotted)),
            "as an honest peer is paid for the work".to_string(),
        ),
    ];
    let legend = Legend::new(entries, WIDTH - 90.0);
    let explanation = "each mark is a strategy: tokens that it trained on, and its pay, an honest peer's both being 1";
    picture("the frontier", (WIDTH, HEIGHT + legend.height()), |page| {
        heading(page, title, explanation);
        legend.draw(page, (70.0, BELOW_HEADING));
        let (top, bottom) = (BELOW_HEADING + legend.height() + 10.0, HEIGHT + legend.height() - 50.0);
        let frame =
            Frame { left: 70.0, top, right: WIDTH - 30.0, bottom, x: 0.0..highest.0 * 1.08, y: 0.0..highest.1 * 1.12 };
        frame.axes(page, "work", "pay");
        apart(tried.iter().map(|&at| frame.at(at))).for_each(|at| mark(page, at, SMALL, Stroke::solid(SHADE, 0.45)));
        let end = frame.x.end.min(frame.y.end);
        frame.line(page, &[(0.0, 0.0), (end, end)], Stroke::solid(INK, 1.2).dash(Dash::Dotted));
        frame.line(page, &frontier, Stroke::solid(BLUE, 2.0));
        for (nth, finding) in found.findings.iter().enumerate() {
            let (work, pay) = mean(&finding.trials);
            if let Some((low, high)) = pays_of(finding) {
                frame.line(page, &[(work, low), (work, high)], Stroke::solid(VERMILLION, 1.5));
            }
            let at = frame.at((work, pay));
            mark(page, at, LARGE, Stroke::solid(VERMILLION, 1.0));
            let look = Lettering::new(12.0, Anchor::Left).bold();
            page.text(&(nth + 1).to_string(), (at.0 + 8.0, at.1), look);
        }
    })
}

/// Both ends of the interval of a finding's pay.
fn pays_of(finding: &Finding) -> Option<(f64, f64)> {
    let pays: Vec<f64> = finding.trials.iter().map(|trial| trial.pay).collect();
    Interval::of(&pays).and_then(|interval| interval.ends())
}

/// A square around a point; the stroke's width is its opacity.
fn mark(page: &Canvas<'_>, (x, y): Point, half: f64, look: Stroke) {
    page.rectangle((x - half, y - half), (x + half, y + half), look.color, look.width);
}

/// The points without those that lie on another, on a grid of half a mark: ten thousand marks make a picture slow to open.
fn apart(points: impl Iterator<Item = Point>) -> impl Iterator<Item = Point> {
    let cell = |at: f64| (at / SMALL).round();
    let taken: BTreeSet<(i64, i64)> = points.map(|(x, y)| (cell(x) as i64, cell(y) as i64)).collect();
    taken.into_iter().map(|(x, y)| (x as f64 * SMALL, y as f64 * SMALL))
}

/// Mean work and pay.
fn mean(trials: &[Trial]) -> Point {
    let of = |value: fn(&Trial) -> f64| trials.iter().map(value).sum::<f64>() / trials.len().max(1) as f64;
    (of(|trial| trial.work), of(|trial| trial.pay))
}

/// The points that no other point beats with at least as much pay for less work, by rising work.
fn frontier_of(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut points: Vec<Point> = points.collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut highest = f64::NEG_INFINITY;
    points.retain(|point| {
        let beats = point.1 > highest;
        highest = highest.max(point.1);
        beats
    });
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_on_one_another_are_drawn_once() {
        let drawn: Vec<Point> = apart([(10.0, 5.0), (10.2, 5.1), (90.0, 5.0)].into_iter()).collect();
        assert_eq!(drawn.len(), 2);
        assert!((drawn[0].0 - 10.0).abs() <= SMALL && (drawn[1].0 - 90.0).abs() <= SMALL);
    }

    #[test]
    fn the_frontier_rises() {
        let points = [(1.0, 2.0), (0.5, 1.0), (0.5, 3.0), (0.2, 0.1), (2.0, 9.0)];
        assert_eq!(frontier_of(points.into_iter()), [(0.2, 0.1), (0.5, 3.0), (2.0, 9.0)]);
        assert_eq!(frontier_of(std::iter::empty()), []);
    }
}
