//! The parts that all pictures share: axes with titles, a legend above the frame, labels beside it.

use std::ops::Range;

use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, Lettering, Point};
use super::palette::{Dash, GRID, INK, SHADE, Stroke};

/// Width of all pictures, pixels.
pub const WIDTH: f64 = 900.0;
const TICK_SIZE: f64 = 12.0;
const TITLE_SIZE: f64 = 13.0;
const LEGEND_SIZE: f64 = 12.5;
const LEGEND_ROW: f64 = 19.0;

/// A rectangle of the page with its own coordinates.
#[derive(Clone, Debug)]
pub struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Range<f64>,
    pub y: Range<f64>,
}

impl Frame {
    /// The pixel of a value. Values outside of the axes land on the edge.
    pub fn at(&self, (x, y): Point) -> Point {
        let share = |value: f64, axis: &Range<f64>| ((value - axis.start) / (axis.end - axis.start)).clamp(0.0, 1.0);
        (
            self.left + share(x, &self.x) * (self.right - self.left),
            self.bottom - share(y, &self.y) * (self.bottom - self.top),
        )
    }

    /// Draws grid, ticks with their values, and axis titles (an empty title draws none).
    pub fn axes(&self, page: &Canvas<'_>, x_title: &str, y_title: &str) {
        let look = Lettering::new(TICK_SIZE, Anchor::Middle);
        let y_ticks = ticks(&self.y, ((self.bottom - self.top) / 34.0).clamp(3.0, 8.0) as usize);
        self.x_axis(page);
        for &y in &y_ticks {
            let at = self.at((0.0, y)).1;
            page.line(&[(self.left, at), (self.right, at)], Stroke::solid(GRID, 0.75));
            page.line(&[(self.left - 4.0, at), (self.left, at)], Stroke::solid(INK, 0.75));
            page.text(&number(y), (self.left - 7.0, at), Lettering { anchor: Anchor::Right, ..look });
        }
        self.outline(page);
        self.x_title(page, x_title);
        if !y_title.is_empty() {
            let widest = y_ticks.iter().map(|&y| look.width_of(&number(y))).fold(0.0, f64::max);
            let at = (self.left - widest - 20.0, (self.top + self.bottom) / 2.0);
            page.text(y_title, at, Lettering::new(TITLE_SIZE, Anchor::Middle).upright());
        }
    }

    /// Draws the vertical grid lines, and ticks with their values below.
    pub fn x_axis(&self, page: &Canvas<'_>) {
        let look = Lettering::new(TICK_SIZE, Anchor::Middle);
        for x in ticks(&self.x, ((self.right - self.left) / 50.0).clamp(3.0, 9.0) as usize) {
            let at = self.at((x, 0.0)).0;
            page.line(&[(at, self.top), (at, self.bottom)], Stroke::solid(GRID, 0.75));
            page.line(&[(at, self.bottom), (at, self.bottom + 4.0)], Stroke::solid(INK, 0.75));
            page.text(&number(x), (at, self.bottom + 13.0), look);
        }
    }

