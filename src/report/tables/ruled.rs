//! Ruled tables, and the format of their numbers.

use comfy_table::{CellAlignment, Table, presets};

/// The style of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Box-drawing characters, for a terminal.
    Terminal,
    /// Markdown, for a file or a pipe.
    Plain,
}

/// Stands for an unknown value.
pub const NONE: &str = "-";

/// The mean; NaN for no values.
pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

/// A share, as a percentage.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { NONE.into() }
}

/// A number with this many decimals.
pub fn digits(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    let text = format!("{value:.digits$}");
    // Avoid a minus before a zero.
    if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-').into() } else { text }
}

/// A table with right-aligned columns of numbers.
pub struct Ruled(Table);

impl Ruled {
    /// `words`: the one column that holds text, counted from 1; 0 for none.
    pub fn new(look: Look, words: usize, titles: &[impl ToString]) -> Self {
        let mut table = Table::new();
        table.load_style(match look {
            Look::Terminal => presets::UTF8_FULL_CONDENSED,
            Look::Plain => presets::ASCII_MARKDOWN,
        });
        table.set_header(titles.iter().map(ToString::to_string));
        for (index, column) in table.column_iter_mut().enumerate() {
            let side = if index + 1 == words { CellAlignment::Left } else { CellAlignment::Right };
            column.set_cell_alignment(side);
        }
        Self(table)
    }

    /// Marks more columns as text, counted from 0.
    pub fn left(mut self, columns: std::ops::Range<usize>) -> Self {
        let words = self.0.column_iter_mut().enumerate().filter(|(nth, _)| columns.contains(nth));
        words.for_each(|(_, column)| {
            column.set_cell_alignment(CellAlignment::Left);
        });
        self
    }

    /// Adds a line.
    pub fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells);
    }

    /// The whole table.
    pub fn text(self) -> String {
        self.0.to_string()
    }
}
