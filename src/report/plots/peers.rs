//! A picture of each of the mechanism's numbers of peers, such as `rating.svg` and `proof.svg`: the validator's view of
//! each peer. With very few peers also its measurements, such as `loss-score.svg`.
//!
//! Very few peers share one frame. More get a panel per behaviour, all with the same axes. A group that is too large to
//! tell its peers apart shows its median and the range of its middle peers.

use std::ops::Range;

use super::canvas::{Canvas, Point, picture};
use super::frame::{BELOW_HEADING, Frame, Legend, Level, Sample, WIDTH, heading, range_of};
use super::grid::Grid;
use super::palette::{Dash, SHADE, Stroke};
use super::series::{Bins, Group, by_behaviour, last_in_bins, quantile, rounds_of};
use crate::mechanism::{Column, ColumnKind, Picture};
use crate::report::{PeerRow, ReportError, RunData};

/// Up to this many peers share one frame.
const ONE_FRAME: usize = 6;
/// With more peers in total, a group of more than `FEW` is drawn by its quantiles.
const ALL_DRAWN: usize = 40;
const FEW: usize = 4;

/// The pictures of the mechanism's columns that hold any number: file names without `.svg`, and SVG texts. A spread is
/// drawn with its column. A measurement is drawn only for few peers, as more would hide one another.
pub fn columns(run: &RunData) -> Result<Vec<(String, String)>, ReportError> {
    let columns = &run.manifest.columns;
    let peers: usize = by_behaviour(&run.peers).iter().map(|group| group.peers.len()).sum();
    let mut pictures: Vec<(String, String)> = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let is_spread = columns.iter().any(|other| other.spread.as_ref() == Some(&column.name));
        let is_crowded = column.kind == ColumnKind::Measured && peers > ONE_FRAME;
        let is_known = run.peers.iter().any(|row| number(row, at).is_some());
        if is_spread || is_crowded || !is_known {
            continue;
        }
        let file = column.picture.as_ref().map_or(&column.name, |picture| &picture.file).replace('_', "-");
        let file = if pictures.iter().any(|(other, _)| *other == file) { format!("{file}-{at}") } else { file };
        let spread = columns.iter().position(|other| column.spread.as_ref() == Some(&other.name));
        let value = |row: &PeerRow| {
            let spread = spread.map_or(Some(0.0), |spread| number(row, spread));
            Some((number(row, at)?, spread?))
        };
        pictures.push((file, Figure::of(column).draw(run, value)?));
    }
    Ok(pictures)
}

fn number(row: &PeerRow, at: usize) -> Option<f64> {
    row.numbers.get(at).copied().flatten()
}

struct Figure<'a> {
    name: String,
    explanation: &'a str,
    y_title: &'a str,
    y: Option<Range<f64>>,
}

impl<'a> Figure<'a> {
    /// The title from the column's picture, or from its name and label.
    fn of(column: &'a Column) -> Self {
        let y_title = column.label.as_str();
        if let Some(Picture { title, explanation, range, .. }) = &column.picture {
            let y = range.map(|(low, high)| {
                let (low, high) = (f64::from(low), f64::from(high));
                let margin = 0.025 * (high - low);
                low - margin..high + margin
            });
            return Self { name: title.clone(), explanation, y_title, y };
        }
        let words = column.words();
        let mut letters = words.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        let explanation = match (&column.spread, column.kind) {
            (Some(_), _) => "of each peer (line), with its uncertainty to both sides (band)",
            (None, ColumnKind::Measured) => "of each peer, in the rounds in which it was measured",
            (None, _) => "of each peer",
        };
        Self { name: first.chain(letters).collect(), explanation, y_title, y: None }
    }
}

/// A band around a line: x, line, low, high.
type Ribbon = Vec<(f64, f64, f64, f64)>;

