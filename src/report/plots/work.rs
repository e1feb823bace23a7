//! `work.svg`: work and pay of each peer, relative to a mean honest peer.

use std::collections::BTreeMap;

use super::canvas::{Point, picture};
use super::frame::{BELOW_HEADING, Frame, Legend, Level, Sample, WIDTH, heading, mark, range_of};
use super::palette::{Dash, SHADE, Stroke, behaviour_strokes};
use crate::report::{ReportError, RunData};

const HEIGHT: f64 = 460.0;

/// Draws pay by work, one point per peer; `None` if no peer's costs are known.
pub fn work(run: &RunData) -> Result<Option<String>, ReportError> {
    let mut groups: BTreeMap<(bool, &str), Vec<Point>> = BTreeMap::new();
    for row in &run.leaderboard {
        let label = row.behaviour.as_str();
        let points = groups.entry((!label.starts_with("honest"), label)).or_default();
        points.extend(row.work.zip(row.pay));
    }
    // Honest peers are drawn first, in the colours of the other pictures.
    let labels: Vec<&str> = groups.keys().map(|(_, label)| *label).collect();
    let strokes = behaviour_strokes(&labels);
    let groups: Vec<(&str, Stroke, Vec<Point>)> =
        labels.into_iter().zip(strokes).zip(groups.values().cloned()).map(|((a, b), c)| (a, b, c)).collect();
    let all = || groups.iter().flat_map(|(_, _, points)| points).copied();
    if all().next().is_none() {
        return Ok(None);
    }
    let end = |of: fn(Point) -> f64| range_of(all().map(of).chain([0.0, 1.2]), 0.06).end;
    let (x, y) = (end(|point| point.0), end(|point| point.1));

    let title = format!("Work and pay: {}, seed {}", run.manifest.scenario.name, run.manifest.seed);
    let explanation = "one point a peer, 1: a mean honest peer in the same rounds; above the dotted line work pays more than honest work";
    let entries = groups.iter().map(|(label, stroke, points)| {
        let peers = if points.len() == 1 { "peer" } else { "peers" };
        (Sample::Mark(*stroke), format!("{label} ({} {peers})", points.len()))
    });
    let legend = Legend::new(entries, WIDTH - 90.0);
    let picture = picture("work and pay", (WIDTH, HEIGHT + legend.height()), |page| {
        heading(page, &title, explanation);
        legend.draw(page, (70.0, BELOW_HEADING));
        let (top, bottom) = (BELOW_HEADING + legend.height() + 10.0, HEIGHT + legend.height() - 50.0);
        // Space at the left edge for the points of peers without work.
        let frame = Frame { left: 70.0, top, right: WIDTH - 110.0, bottom, x: -0.02 * x..x, y: -0.02 * y..y };
        frame.axes(page, "work: tokens trained on (honest = 1)", "pay (honest = 1)");
        let dotted = Stroke::solid(SHADE, 1.2).dash(Dash::Dotted);
        frame.levels(page, &[Level { y: 1.0, label: "honest pay".into(), stroke: Stroke::solid(SHADE, 0.75) }]);
        let corner = x.min(y);
        frame.line(page, &[(0.0, 0.0), (corner, corner)], dotted);
        for (_, stroke, points) in groups.iter().rev() {
            points.iter().for_each(|point| mark(page, frame.at(*point), *stroke));
        }
    })?;
    Ok(Some(picture))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn every_peer_whose_costs_are_known_is_a_point() {
        let mut run = sample::copycat();
        let svg = work(&run).unwrap().expect("a simulation knows them");
        for text in ["honest (12 peers)", "copycat of best (3 peers)", "copycat of random (1 peer)", "honest pay"] {
            assert!(svg.contains(text), "{text}");
        }
        // One point per peer, and one per behaviour in the legend.
        assert_eq!(svg.matches("<polygon").count(), 16 + 3);
        run.leaderboard.iter_mut().for_each(|row| row.work = None);
        assert_eq!(work(&run).unwrap(), None);
    }
}
