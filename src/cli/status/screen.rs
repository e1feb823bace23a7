//! The live screen of `sim status --watch`.

use std::time::{Duration, Instant};

use gauntlet::node::RoundReport;
use gauntlet::runtime::Run;
use gauntlet::words::counted;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame};

use super::{snapshot::Snapshot, table};
use crate::cli::block_on;

/// Time between two reads of the bucket.
const EVERY: Duration = Duration::from_secs(2);

/// Shows the run until q or Ctrl-C.
pub fn watch(run: &Run) -> anyhow::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let watched = watch_on(&mut terminal, run);
    ratatui::restore();
    watched
}

fn watch_on(terminal: &mut DefaultTerminal, run: &Run) -> anyhow::Result<()> {
    let (mut snapshot, mut first, mut trouble) = (block_on(Snapshot::read(run))?, 0, None);
    loop {
        let read = Instant::now();
        terminal.draw(|frame| draw(frame, &snapshot, first, trouble.as_deref()))?;
        while let Some(left) = EVERY.checked_sub(read.elapsed())
            && event::poll(left)?
        {
            let Event::Key(key) = event::read()? else { continue };
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(()),
                KeyCode::Down => first += 1,
                KeyCode::Up => first = first.saturating_sub(1),
                KeyCode::PageDown => first += 20,
                KeyCode::PageUp => first = first.saturating_sub(20),
                _ => continue,
            }
            first = first.min(snapshot.registered().saturating_sub(1));
            terminal.draw(|frame| draw(frame, &snapshot, first, trouble.as_deref()))?;
        }
        // While the bucket cannot be read, the old state stays on the screen.
        match block_on(Snapshot::read(run)) {
            Ok(newer) => (snapshot, trouble) = (newer, None),
            Err(error) => trouble = Some(format!("{error:#}")),
        }
    }
}

fn draw(frame: &mut Frame, snapshot: &Snapshot, first: usize, trouble: Option<&str>) {
    let mut heading = snapshot.heading();
    heading.extend(trouble.map(|trouble| format!("cannot be read now: {trouble}")));
    let rows = [Constraint::Length(heading.len() as u16 + 2), Constraint::Min(3), Constraint::Length(1)];
    let [top, middle, bottom] = Layout::vertical(rows).areas(frame.area());
    frame.render_widget(Paragraph::new(heading.join("\n")).block(Block::bordered().title(" gauntlet ")), top);

    let title = format!(" {}, best paid first ", counted(snapshot.registered(), "peer"));
    let block = Block::bordered().title(title);
    match &snapshot.newest {
        Some(report) => frame.render_widget(peers(report, first).block(block), middle),
        None => frame.render_widget(block, middle),
    }
    frame.render_widget(Paragraph::new(" up, down: scroll   q: quit"), bottom);
}

/// The table, from line `first` on.
fn peers(report: &RoundReport, first: usize) -> Table<'static> {
    let titles = table::titles(report);
    // The network's columns fit their content; the mechanism's are as wide as their names.
    let widths: Vec<Constraint> = titles
        .iter()
        .map(|title| match title.as_str() {
            "uid" => Constraint::Length(5),
            "hotkey" => Constraint::Length(13),
            "status" => Constraint::Length(14),
            other => Constraint::Length((other.len() as u16 + 1).max(9)),
        })
        .collect();
    let lines = table::peers(report).into_iter().skip(first).map(|peer| Row::new(table::cells(report, peer)));
    Table::new(lines, widths).header(Row::new(titles).style(Style::new().add_modifier(Modifier::BOLD)))
}