impl Figure<'_> {
    fn draw(self, run: &RunData, value: impl Fn(&PeerRow) -> Option<(f64, f64)>) -> Result<String, ReportError> {
        let groups = by_behaviour(&run.peers);
        let count: usize = groups.iter().map(|group| group.peers.len()).sum();
        let bins = Bins::at_most(
            (6000 / count.max(1) as u64).clamp(60, 300),
            rounds_of(run.peers.iter().map(|row| row.round)),
        );
        let apart = |group: &Group<'_>| count <= ALL_DRAWN || group.peers.len() <= FEW;
        let ribbons: Vec<Vec<Ribbon>> = groups
            .iter()
            .map(|group| if apart(group) { each(group, bins, &value) } else { vec![middle(group, bins, &value)] })
            .collect();
        let seen = ribbons.iter().flatten().flatten().flat_map(|&(_, _, low, high)| [low, high]);
        let y = self.y.clone().unwrap_or_else(|| range_of(seen, 0.03));
        let axes = (0.0..bins.rounds.max(1) as f64, y);

        let mut explanation = self.explanation.to_string();
        if !groups.iter().all(apart) {
            explanation += "; large groups: median, and 10 to 90 % of the peers";
        }
        let title = format!("{}: {}, seed {}", self.name, run.manifest.scenario.name, run.manifest.seed);
        if count <= ONE_FRAME {
            return self.one_frame(&groups, &ribbons, axes, (&title, &explanation));
        }
        let honest = groups.first().filter(|group| group.label.starts_with("honest") && groups.len() > 1);
        let honest: Option<Vec<Point>> =
            honest.map(|group| middle(group, bins, &value).iter().map(|at| (at.0, at.1)).collect());
        if honest.is_some() {
            explanation += "; grey: median of the honest";
        }
        let grid = Grid::of(groups.len());
        picture(&self.name, (WIDTH, grid.height()), |page| {
            heading(page, &title, &explanation);
            for (index, (group, ribbons)) in groups.iter().zip(&ribbons).enumerate() {
                let frame = grid.panel(page, index, group, axes.clone(), self.y_title);
                zero(page, &frame);
                if let Some(line) = honest.as_ref().filter(|_| index > 0) {
                    frame.line(page, line, Stroke::solid(SHADE, 1.0));
                }
                draw(page, &frame, ribbons, group.stroke.dash(Dash::Solid));
            }
        })
    }

    fn one_frame(
        &self,
        groups: &[Group<'_>],
        ribbons: &[Vec<Ribbon>],
        (x, y): (Range<f64>, Range<f64>),
        (title, explanation): (&str, &str),
    ) -> Result<String, ReportError> {
        let legend = Legend::new(groups.iter().map(|group| (Sample::Line(group.stroke), group.name())), WIDTH - 90.0);
        let top = BELOW_HEADING + legend.height() + 10.0;
        let (left, right, bottom) = (70.0, WIDTH - 24.0, top + 340.0);
        picture(&self.name, (WIDTH, bottom + 50.0), |page| {
            heading(page, title, explanation);
            legend.draw(page, (left, BELOW_HEADING));
            let frame = Frame { left, top, right, bottom, x, y };
            frame.axes(page, "communication rounds done", self.y_title);
            zero(page, &frame);
            for (group, ribbons) in groups.iter().zip(ribbons) {
                draw(page, &frame, ribbons, group.stroke);
            }
        })
    }
}

/// A line at zero, if zero is within the axes.
fn zero(page: &Canvas<'_>, frame: &Frame) {
    if frame.y.start < 0.0 {
        let stroke = Stroke::solid(SHADE, 1.0).dash(Dash::Dashed);
        frame.levels(page, &[Level { y: 0.0, label: String::new(), stroke }]);
    }
}

/// Bands are drawn first, so that they hide no line.
fn draw(page: &Canvas<'_>, frame: &Frame, ribbons: &[Ribbon], stroke: Stroke) {
    let opacity = (0.5 / ribbons.len() as f64).clamp(0.05, 0.2);
    for ribbon in ribbons {
        let band: Vec<_> = ribbon.iter().map(|&(x, _, low, high)| (x, low, high)).collect();
        if band.iter().any(|(_, low, high)| low < high) {
            frame.band(page, &band, stroke.color, opacity);
        }
    }
    let width = if ribbons.len() > FEW { 1.3 } else { 2.0 };
    for ribbon in ribbons {
        let line: Vec<Point> = ribbon.iter().map(|&(x, line, _, _)| (x, line)).collect();
        frame.line(page, &line, stroke.width(width));
    }
}