    /// Draws the left and lower edge.
    pub fn outline(&self, page: &Canvas<'_>) {
        let corner = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)];
        page.line(&corner, Stroke::solid(INK, 1.0));
    }

    /// Writes the title of the horizontal axis.
    pub fn x_title(&self, page: &Canvas<'_>, title: &str) {
        if !title.is_empty() {
            let at = ((self.left + self.right) / 2.0, self.bottom + 33.0);
            page.text(title, at, Lettering::new(TITLE_SIZE, Anchor::Middle));
        }
    }

    /// Draws a line through values, with gaps at values that are not finite.
    pub fn line(&self, page: &Canvas<'_>, values: &[Point], stroke: Stroke) {
        for run in values.split(|(_, y)| !y.is_finite()) {
            let points: Vec<Point> = run.iter().map(|&value| self.at(value)).collect();
            match points.as_slice() {
                &[(x, y)] => page.line(&[(x - 1.5, y), (x + 1.5, y)], stroke),
                points => page.line(points, stroke),
            }
        }
    }

    /// Fills the area between two lines, given as (x, low, high), with gaps at values that are not finite.
    pub fn band(&self, page: &Canvas<'_>, values: &[(f64, f64, f64)], color: RGBColor, opacity: f64) {
        for run in values.split(|(_, low, high)| !(low.is_finite() && high.is_finite())) {
            if run.len() > 1 {
                let lower = run.iter().map(|&(x, low, _)| self.at((x, low)));
                let upper = run.iter().rev().map(|&(x, _, high)| self.at((x, high)));
                page.polygon(&lower.chain(upper).collect::<Vec<_>>(), color, opacity);
            }
        }
    }

    /// Draws horizontal lines with labels to the right of the frame. Labels that would overlap are moved apart.
    pub fn levels(&self, page: &Canvas<'_>, levels: &[Level]) {
        let mut sorted: Vec<&Level> = levels.iter().filter(|level| self.y.contains(&level.y)).collect();
        sorted.sort_by(|a, b| a.y.total_cmp(&b.y));
        let look = Lettering::new(TICK_SIZE, Anchor::Left).color(SHADE);
        let mut free_above = f64::INFINITY;
        for level in sorted {
            let at = self.at((self.x.start, level.y)).1;
            page.line(&[(self.left, at), (self.right, at)], level.stroke);
            let label_at = at.min(free_above);
            page.text(&level.label, (self.right + 6.0, label_at), look);
            free_above = label_at - 15.0;
        }
    }
}

/// A horizontal line of reference.
#[derive(Clone, Debug)]
pub struct Level {
    pub y: f64,
    pub label: String,
    pub stroke: Stroke,
}

/// The sample before a label in a legend.
#[derive(Clone, Copy, Debug)]
pub enum Sample {
    Line(Stroke),
    /// A line in a band.
    Band(Stroke),
    Box(RGBColor),
    /// A point.
    Mark(Stroke),
}

/// The shape of a peer's point, which tells peers with the same colour apart.
pub fn mark(page: &Canvas<'_>, (x, y): Point, stroke: Stroke) {
    let corners: &[f64] = match stroke.dash {
        Dash::Solid => &[0.0, 30.0, 60.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0, 270.0, 300.0, 330.0],
        Dash::Dashed => &[45.0, 135.0, 225.0, 315.0],
        Dash::Alternating => &[90.0, 210.0, 330.0],
        Dash::Dotted => &[0.0, 90.0, 180.0, 270.0],
    };
    let corner = |degrees: &f64| (x + 4.5 * degrees.to_radians().cos(), y - 4.5 * degrees.to_radians().sin());
    let corners: Vec<Point> = corners.iter().map(corner).collect();
    page.polygon(&corners, stroke.color, 0.75);
}

/// Labels with samples, in rows above the frame.
#[derive(Clone, Debug, Default)]
pub struct Legend {
    rows: Vec<Vec<(Sample, String, f64)>>,
}

impl Legend {
    /// Arranges entries in rows of this width.
    pub fn new(entries: impl IntoIterator<Item = (Sample, String)>, width: f64) -> Self {
        let mut rows: Vec<Vec<_>> = Vec::new();
        let mut used = f64::INFINITY;
        for (sample, label) in entries {
            let own = 30.0 + Lettering::new(LEGEND_SIZE, Anchor::Left).width_of(&label) + 16.0;
            if used + own > width {
                rows.push(Vec::new());
                used = 0.0;
            }
            used += own;
            rows.last_mut().expect("a row was begun").push((sample, label, own));
        }
        Self { rows }
    }

    /// Height in pixels.
    pub fn height(&self) -> f64 {
        self.rows.len() as f64 * LEGEND_ROW
    }

