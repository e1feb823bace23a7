//! A page to draw on, in pixels: dashed lines, areas and text, drawn by plotters' SVG backend.

use std::cell::RefCell;
use std::fmt::Display;

use plotters::coord::Shift;
use plotters::element::{PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::palette::{INK, Stroke, WHITE};
use crate::report::ReportError;

/// The backend counts in whole units. This many make a pixel of the page, so that lines are smooth.
const UNITS: f64 = 4.0;

/// Font families that every system has, in order of preference.
const FONT: &str = "Helvetica, Arial, Liberation Sans, sans-serif";

/// A point, in pixels from the page's upper left corner.
pub type Point = (f64, f64);

/// Position of a text relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Left,
    Middle,
    Right,
}

/// Style of a text, which is centred vertically on its point.
#[derive(Clone, Copy, Debug)]
pub struct Lettering {
    /// Pixels.
    pub size: f64,
    pub bold: bool,
    pub color: RGBColor,
    pub anchor: Anchor,
    /// The text runs from bottom to top.
    pub upright: bool,
}

impl Lettering {
    pub fn new(size: f64, anchor: Anchor) -> Self {
        Self { size, bold: false, color: INK, anchor, upright: false }
    }

    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub fn color(self, color: RGBColor) -> Self {
        Self { color, ..self }
    }

    pub fn upright(self) -> Self {
        Self { upright: true, ..self }
    }

    /// Approximate width of a text in pixels, as the reader's fonts are not known here.
    pub fn width_of(&self, text: &str) -> f64 {
        let em = |letter: char| match letter {
            'i' | 'j' | 'l' | 'f' | 't' | 'r' | ' ' | '.' | ',' | ':' | '(' | ')' | '\'' | '|' | '-' => 0.36,
            'm' | 'w' | 'M' | 'W' | '%' | '±' => 0.88,
            'A'..='Z' | '0'..='9' => 0.62,
            _ => 0.57,
        };
        let bold = if self.bold { 1.1 } else { 1.0 };
        text.chars().map(em).sum::<f64>() * bold * self.size
    }
}

/// A page. It keeps the backend's first failure and reports it at the end.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    failure: RefCell<Option<String>>,
}

/// Draws a picture of this size in pixels on white; returns the SVG text.
pub fn picture(figure: &str, (width, height): Point, draw: impl FnOnce(&Canvas<'_>)) -> Result<String, ReportError> {
    let mut svg = String::new();
    let units = (to_unit(width) as u32, to_unit(height) as u32);
    let failure = {
        let canvas =
            Canvas { area: SVGBackend::with_string(&mut svg, units).into_drawing_area(), failure: RefCell::new(None) };
        canvas.keep(canvas.area.fill(&WHITE));
        draw(&canvas);
        canvas.keep(canvas.area.present());
        canvas.failure.into_inner()
    };
    match failure {
        Some(message) => Err(ReportError::Plot { figure: figure.into(), message }),
        None => Ok(sized(svg, units, (width, height))),
    }
}

/// Joins several pictures into one, stacked top to bottom.
pub fn stacked(pictures: &[String]) -> String {
    let (mut width, mut height, mut parts) = (0.0_f64, 0.0, String::new());
    for picture in pictures {
        let size = |name: &str| {
            let (_, rest) = picture.split_once(&format!(" {name}=\""))?;
            rest.split_once('"')?.0.parse::<f64>().ok()
        };
        parts += &picture.replacen("<svg ", &format!("<svg y=\"{height}\" "), 1);
        width = width.max(size("width").unwrap_or_default());
        height += size("height").unwrap_or_default();
    }
    format!("<svg width=\"{width}\" height=\"{height}\" xmlns=\"http://www.w3.org/2000/svg\">\n{parts}</svg>\n")
}

/// Sets the displayed size in pixels, whatever the backend's units, and joints that do not stick out.
fn sized(svg: String, units: (u32, u32), (width, height): Point) -> String {
    svg.replacen(
        &format!("<svg width=\"{}\" height=\"{}\"", units.0, units.1),
        &format!("<svg width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\""),
        1,
    )
}

fn to_unit(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

fn to_units((x, y): Point) -> (i32, i32) {
    (to_unit(x), to_unit(y))
}

impl Canvas<'_> {
    fn keep<E: Display>(&self, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            self.failure.borrow_mut().get_or_insert_with(|| error.to_string());
        }
    }

    /// Draws a line through points.
    pub fn line(&self, points: &[Point], stroke: Stroke) {
        let style =
            ShapeStyle { color: stroke.color.to_rgba(), filled: false, stroke_width: to_unit(stroke.width) as u32 };
        for piece in pieces(points, stroke.dash.pattern()) {
            let mut units: Vec<_> = piece.into_iter().map(to_units).collect();
            units.dedup();
            self.keep(self.area.draw(&PathElement::new(units, style)));
        }
    }

    /// Draws a filled polygon.
    pub fn polygon(&self, points: &[Point], color: RGBColor, opacity: f64) {
        let mut units: Vec<_> = points.iter().copied().map(to_units).collect();
        units.dedup();
        self.keep(self.area.draw(&Polygon::new(units, color.mix(opacity).filled())));
    }

    /// Draws a filled rectangle between two corners.
    pub fn rectangle(&self, from: Point, to: Point, color: RGBColor, opacity: f64) {
        let corners = [to_units(from), to_units(to)];
        self.keep(self.area.draw(&Rectangle::new(corners, color.mix(opacity).filled())));
    }

    /// Writes a text at a point.
    pub fn text(&self, text: &str, at: Point, look: Lettering) {
        let style = if look.bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend writes the size divided by 1.24.
        let font = (FONT, look.size * UNITS * 1.24, style).into_font();
        let font = if look.upright { font.transform(FontTransform::Rotate270) } else { font };
        let horizontal = match look.anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let style = TextStyle::from(font).color(&look.color).pos(Pos::new(horizontal, VPos::Center));
        self.keep(self.area.draw(&Text::new(text.to_owned(), to_units(at), style)));
    }
}

