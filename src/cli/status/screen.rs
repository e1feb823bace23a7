//! The live screen of `sim status --watch`.

use std::time::{Duration, Instant};

use gauntlet::runtime::Run;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, Paragraph, Row, Table};
use ratatui::{DefaultTerminal, Frame};

use super::snapshot::Snapshot;
use super::{COLUMNS, cells};
use crate::cli::block_on;

/// The bucket is read this often.
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
            first = first.min(snapshot.peers().len().saturating_sub(1));
            terminal.draw(|frame| draw(frame, &snapshot, first, trouble.as_deref()))?;
        }
        // What was seen before stays on the screen while the bucket cannot be read.
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

    let peers = snapshot.peers();
    let widths = [5, 13, 12, 9, 10, 8, 8, 7, 10].map(Constraint::Length);
    let lines = peers.iter().skip(first).map(|peer| Row::new(cells(peer)));
    let header = Row::new(COLUMNS).style(Style::new().add_modifier(Modifier::BOLD));
    let title = format!(" {} peers, best paid first ", peers.len());
    frame.render_widget(Table::new(lines, widths).header(header).block(Block::bordered().title(title)), middle);
    frame.render_widget(Paragraph::new(" up, down: scroll   q: quit"), bottom);
}
