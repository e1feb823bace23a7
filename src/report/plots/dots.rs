//! Draws a line per item, with a dot at its mean and a bar over its interval.

use super::canvas::{Anchor, Canvas, Lettering, Point, picture};
use super::frame::{BELOW_HEADING, Frame, Legend, Sample, WIDTH, heading, range_of};
use super::palette::{Dash, GRID, LINES, SHADE, Stroke};
use crate::report::ReportError;

/// Height of a line in pixels.
const ROW: f64 = 20.0;
/// Most lines that are drawn.
const MOST: usize = 200;
/// Largest width of the column of labels.
const WIDEST: f64 = 400.0;
const LETTERS: f64 = 12.0;

/// The contents of a picture.
pub struct Dots<'a> {
    pub title: &'a str,
    pub explanation: &'a str,
    pub x_title: &'a str,
    /// A value to compare with, if there is one.
    pub reference: Option<f64>,
    /// Names of the series for the legend; empty if there is only one.
    pub series: &'a [String],
    pub marks: &'a [Mark],
}

/// A line of the picture.
pub struct Mark {
    pub label: String,
    /// Index of its series, which determines its colour.
    pub series: usize,
    pub mean: f64,
    /// Both ends of its interval, if it has one.
    pub ends: Option<(f64, f64)>,
}

/// Draws the lines from top to bottom.
///
/// # Errors
/// [`ReportError::Plot`].
pub fn dots(dots: &Dots<'_>) -> Result<String, ReportError> {
    let marks = &dots.marks[..dots.marks.len().min(MOST)];
    let (x, is_cut) = range(marks, dots.reference);
    let look = Lettering::new(LETTERS, Anchor::Right);
    let widest = marks.iter().map(|mark| look.width_of(&mark.label)).fold(0.0, f64::max).min(WIDEST);
    let color = |series: usize| LINES[series % LINES.len()];
    let sample = |(series, name): (usize, &String)| (Sample::Line(Stroke::solid(color(series), 3.0)), name.clone());
    let legend = Legend::new(dots.series.iter().enumerate().map(sample), WIDTH - 90.0);
    let mut explanation = dots.explanation.to_string();
    if is_cut {
        explanation += "; bars are cut off at the edges";
    }
    if dots.marks.len() > MOST {
        explanation += &format!("; the first {MOST} of {}", dots.marks.len());
    }
    let top = BELOW_HEADING + legend.height() + 8.0;
    let bottom = top + marks.len().max(1) as f64 * ROW;
    picture("the intervals", (WIDTH, bottom + 50.0), |page| {
        heading(page, dots.title, &explanation);
        legend.draw(page, (70.0, BELOW_HEADING));
        let frame = Frame { left: 1.1 * widest + 24.0, top, right: WIDTH - 30.0, bottom, x: x.clone(), y: 0.0..1.0 };
        frame.x_axis(page);
        frame.outline(page);
        frame.x_title(page, dots.x_title);
        if let Some(reference) = dots.reference {
            let at = frame.at((reference, 0.0)).0;
            page.line(&[(at, top), (at, bottom)], Stroke::solid(SHADE, 1.2).dash(Dash::Dotted));
        }
        for (row, mark) in marks.iter().enumerate() {
            let middle = top + (row as f64 + 0.5) * ROW;
            page.line(&[(frame.left, middle), (frame.right, middle)], Stroke::solid(GRID, 0.75));
            page.text(&shortened(&mark.label, look), (frame.left - 8.0, middle), look);
            let at = |value: f64| (frame.at((value, 0.0)).0, middle);
            draw(page, (mark, Stroke::solid(color(mark.series), 1.8)), at);
        }
    })
}

fn draw(page: &Canvas<'_>, (mark, stroke): (&Mark, Stroke), at: impl Fn(f64) -> Point) {
    if let Some((low, high)) = mark.ends.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        page.line(&[at(low), at(high)], stroke);
        for (x, y) in [at(low), at(high)] {
            page.line(&[(x, y - 4.0), (x, y + 4.0)], stroke);
        }
    }
    if mark.mean.is_finite() {
        let (x, y) = at(mark.mean);
        let corner = |nth: u32| {
            let angle = std::f64::consts::TAU * f64::from(nth) / 16.0;
            (x + 4.0 * libm::cos(angle), y + 4.0 * libm::sin(angle))
        };
        page.polygon(&(0..16).map(corner).collect::<Vec<_>>(), stroke.color, 1.0);
    }
}