/// Cuts a line into the pieces of a dash pattern. An empty pattern leaves it whole.
fn pieces(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    if points.len() < 2 {
        return Vec::new();
    }
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let (mut pieces, mut piece) = (Vec::new(), vec![points[0]]);
    let (mut step, mut left) = (0, pattern[0]);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length < left {
                left -= length;
                piece.push(to);
                break;
            }
            let part = left / length;
            from = (from.0 + part * (to.0 - from.0), from.1 + part * (to.1 - from.1));
            piece.push(from);
            if step % 2 == 0 {
                pieces.push(std::mem::take(&mut piece));
            }
            piece = vec![from];
            step += 1;
            left = pattern[step % pattern.len()];
        }
    }
    if step % 2 == 0 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_a_line_and_follow_its_corners() {
        let corner = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)];
        let dashes = pieces(&corner, &[4.0, 2.0]);
        assert_eq!(dashes[0], [(0.0, 0.0), (4.0, 0.0)]);
        assert_eq!(dashes[1], [(6.0, 0.0), (10.0, 0.0)]);
        assert_eq!(dashes[2], [(10.0, 2.0), (10.0, 6.0)]);
        assert_eq!(pieces(&corner, &[]), [corner.to_vec()]);
        assert!(pieces(&corner[..1], &[4.0, 2.0]).is_empty());
    }

    #[test]
    fn pictures_in_one_lie_below_one_another() {
        let page = |height: f64| picture("test", (90.0, height), |_| {}).unwrap();
        let both = stacked(&[page(50.0), page(30.5)]);
        assert!(both.starts_with("<svg width=\"90\" height=\"80.5\" "), "{both}");
        assert!(both.contains("<svg y=\"0\" width=\"90\" height=\"50\""), "{both}");
        assert!(both.contains("<svg y=\"50\" width=\"90\" height=\"30.5\"") && both.ends_with("</svg>\n</svg>\n"));
    }

    #[test]
    fn page_is_shown_at_its_size() {
        let svg =
            picture("test", (90.0, 50.0), |page| page.text("a < b", (1.0, 1.0), Lettering::new(12.0, Anchor::Left)))
                .unwrap();
        assert!(
            svg.starts_with("<svg width=\"90\" height=\"50\" stroke-linejoin=\"round\" viewBox=\"0 0 360 200\""),
            "{svg}"
        );
        assert!(svg.contains("a &lt; b") && svg.contains("font-size=\"48\"") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
