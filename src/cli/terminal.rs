//! What a terminal can show: its width, whether it can redraw a line, and whether it shows colours.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, presets};

/// Columns of a terminal that reports none.
const USUAL: u16 = 80;

/// Width of the terminal for progress. `None` if progress cannot be drawn: on a pipe, or on a terminal that has no name
/// or cannot move its cursor.
pub fn columns() -> Option<u16> {
    columns_of(std::io::stderr().is_terminal(), name().as_deref(), size(2))
}

/// Width of the terminal that standard output is; `None` if it is none.
pub fn columns_of_output() -> Option<u16> {
    std::io::stdout().is_terminal().then(|| size(1).filter(|size| *size > 0).unwrap_or(USUAL))
}

/// Whether standard output is a terminal that can move its cursor.
pub fn can_redraw_output() -> bool {
    columns_of(std::io::stdout().is_terminal(), name().as_deref(), size(1)).is_some()
}

/// Whether standard error shows colours, and the user wants them.
pub fn has_colours() -> bool {
    columns().is_some() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// Whether a terminal of this name knows sequences for colours and the like.
pub fn knows_sequences() -> bool {
    columns_of(true, name().as_deref(), None).is_some()
}

/// The terminal's name, where terminals have names.
fn name() -> Option<String> {
    cfg!(unix).then(|| std::env::var("TERM").unwrap_or_default())
}

/// The width for a terminal with this name that reports this many columns.
fn columns_of(is_terminal: bool, name: Option<&str>, size: Option<u16>) -> Option<u16> {
    let can_move = name.is_none_or(|name| !name.is_empty() && name != "dumb");
    (is_terminal && can_move).then(|| size.filter(|size| *size > 0).unwrap_or(USUAL))
}

/// The columns that the system reports for standard output (1) or standard error (2).
#[cfg(unix)]
fn size(stream: i32) -> Option<u16> {
    // SAFETY: the call fills the structure or fails.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    let done = unsafe { libc::ioctl(stream, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0).then_some(size.ws_col)
}

#[cfg(not(unix))]
fn size(_: i32) -> Option<u16> {
    None
}

/// Fewest columns for a text beside its title; with fewer, lines are longer than the terminal.
const LEAST: usize = 20;

/// A title and a text behind it, whose further lines begin below its first word.
pub fn listed(title: &str, text: &str, columns: usize) -> String {
    let indent = title.chars().count();
    let room = columns.saturating_sub(indent).max(LEAST);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("one at least");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= room {
            *line += &format!(" {word}");
        } else {
            lines.push(word.into());
        }
    }
    format!("{title}{}", lines.join(&format!("\n{}", " ".repeat(indent))))
}

/// A table for standard output: with rules that [`narrow`] knows on a terminal, else as Markdown.
pub fn ruled() -> Table {
    let mut table = Table::new();
    let is_terminal = columns_of_output().is_some();
    table.load_style(if is_terminal { presets::UTF8_FULL_CONDENSED } else { presets::ASCII_MARKDOWN });
    table
}

/// The same for sentences, which are broken into lines so that the table fits the terminal.
pub fn ruled_words() -> Table {
    let mut table = ruled();
    if let Some(columns) = columns_of_output() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns);
    }
    table
}

/// Splits each table of a text that is wider than the terminal into tables that fit, one below the other. Each begins with
/// the first column. A terminal would cut its lines in the middle of a number.
pub fn narrow(text: &str, columns: usize) -> String {
    let mut narrowed: Vec<String> = Vec::new();
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with('┌') {
            narrowed.push(line.into());
            continue;
        }
        let mut table = vec![line];
        while let Some(line) = lines.next_if(|line| line.starts_with(['│', '╞', '├', '└'])) {
            table.push(line);
        }
        narrowed.extend(parts(&table, columns));
    }
    narrowed.join("\n")
}

/// The lines of a table, or of the tables that it is split into.
fn parts(table: &[&str], columns: usize) -> Vec<String> {
    let widths: Vec<usize> = cells(table[0]).iter().map(|cell| cell.chars().count()).collect();
    let width = |of: &[usize]| of.iter().map(|width| width + 1).sum::<usize>() + 1;
    if width(&widths) <= columns || table.iter().any(|line| cells(line).len() != widths.len()) {
        return table.iter().map(ToString::to_string).collect();
    }
    let mut told = Vec::new();
    let mut next = 1;
    while next < widths.len() {
        let mut end = next + 1;
        while end < widths.len() && width(&widths[..1]) + width(&widths[next..=end]) - 1 <= columns {
            end += 1;
        }
        told.extend(table.iter().map(|line| {
            let cells = cells(line);
            let mut ends = line.chars();
            let (first, last) = (ends.next().unwrap_or('│'), ends.next_back().unwrap_or('│'));
            let between = between(line).to_string();
            let shown: Vec<&str> = [cells[0]].into_iter().chain(cells[next..end].iter().copied()).collect();
            format!("{first}{}{last}", shown.join(&between))
        }));
        next = end;
    }
    told
}

/// The character between two cells of a line.
fn between(line: &str) -> char {
    match line.chars().next() {
        Some('┌') => '┬',
        Some('╞') => '╪',
        Some('├') => '┼',
        Some('└') => '┴',
        _ => '┆',
    }
}

/// The cells of a line, with their padding.
fn cells(line: &str) -> Vec<&str> {
    let mut inside = line.chars();
    inside.next();
    inside.next_back();
    inside.as_str().split(between(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_drawn_on_terminals_that_can_redraw_a_line() {
        for (is_terminal, name, size, expected) in [
            (true, Some("xterm"), Some(120), Some(120)),
            (true, Some("xterm"), Some(40), Some(40)),
            (true, Some("xterm-mono"), Some(0), Some(80)),
            (true, Some("xterm"), None, Some(80)),
            (true, Some("dumb"), Some(80), None),
            (true, Some(""), Some(80), None),
            (true, None, Some(80), Some(80)),
            (false, Some("xterm"), Some(80), None),
        ] {
            assert_eq!(columns_of(is_terminal, name, size), expected, "{is_terminal} {name:?} {size:?}");
        }
    }

    #[test]
    fn a_listed_text_is_broken_between_words() {
        assert_eq!(listed("a.toml  ", "one two", usize::MAX), "a.toml  one two");
        let expected = "a.toml  twelve letters or\n        twenty of them";
        assert_eq!(listed("a.toml  ", "twelve letters or twenty of them", 28), expected);
        assert_eq!(listed("a.toml  ", "twelve letters or twenty of them", 5), expected);
    }

    const TABLE: &str = "\
before
┌─────┬───────┬──────┐
│ uid ┆   pay ┆ work │
╞═════╪═══════╪══════╡
│ käß ┆ 1.2 % ┆ 0.50 │
└─────┴───────┴──────┘
after";

    #[test]
    fn a_table_that_is_too_wide_becomes_several() {
        assert_eq!(narrow(TABLE, 22), TABLE);
        let expected = "\
before
┌─────┬───────┐
│ uid ┆   pay │
╞═════╪═══════╡
│ käß ┆ 1.2 % │
└─────┴───────┘
┌─────┬──────┐
│ uid ┆ work │
╞═════╪══════╡
│ käß ┆ 0.50 │
└─────┴──────┘
after";
        assert_eq!(narrow(TABLE, 21), expected);
        assert_eq!(narrow(TABLE, 3), expected, "a first column and one more, at least");
        assert_eq!(narrow("a line longer than the terminal", 9), "a line longer than the terminal");
    }
}