/// Each peer's value, with its uncertainty on both sides.
fn each(group: &Group<'_>, bins: Bins, value: &impl Fn(&PeerRow) -> Option<(f64, f64)>) -> Vec<Ribbon> {
    let ribbon = |rows: &[&PeerRow]| {
        let values = last_in_bins(rows, bins, value).into_iter().enumerate();
        let at = |(bin, value): (usize, Option<(f64, f64)>)| {
            let (mean, sigma) = value.unwrap_or((f64::NAN, f64::NAN));
            (bins.end(bin), mean, mean - sigma, mean + sigma)
        };
        values.map(at).collect()
    };
    group.peers.iter().map(|(_, rows)| ribbon(rows)).collect()
}

/// Median of a group's peers, and the middle 80 % of them.
fn middle(group: &Group<'_>, bins: Bins, value: &impl Fn(&PeerRow) -> Option<(f64, f64)>) -> Ribbon {
    let peers: Vec<_> = group.peers.iter().map(|(_, rows)| last_in_bins(rows, bins, value)).collect();
    let at = |bin: usize| {
        let mut values: Vec<f64> = peers.iter().filter_map(|peer| Some(peer[bin]?.0)).collect();
        values.sort_by(f64::total_cmp);
        (bins.end(bin), quantile(&values, 0.5), quantile(&values, 0.1), quantile(&values, 0.9))
    };
    (0..bins.count()).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// The picture with this file name.
    fn drawn(run: &RunData, file: &str) -> Option<String> {
        columns(run).unwrap().into_iter().find(|(name, _)| name == file).map(|(_, svg)| svg)
    }

    #[test]
    fn measurements_are_drawn_of_very_few_peers() {
        let svg = drawn(&sample::network(3, 60, 4), "loss-score").expect("three are few");
        assert!(svg.contains("loss score (nats per token)"));
        assert!(drawn(&sample::copycat(), "loss-score").is_none());
    }

    #[test]
    fn every_number_of_a_mechanism_is_drawn() {
        let mut run = sample::copycat();
        let files =
            |run: &RunData| -> Vec<String> { columns(run).unwrap().into_iter().map(|(file, _)| file).collect() };
        assert_eq!(files(&run), ["rating", "proof", "peer-score"]);
        run.manifest.columns = vec![
            Column::new("novelty_of_all", "novelty, bits", ColumnKind::Score).with_spread("doubt"),
            Column::new("never_known", "never", ColumnKind::Standing),
            Column::new("doubt", "doubt, bits", ColumnKind::Standing),
        ];
        run.peers.iter_mut().for_each(|row| row.numbers = vec![Some(2.0), None, Some(0.5)]);
        assert_eq!(files(&run), ["novelty-of-all"]);
        let svg = drawn(&run, "novelty-of-all").unwrap();
        assert!(svg.contains("Novelty of all: copycat, seed 1") && svg.contains("novelty, bits"));
        assert_eq!(svg.matches("<polygon").count(), 16, "a band for each peer");
    }

    #[test]
    fn few_peers_are_drawn_singly_and_many_by_quantiles() {
        let run = sample::copycat();
        let svg = drawn(&run, "rating").unwrap();
        assert_eq!(svg.matches("<polygon").count(), 16, "a band for each peer");
        assert!(!svg.contains("median,"));
        let many = sample::network(250, 40, 3);
        let svg = drawn(&many, "rating").unwrap();
        assert!(svg.contains("median,") && svg.len() < 500_000, "{}", svg.len());
        assert!(drawn(&many, "proof").unwrap().contains("proof of computation"));
    }

    #[test]
    fn three_peers_share_a_frame() {
        let svg = drawn(&sample::network(3, 60, 1), "rating").unwrap();
        assert_eq!(svg.matches("communication rounds done").count(), 1);
        assert_eq!(svg.matches("<polygon").count(), 3);
    }

    #[test]
    fn the_middle_leaves_out_a_tenth_at_both_ends() {
        let run = sample::copycat();
        let groups = by_behaviour(&run.peers);
        let bins = Bins { rounds: 150, width: 1 };
        let ribbon = middle(&groups[0], bins, &|row| Some((f64::from(row.uid), 0.0)));
        assert_eq!(ribbon[9], (10.0, 5.5, 1.1, 9.9));
    }

    #[test]
    fn a_run_without_rounds_has_no_numbers_to_draw() {
        let mut run = sample::copycat();
        run.peers.clear();
        assert_eq!(columns(&run).unwrap(), []);
    }
}
