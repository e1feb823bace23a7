//! `status.svg`: the status of every peer in every round.

use std::collections::BTreeMap;

use plotters::style::RGBColor;

use super::canvas::{Anchor, Canvas, Lettering, picture};
use super::frame::{BELOW_HEADING, Frame, Legend, Sample, WIDTH, heading, number, ticks};
use super::palette::{BLACK, BLUE, INK, ORANGE, PURPLE, SHADE, Stroke, VERMILLION, WHITE, YELLOW};
use super::series::{Bins, Group, by_behaviour, rounds_of};
use crate::report::{PeerRow, ReportError, RunData, Status};

/// Most rectangles in the picture. Rounds are drawn in coarser bins until they suffice.
const RECTANGLES: usize = 4_500;
const RIGHT: f64 = 30.0;
const LABEL_SIZE: f64 = 12.0;
/// Space between two behaviours.
const GAP: f64 = 4.0;

/// The meaning of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    status: Status,
    aggregated: bool,
}

/// Cells of a peer: first bin, bin after the last, meaning.
type Runs = Vec<(usize, usize, Cell)>;

/// Draws a row for each peer, by behaviour and uid, and a column for each round.
pub fn status(run: &RunData) -> Result<String, ReportError> {
    let groups = by_behaviour(&run.peers);
    let (bins, runs) = binned(&groups, rounds_of(run.peers.iter().map(|row| row.round)));
    let peers: usize = groups.iter().map(|group| group.peers.len()).sum();
    let row_height = if peers == 0 { 10.0 } else { (560.0 / peers as f64).floor().clamp(2.0, 18.0) };
    let body = peers as f64 * row_height + groups.len().saturating_sub(1) as f64 * GAP;

    let label = Lettering::new(LABEL_SIZE, Anchor::Right);
    let left = 50.0 + groups.iter().map(|group| label.width_of(&group.name())).fold(60.0, f64::max);
    let legend = Legend::new(legend_entries(&runs), WIDTH - left);
    let top = BELOW_HEADING + legend.height() + 10.0;
    let title =
        format!("Fast evaluation by round and peer: {}, seed {}", run.manifest.scenario.name, run.manifest.seed);
    let explanation = format!("one row a peer, by behaviour and uid{}", bins.note("most frequent of"));
    picture("the status grid", (WIDTH, top + body + 50.0), |page| {
        heading(page, &title, &explanation);
        legend.draw(page, (left, BELOW_HEADING));
        let x = 0.0..(bins.rounds.max(1) as f64);
        let frame = Frame { left, top, right: WIDTH - RIGHT, bottom: top + body, x, y: 0.0..1.0 };
        let mut y = top;
        for (group, runs) in groups.iter().zip(&runs) {
            group_label(page, group, (left - 26.0, y), row_height);
            for ((uid, _), cells) in group.peers.iter().zip(runs) {
                if row_height >= 10.0 {
                    let look = Lettering::new(10.0, Anchor::Right).color(SHADE);
                    page.text(&uid.to_string(), (left - 6.0, y + row_height / 2.0), look);
                }
                row(page, &frame, cells, bins, (y, y + row_height));
                y += row_height;
            }
            y += GAP;
        }
        foot(page, &frame);
    })
}