/// An axis that holds all means. Bars are cut off if they would squeeze the means together; the flag says whether any
/// is.
fn range(marks: &[Mark], reference: Option<f64>) -> (std::ops::Range<f64>, bool) {
    let means = range_of(marks.iter().map(|mark| mark.mean).chain(reference), 0.0);
    let largest = means.start.abs().max(means.end.abs());
    let room = (means.end - means.start).max(0.25 * largest);
    let ends = || marks.iter().filter_map(|mark| mark.ends).flat_map(|(low, high)| [low, high]);
    let is_in = |end: &f64| (means.start - room..=means.end + room).contains(end);
    let limits = ends().map(|end| end.clamp(means.start - room, means.end + room));
    (range_of(limits.chain([means.start, means.end]), 0.05), !ends().all(|end| is_in(&end)))
}

/// A label shortened to fit its column.
fn shortened(label: &str, look: Lettering) -> String {
    if look.width_of(label) <= WIDEST {
        return label.to_string();
    }
    let letters: Vec<char> = label.chars().collect();
    // Labels often differ at their ends.
    let with_ends = |half: usize| {
        let (start, end) = (&letters[..half], &letters[letters.len() - half..]);
        format!("{}\u{2026}{}", start.iter().collect::<String>(), end.iter().collect::<String>())
    };
    let mut halves = (0..=letters.len() / 2).rev().map(with_ends);
    halves.find(|short| look.width_of(short) <= WIDEST).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(mean: f64, half: Option<f64>) -> Mark {
        Mark { label: format!("mean {mean}"), series: 0, mean, ends: half.map(|half| (mean - half, mean + half)) }
    }

    fn drawn(marks: &[Mark]) -> String {
        let series = [];
        dots(&Dots { title: "t", explanation: "e", x_title: "x", reference: Some(1.0), series: &series, marks })
            .unwrap()
    }

    #[test]
    fn overlong_bars_are_cut_off_with_a_note() {
        let (x, is_cut) = range(&[mark(2.0, Some(0.5)), mark(3.0, None)], Some(1.0));
        assert!(!is_cut && x.start < 1.0 && x.start > 0.8 && x.end > 3.0 && x.end < 3.2, "{x:?}");
        let (x, is_cut) = range(&[mark(2.0, Some(900.0)), mark(3.0, None)], Some(1.0));
        assert!(is_cut && x.start > -2.0 && x.end < 6.0, "{x:?}");
        assert!(drawn(&[mark(2.0, Some(900.0))]).contains("bars are cut off"));
        assert!(!drawn(&[mark(2.0, Some(0.1))]).contains("cut off"));
    }

    #[test]
    fn any_marks_can_be_drawn() {
        for marks in [Vec::new(), vec![mark(0.0, None)], vec![mark(f64::NAN, Some(f64::NAN)), mark(1.0, Some(0.0))]] {
            let svg = drawn(&marks);
            assert!(svg.starts_with("<svg") && !svg.replace("mean NaN", "").contains("NaN"), "{svg}");
        }
        let many: Vec<Mark> = (0..300).map(|value| mark(f64::from(value), Some(1.0))).collect();
        let svg = drawn(&many);
        assert!(svg.contains("the first 200 of 300") && svg.contains("mean 199\n") && !svg.contains("mean 200\n"));
    }

    #[test]
    fn a_long_label_keeps_both_its_ends() {
        let look = Lettering::new(LETTERS, Anchor::Right);
        let short = shortened(&format!("first{}last", "-".repeat(200)), look);
        assert!(short.starts_with("first-") && short.ends_with("-last") && short.contains('\u{2026}'), "{short}");
        assert!(look.width_of(&short) <= WIDEST);
        assert_eq!(shortened("short", look), "short");
    }
}