    /// Draws the legend with its upper left corner at a point.
    pub fn draw(&self, page: &Canvas<'_>, (left, top): Point) {
        for (row, entries) in self.rows.iter().enumerate() {
            let middle = top + (row as f64 + 0.5) * LEGEND_ROW;
            let mut x = left;
            for (sample, label, width) in entries {
                match *sample {
                    Sample::Line(stroke) => page.line(&[(x, middle), (x + 24.0, middle)], stroke),
                    Sample::Band(stroke) => {
                        page.rectangle((x, middle - 5.0), (x + 24.0, middle + 5.0), stroke.color, 0.2);
                        page.line(&[(x, middle), (x + 24.0, middle)], stroke);
                    }
                    Sample::Mark(stroke) => mark(page, (x + 16.0, middle), stroke),
                    Sample::Box(color) => {
                        page.rectangle((x + 7.0, middle - 6.5), (x + 24.0, middle + 6.5), INK, 1.0);
                        page.rectangle((x + 7.5, middle - 6.0), (x + 23.5, middle + 6.0), color, 1.0);
                    }
                }
                page.text(label, (x + 30.0, middle), Lettering::new(LEGEND_SIZE, Anchor::Left));
                x += width;
            }
        }
    }
}

/// Draws the title of a picture and a line of explanation below it.
pub fn heading(page: &Canvas<'_>, title: &str, explanation: &str) {
    page.text(title, (14.0, 19.0), Lettering::new(15.0, Anchor::Left).bold());
    page.text(explanation, (14.0, 39.0), Lettering::new(TICK_SIZE, Anchor::Left).color(SHADE));
}

/// First pixel below the title and explanation.
pub const BELOW_HEADING: f64 = 52.0;

/// About this many round values within a range.
pub fn ticks(range: &Range<f64>, count: usize) -> Vec<f64> {
    let axis = RangedCoordf64::from(range.clone());
    axis.key_points(count).into_iter().filter(|value| (range.start..=range.end).contains(value)).collect()
}

/// A tick's value with separated thousands and without digits from rounding errors.
pub fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.9e}").parse().unwrap_or(value);
    if rounded.abs() >= 1_000.0 && rounded.fract() == 0.0 {
        let digits = format!("{:.0}", rounded.abs());
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
        return format!("{}{}", if rounded < 0.0 { "−" } else { "" }, groups.join(","));
    }
    if rounded.abs() < 1e-12 { "0".into() } else { rounded.to_string().replace('-', "−") }
}

/// A range that holds all finite values, with a margin at both ends.
pub fn range_of(values: impl IntoIterator<Item = f64>, room: f64) -> Range<f64> {
    let (low, high) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let pad = if high > low { (high - low) * room } else { high.abs().max(1.0) * room };
    low - pad..high + pad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.1 + 0.2), "0.3");
        assert_eq!(number(-2.0), "−2");
        assert_eq!(number(1e-17), "0");
        assert_eq!(number(5_000.0), "5,000");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(150.0), "150");
    }

    #[test]
    fn ranges_hold_any_values() {
        assert_eq!(range_of([1.0, 3.0, f64::NAN], 0.5), 0.0..4.0);
        assert_eq!(range_of([], 0.1), 0.0..1.0);
        let flat = range_of([2.0, 2.0], 0.1);
        assert!(flat.start < 2.0 && flat.end > 2.0);
    }

    #[test]
    fn values_outside_of_the_axes_stay_on_the_page() {
        let frame = Frame { left: 10.0, top: 20.0, right: 110.0, bottom: 70.0, x: 0.0..10.0, y: 0.0..1.0 };
        assert_eq!(frame.at((5.0, 0.5)), (60.0, 45.0));
        assert_eq!(frame.at((1e9, -3.0)), (110.0, 70.0));
    }

    #[test]
    fn legend_breaks_into_rows() {
        let entry = |label: &str| (Sample::Box(INK), label.to_string());
        let legend = Legend::new(["honest", "copycat", "a label as wide as a row of its own"].map(entry), 220.0);
        assert_eq!(legend.rows.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(Legend::new([], 100.0).height(), 0.0);
    }
}