/// The cells of all peers, in bins fine enough to see and coarse enough for a small file.
fn binned(groups: &[Group<'_>], rounds: u64) -> (Bins, Vec<Vec<Runs>>) {
    let mut most = 340;
    loop {
        let bins = Bins::at_most(most, rounds);
        let of_group = |group: &Group<'_>| group.peers.iter().map(|(_, rows)| cells(rows, bins)).collect();
        let runs: Vec<Vec<Runs>> = groups.iter().map(of_group).collect();
        let rectangles: usize = runs.iter().flatten().map(Vec::len).sum();
        if rectangles <= RECTANGLES || most <= 10 {
            return (bins, runs);
        }
        most = most * 2 / 3;
    }
}

/// The most frequent cell of each bin, with equal neighbours joined.
fn cells(rows: &[&PeerRow], bins: Bins) -> Runs {
    let mut counts: Vec<BTreeMap<Cell, u32>> = vec![BTreeMap::new(); bins.count()];
    for row in rows {
        let cell = Cell { status: row.status, aggregated: row.aggregated };
        *counts[bins.of(row.round)].entry(cell).or_default() += 1;
    }
    let mut runs = Runs::new();
    for (bin, counts) in counts.iter().enumerate() {
        let Some((&cell, _)) = counts.iter().max_by_key(|(_, count)| **count) else { continue };
        match runs.last_mut() {
            Some((_, end, last)) if *end == bin && *last == cell => *end += 1,
            _ => runs.push((bin, bin + 1, cell)),
        }
    }
    runs
}

fn row(page: &Canvas<'_>, frame: &Frame, cells: &Runs, bins: Bins, (top, bottom): (f64, f64)) {
    // A thin white line between rows that are high enough.
    let bottom = if bottom - top >= 5.0 { bottom - 1.0 } else { bottom };
    for &(from, to, cell) in cells {
        let left = frame.at((from as f64 * bins.width as f64, 0.0)).0;
        let right = frame.at((bins.end(to - 1), 0.0)).0;
        let color = color(cell);
        if color != WHITE {
            page.rectangle((left, top), (right, bottom), color, 1.0);
        }
    }
}

fn group_label(page: &Canvas<'_>, group: &Group<'_>, (bar, top): (f64, f64), row_height: f64) {
    let height = group.peers.len() as f64 * row_height;
    page.rectangle((bar, top), (bar + 4.0, top + height - 1.0), group.stroke.color, 1.0);
    let size = LABEL_SIZE.min(height.max(8.0));
    page.text(&group.name(), (bar - 6.0, top + height / 2.0), Lettering::new(size, Anchor::Right));
}

/// The axis of rounds, without a grid.
fn foot(page: &Canvas<'_>, frame: &Frame) {
    page.line(&[(frame.left, frame.bottom + 3.0), (frame.right, frame.bottom + 3.0)], Stroke::solid(INK, 1.0));
    for round in ticks(&frame.x, 8) {
        let at = frame.at((round, 0.0)).0;
        page.line(&[(at, frame.bottom + 3.0), (at, frame.bottom + 7.0)], Stroke::solid(INK, 0.75));
        page.text(&number(round), (at, frame.bottom + 15.0), Lettering::new(12.0, Anchor::Middle));
    }
    frame.x_title(page, "communication round");
}

/// The kinds of cells that occur.
fn legend_entries(runs: &[Vec<Runs>]) -> Vec<(Sample, String)> {
    let mut seen: Vec<Cell> = runs.iter().flatten().flatten().map(|(_, _, cell)| *cell).collect();
    seen.sort_by_key(|cell| (cell.status, !cell.aggregated));
    seen.dedup_by_key(|cell| color(*cell));
    seen.into_iter().map(|cell| (Sample::Box(color(cell)), name(cell))).collect()
}

fn name(cell: Cell) -> String {
    match (cell.status, cell.aggregated) {
        (Status::Passed, true) => "aggregated".into(),
        (Status::Passed, false) => "passed, not aggregated".into(),
        (status, _) => status.name().replace('_', " "),
    }
}

fn color(cell: Cell) -> RGBColor {
    match (cell.status, cell.aggregated) {
        (Status::Passed, true) => BLUE,
        (Status::Passed, false) => RGBColor(198, 222, 240),
        (Status::Absent, _) => RGBColor(150, 150, 150),
        (Status::TooEarly, _) => YELLOW,
        (Status::TooLate, _) => ORANGE,
        (Status::LateKey, _) => RGBColor(120, 190, 120),
        (Status::WrongKey, _) => RGBColor(0, 110, 80),
        (Status::MisplacedKey, _) => RGBColor(60, 60, 120),
        (Status::Malformed, _) => BLACK,
        (Status::OutOfSync, _) => VERMILLION,
        (Status::StartedOver, _) => RGBColor(200, 120, 160),
        (Status::Copy, _) => PURPLE,
        (Status::Excluded, _) => RGBColor(90, 60, 20),
        (Status::Unregistered, _) => WHITE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn equal_neighbours_are_one_rectangle_and_bins_show_the_majority() {
        let run = sample::copycat();
        let groups = by_behaviour(&run.peers);
        let mut rows: Vec<PeerRow> = groups[0].peers[0].1.iter().map(|row| (*row).clone()).take(7).collect();
        for (round, row) in rows.iter_mut().enumerate() {
            row.status = if (2..5).contains(&round) { Status::Absent } else { Status::Passed };
            row.aggregated = false;
        }
        let rows: Vec<&PeerRow> = rows.iter().collect();
        let shape =
            |bins| cells(&rows, bins).iter().map(|(from, to, cell)| (*from, *to, cell.status)).collect::<Vec<_>>();
        let each = [(0, 2, Status::Passed), (2, 5, Status::Absent), (5, 7, Status::Passed)];
        assert_eq!(shape(Bins { rounds: 7, width: 1 }), each);
        assert_eq!(
            shape(Bins { rounds: 7, width: 3 }),
            [(0, 1, Status::Passed), (1, 2, Status::Absent), (2, 3, Status::Passed)]
        );
    }

    #[test]
    fn files_stay_small() {
        for (peers, rounds) in [(16, 150), (250, 40), (250, 900), (16, 20_000)] {
            let svg = status(&sample::network(peers, rounds, 5)).unwrap();
            assert!(svg.len() < 500_000, "{peers} peers, {rounds} rounds: {} bytes", svg.len());
        }
    }

    #[test]
    fn legend_lists_what_occurs() {
        let svg = status(&sample::copycat()).unwrap();
        assert!(svg.contains("passed, not aggregated") && svg.contains("aggregated") && !svg.contains("malformed"));
    }
}
