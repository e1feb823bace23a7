//! Panels of equal size with the same axes, one per behaviour.

use std::ops::Range;

use super::canvas::{Anchor, Canvas, Lettering};
use super::frame::{BELOW_HEADING, Frame, WIDTH};
use super::series::Group;

const BETWEEN: (f64, f64) = (40.0, 55.0);
const LEFT: f64 = 66.0;

/// The arrangement of the panels.
pub struct Grid {
    panels: usize,
    columns: usize,
    panel_height: f64,
}

impl Grid {
    pub fn of(panels: usize) -> Self {
        let columns = match panels {
            0..=3 => panels.max(1),
            4 => 2,
            5..=9 => 3,
            _ => 4,
        };
        Self { panels, columns, panel_height: if panels <= columns { 330.0 } else { 175.0 } }
    }

    /// Height of the page.
    pub fn height(&self) -> f64 {
        let rows = self.panels.div_ceil(self.columns).max(1) as f64;
        BELOW_HEADING + 27.0 + rows * (self.panel_height + BETWEEN.1)
    }

    /// Draws a panel's axes and the name of its behaviour. Axis titles stand only at the left and the bottom of the
    /// page.
    pub fn panel(
        &self,
        page: &Canvas<'_>,
        index: usize,
        group: &Group<'_>,
        (x, y): (Range<f64>, Range<f64>),
        y_title: &str,
    ) -> Frame {
        let (column, row, columns) = (index % self.columns, index / self.columns, self.columns as f64);
        let width = (WIDTH - LEFT - 24.0 - (columns - 1.0) * BETWEEN.0) / columns;
        let left = LEFT + column as f64 * (width + BETWEEN.0);
        let top = BELOW_HEADING + 28.0 + row as f64 * (self.panel_height + BETWEEN.1);
        let frame = Frame { left, top, right: left + width, bottom: top + self.panel_height, x, y };
        let x_title = if index + self.columns >= self.panels { "rounds done" } else { "" };
        frame.axes(page, x_title, if column == 0 { y_title } else { "" });
        page.rectangle((left, top - 15.0), (left + 10.0, top - 5.0), group.stroke.color, 1.0);
        page.text(&group.name(), (left + 16.0, top - 10.0), Lettering::new(12.5, Anchor::Left).bold());
        frame
    }
}
