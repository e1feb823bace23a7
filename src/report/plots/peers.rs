//! `rating.svg` and `proof.svg`: what the validator thinks of each peer.
//!
//! One panel a behaviour, all with the same axes. A group of few peers shows each of them; a large one its median and the middle of it.

use super::canvas::{Anchor, Canvas, Lettering, Point, picture};
use super::frame::{BELOW_HEADING, Frame, Level, WIDTH, heading, range_of};
use super::palette::{Dash, INK, SHADE, Stroke};
use super::series::{Bins, Group, by_behaviour, last_in_bins, quantile, rounds_of};
use crate::report::{PeerRow, ReportError, RunData};

/// With more peers than this in all, a group of more than `FEW` is drawn by its quantiles.
const ALL_DRAWN: usize = 40;
const FEW: usize = 4;

/// OpenSkill's mu with one sigma to both sides, of each peer.
pub fn rating(run: &RunData) -> Result<String, ReportError> {
    let explanation = "each peer's mu (line) and mu ± sigma (band)";
    panels(run, "Rating", explanation, "rating mu (OpenSkill)", None, |row| {
        let (mu, sigma) = (row.rating_mu?, row.rating_sigma?);
        Some((mu, sigma))
    })
}

/// The moving average of the proof of computation, of each peer.
pub fn proof(run: &RunData) -> Result<String, ReportError> {
    let explanation = "each peer's average of +1 (its own pages gained more than others') and −1 (they did not); at 0 and below nothing is paid";
    panels(run, "Proof of computation", explanation, "proof of computation", Some(-1.05..1.05), |row| {
        Some((row.proof_of_computation?, 0.0))
    })
}

/// A value and how uncertain it is.
type Estimate = (f64, f64);

fn panels(
    run: &RunData,
    name: &'static str,
    explanation: &str,
    y_title: &str,
    y: Option<std::ops::Range<f64>>,
    value: impl Fn(&PeerRow) -> Option<Estimate>,
) -> Result<String, ReportError> {
    let groups = by_behaviour(&run.peers);
    let count: usize = groups.iter().map(|group| group.peers.len()).sum();
    let bins = Bins::at_most((6000 / count.max(1) as u64).clamp(60, 300), rounds_of(&run.peers));
    let histories: Vec<Vec<Vec<Option<Estimate>>>> = groups
        .iter()
        .map(|group| group.peers.iter().map(|(_, rows)| last_in_bins(rows, bins, &value)).collect())
        .collect();
    let seen = histories.iter().flatten().flatten().flatten();
    let y = y.unwrap_or_else(|| range_of(seen.flat_map(|&(mean, sigma)| [mean - sigma, mean + sigma]), 0.03));

    let grid = Grid::of(groups.len());
    let explanation = match (0..groups.len()).any(|index| !draws_each(&histories[index], count)) {
        true => format!("{explanation};\u{2002}large groups: median (line), 10 to 90 % of the peers (band)"),
        false => explanation.to_string(),
    };
    picture(name, (WIDTH, grid.height()), |page| {
        heading(page, &format!("{name}: {}, seed {}", run.manifest.scenario.name, run.manifest.seed), &explanation);
        let x = 0.0..(bins.rounds.max(1) as f64);
        for (index, (group, history)) in groups.iter().zip(&histories).enumerate() {
            let frame = grid.frame(index, x.clone(), y.clone());
            panel(page, &frame, grid.titles(index, groups.len(), y_title), group);
            if draws_each(history, count) {
                each(page, &frame, history, bins, group.stroke.dash(Dash::Solid));
            } else {
                spread(page, &frame, history, bins, group.stroke.dash(Dash::Solid));
            }
        }
    })
}

fn draws_each(group: &[Vec<Option<Estimate>>], peers_in_all: usize) -> bool {
    peers_in_all <= ALL_DRAWN || group.len() <= FEW
}

/// Axes and title of a behaviour's panel.
fn panel(page: &Canvas<'_>, frame: &Frame, (x_title, y_title): (&str, &str), group: &Group<'_>) {
    frame.axes(page, x_title, y_title);
    if frame.y.contains(&0.0) && frame.y.start < 0.0 {
        let zero = Stroke::solid(SHADE, 1.0).dash(Dash::Dashed);
        frame.levels(page, &[Level { y: 0.0, label: String::new(), stroke: zero }]);
    }
    let at = (frame.left, frame.top - 10.0);
    page.rectangle((at.0, at.1 - 5.0), (at.0 + 10.0, at.1 + 5.0), group.stroke.color, 1.0);
    page.text(&group.name(), (at.0 + 16.0, at.1), Lettering::new(12.5, Anchor::Left).bold().color(INK));
}

