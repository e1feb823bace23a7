//! `bytes.svg`: bytes that all nodes together send and receive per round.

use super::canvas::{Point, picture};
use super::frame::{BELOW_HEADING, Frame, WIDTH, heading, range_of};
use super::palette::{LINES, Stroke};
use super::series::{Bins, rounds_of};
use crate::report::{ReportError, RunData};

const HEIGHT: f64 = 460.0;
/// Space between the two frames.
const GAP: f64 = 42.0;
/// Most points of a line.
const POINTS: u64 = 300;

/// Draws bytes sent and received by round; `None` if they are not known, as in a real network.
pub fn bytes(run: &RunData) -> Result<Option<String>, ReportError> {
    let known = |bytes: fn(&crate::report::RoundRow) -> Option<u64>| {
        let rounds = run.rounds.iter().map(|row| Some((row.round, bytes(row)? as f64)));
        rounds.collect::<Option<Vec<(u64, f64)>>>().filter(|rounds| !rounds.is_empty())
    };
    let (Some(up), Some(down)) = (known(|row| row.bytes_up), known(|row| row.bytes_down)) else { return Ok(None) };

    let settings = &run.manifest.scenario;
    let title = format!("Bytes by round: {}, seed {}", settings.name, run.manifest.seed);
    let bins = Bins::at_most(POINTS, rounds_of(run.rounds.iter().map(|row| row.round)));
    let total = |rounds: &[(u64, f64)]| {
        let bytes = rounds.iter().map(|(_, bytes)| bytes).sum();
        let (unit, divisor) = unit_of(bytes);
        format!("{:.1} {unit}", bytes / divisor)
    };
    let explanation = format!(
        "of all nodes together, in and out of the bucket; in all {} sent, {} received{}",
        total(&up),
        total(&down),
        bins.note("mean of")
    );
    let height = (HEIGHT - BELOW_HEADING - GAP - 50.0) / 2.0;
    let picture = picture("the bytes", (WIDTH, HEIGHT), |page| {
        heading(page, &title, &explanation);
        for (nth, (what, rounds)) in [("sent", &up), ("received", &down)].into_iter().enumerate() {
            let line = means(rounds, bins);
            let highest = line.iter().fold(0.0, |highest: f64, point| highest.max(point.1));
            let (unit, divisor) = unit_of(highest);
            let line: Vec<Point> = line.into_iter().map(|(x, bytes)| (x, bytes / divisor)).collect();
            let y = range_of(line.iter().map(|point| point.1).chain([0.0]), 0.06);
            let top = BELOW_HEADING + 10.0 + nth as f64 * (height + GAP);
            let (x, y) = (0.0..bins.rounds as f64, 0.0..y.end);
            let frame = Frame { left: 90.0, top, right: WIDTH - 30.0, bottom: top + height - 10.0, x, y };
            let below = if nth == 1 { "communication rounds done" } else { "" };
            frame.axes(page, below, &format!("{what} ({unit} a round)"));
            frame.line(page, &line, Stroke::solid(LINES[0], 1.8));
        }
    })?;
    Ok(Some(picture))
}

/// The mean of each bin, placed at the bin's end.
fn means(rounds: &[(u64, f64)], bins: Bins) -> Vec<Point> {
    let mut sums = vec![(0.0, 0u32); bins.count()];
    for &(round, bytes) in rounds {
        let (sum, count) = &mut sums[bins.of(round)];
        (*sum, *count) = (*sum + bytes, *count + 1);
    }
    let mean = |(bin, (sum, count)): (usize, (f64, u32))| (count > 0).then(|| (bins.end(bin), sum / f64::from(count)));
    sums.into_iter().enumerate().filter_map(mean).collect()
}

/// The unit that keeps a number of bytes short, and its size in bytes.
pub fn unit_of(bytes: f64) -> (&'static str, f64) {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("KB", 1e3)];
    units.into_iter().find(|(_, divisor)| bytes >= *divisor).unwrap_or(("bytes", 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn both_ways_are_drawn_with_their_sums() {
        let mut run = sample::copycat();
        let svg = bytes(&run).unwrap().expect("a simulation knows them");
        for text in ["18.5 MB sent", "185.2 MB received", "sent (KB a round)", "received (MB a round)"] {
            assert!(svg.contains(text), "{text}");
        }
        // A damaged file whose rows are out of order.
        run.rounds.swap(3, 149);
        assert!(bytes(&run).unwrap().is_some());
        run.rounds[7].bytes_down = None;
        assert_eq!(bytes(&run).unwrap(), None);
        run.rounds.clear();
        assert_eq!(bytes(&run).unwrap(), None);
    }

    #[test]
    fn bins_hold_means() {
        let rounds: Vec<(u64, f64)> = (0..5).map(|round| (round, 10.0 * round as f64)).collect();
        assert_eq!(means(&rounds, Bins::at_most(2, 5)), [(3.0, 10.0), (5.0, 35.0)]);
    }
}