/// A line with its band for each peer.
fn each(page: &Canvas<'_>, frame: &Frame, peers: &[Vec<Option<Estimate>>], bins: Bins, stroke: Stroke) {
    let opacity = (0.5 / peers.len() as f64).clamp(0.05, 0.2);
    for history in peers {
        let band = |(bin, estimate): (usize, &Option<Estimate>)| {
            let (mean, sigma) = estimate.unwrap_or((f64::NAN, f64::NAN));
            (bins.end(bin), mean - sigma, mean + sigma)
        };
        let band: Vec<_> = history.iter().enumerate().map(band).collect();
        if history.iter().flatten().any(|&(_, sigma)| sigma > 0.0) {
            frame.band(page, &band, stroke.color, opacity);
        }
    }
    for history in peers {
        let line = |(bin, estimate): (usize, &Option<Estimate>)| (bins.end(bin), estimate.map_or(f64::NAN, |(mean, _)| mean));
        frame.line(page, &history.iter().enumerate().map(line).collect::<Vec<Point>>(), stroke.width(1.3));
    }
}

/// Median and middle of a large group.
fn spread(page: &Canvas<'_>, frame: &Frame, peers: &[Vec<Option<Estimate>>], bins: Bins, stroke: Stroke) {
    let (mut line, mut band) = (Vec::new(), Vec::new());
    for bin in 0..bins.count() {
        let mut values: Vec<f64> = peers.iter().filter_map(|history| Some(history[bin]?.0)).collect();
        values.sort_by(f64::total_cmp);
        line.push((bins.end(bin), quantile(&values, 0.5)));
        band.push((bins.end(bin), quantile(&values, 0.1), quantile(&values, 0.9)));
    }
    frame.band(page, &band, stroke.color, 0.25);
    frame.line(page, &line, stroke.width(2.0));
}

/// Panels in rows of equal size.
struct Grid {
    columns: usize,
    rows: usize,
    panel_height: f64,
}

impl Grid {
    fn of(panels: usize) -> Self {
        let columns = match panels {
            0..=3 => panels.max(1),
            4 => 2,
            5..=9 => 3,
            _ => 4,
        };
        let rows = panels.div_ceil(columns).max(1);
        Self { columns, rows, panel_height: if rows == 1 { 330.0 } else { 175.0 } }
    }

    const BETWEEN: (f64, f64) = (40.0, 55.0);
    const LEFT: f64 = 66.0;

    fn height(&self) -> f64 {
        BELOW_HEADING + 30.0 + self.rows as f64 * (self.panel_height + Self::BETWEEN.1) - 3.0
    }

    fn frame(&self, index: usize, x: std::ops::Range<f64>, y: std::ops::Range<f64>) -> Frame {
        let (column, row) = ((index % self.columns) as f64, (index / self.columns) as f64);
        let columns = self.columns as f64;
        let width = (WIDTH - Self::LEFT - 24.0 - (columns - 1.0) * Self::BETWEEN.0) / columns;
        let left = Self::LEFT + column * (width + Self::BETWEEN.0);
        let top = BELOW_HEADING + 28.0 + row * (self.panel_height + Self::BETWEEN.1);
        Frame { left, top, right: left + width, bottom: top + self.panel_height, x, y }
    }

    /// Axis titles of a panel: only at the left and at the foot of the page.
    fn titles<'a>(&self, index: usize, panels: usize, y_title: &'a str) -> (&'static str, &'a str) {
        let lowest = index + self.columns >= panels;
        (if lowest { "rounds done" } else { "" }, if index.is_multiple_of(self.columns) { y_title } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn few_peers_are_drawn_each_and_many_by_quantiles() {
        let run = sample::copycat();
        let svg = rating(&run).unwrap();
        assert_eq!(svg.matches("<polygon").count(), 16, "a band for each peer");
        assert!(!svg.contains("median"));
        let many = sample::network(250, 40, 3);
        let svg = rating(&many).unwrap();
        assert!(svg.contains("median") && svg.len() < 500_000, "{}", svg.len());
        assert!(proof(&many).unwrap().contains("proof of computation"));
    }

    #[test]
    fn an_empty_run_gives_a_page() {
        let mut run = sample::copycat();
        run.peers.clear();
        rating(&run).unwrap();
        proof(&run).unwrap();
    }
}
