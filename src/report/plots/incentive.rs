//! `incentive.svg`: pay by behaviour.

use super::canvas::{Canvas, Point, picture};
use super::frame::{BELOW_HEADING, Frame, Legend, Level, Sample, WIDTH, heading, range_of};
use super::grid::Grid;
use super::palette::{Dash, SHADE, Stroke};
use super::series::{Bins, Group, by_behaviour, quantile, rounds_of};
use crate::report::{PeerRow, ReportError, RunData};

const HEIGHT: f64 = 460.0;
const RIGHT: f64 = 110.0;
/// Up to this many behaviours share one frame; more get a panel each.
const ONE_FRAME: usize = 5;

/// Draws the pay of one peer of each behaviour: the mean over the group, and the range of the middle 80 % of its peers.
pub fn incentive(run: &RunData) -> Result<String, ReportError> {
    let groups = by_behaviour(&run.peers);
    let bins = Bins::at_most(
        if groups.len() > ONE_FRAME { 120 } else { 300 },
        rounds_of(run.peers.iter().map(|row| row.round)),
    );
    let shares: Vec<Vec<Share>> = groups.iter().map(|group| shares(group, bins)).collect();
    let axes = (0.0..bins.rounds.max(1) as f64, 0.0..top_of(&shares));
    let peers: usize = groups.iter().map(|group| group.peers.len()).sum();
    let equal = 100.0 / peers.max(1) as f64;

    let title = format!("Incentive by behaviour: {}, seed {}", run.manifest.scenario.name, run.manifest.seed);
    let mut explanation =
        format!("line: mean over the peers of a behaviour; band: 10 to 90 % of them{}", bins.note("mean of"));
    if shares.iter().flatten().any(|share| share.high > axes.1.end) {
        explanation += "; cut off at the top";
    }
    let y_title = "pay of one peer (% of a round's)";
    if groups.len() > ONE_FRAME {
        let grid = Grid::of(groups.len());
        return picture("the incentives", (WIDTH, grid.height()), |page| {
            heading(page, &title, &format!("{explanation}; dotted: equal shares"));
            for (index, (group, shares)) in groups.iter().zip(&shares).enumerate() {
                let frame = grid.panel(page, index, group, axes.clone(), y_title);
                frame.levels(page, &[equal_shares(equal, "")]);
                band(page, &frame, shares, group.stroke);
                line(page, &frame, shares, group.stroke.dash(Dash::Solid));
            }
        });
    }
    let legend = Legend::new(groups.iter().map(|group| (Sample::Band(group.stroke), group.name())), WIDTH - 90.0);
    picture("the incentives", (WIDTH, HEIGHT + legend.height()), |page| {
        heading(page, &title, &explanation);
        legend.draw(page, (70.0, BELOW_HEADING));
        let (x, y) = axes;
        let (top, bottom) = (BELOW_HEADING + legend.height() + 10.0, HEIGHT + legend.height() - 50.0);
        let frame = Frame { left: 70.0, top, right: WIDTH - RIGHT, bottom, x, y };
        frame.axes(page, "communication rounds done", y_title);
        frame.levels(page, &[equal_shares(equal, "equal shares")]);
        groups.iter().zip(&shares).for_each(|(group, shares)| band(page, &frame, shares, group.stroke));
        groups.iter().zip(&shares).for_each(|(group, shares)| line(page, &frame, shares, group.stroke));
    })
}

fn equal_shares(y: f64, label: &str) -> Level {
    Level { y, label: label.into(), stroke: Stroke::solid(SHADE, 1.2).dash(Dash::Dotted) }
}

fn band(page: &Canvas<'_>, frame: &Frame, shares: &[Share], stroke: Stroke) {
    let band: Vec<_> = shares.iter().map(|share| (share.x, share.low, share.high)).collect();
    frame.band(page, &band, stroke.color, 0.18);
}

fn line(page: &Canvas<'_>, frame: &Frame, shares: &[Share], stroke: Stroke) {
    let line: Vec<Point> = shares.iter().map(|share| (share.x, share.mean)).collect();
    frame.line(page, &line, stroke.width(2.2));
}

/// Upper end of the axis: above all means and nearly all bands. In the first rounds few peers have a score, and one may
/// earn almost everything.
fn top_of(shares: &[Vec<Share>]) -> f64 {
    let mut highs: Vec<f64> = shares.iter().flatten().map(|share| share.high).filter(|high| high.is_finite()).collect();
    highs.sort_by(f64::total_cmp);
    let settled = |share: &&Share| shares.iter().flatten().map(|other| other.x).fold(0.0, f64::max) * 0.1 <= share.x;
    let means = shares.iter().flatten().filter(settled).map(|share| share.mean);
    range_of(means.chain([quantile(&highs, 0.97), 0.1]), 0.06).end
}

/// Pay of a group's peers in one bin of rounds, in per cent.
struct Share {
    x: f64,
    mean: f64,
    low: f64,
    high: f64,
}

fn shares(group: &Group<'_>, bins: Bins) -> Vec<Share> {
    let peers: Vec<Vec<f64>> = group.peers.iter().map(|(_, rows)| mean_in_bins(rows, bins)).collect();
    let share = |bin: usize| {
        let mut known: Vec<f64> =
            peers.iter().map(|peer| 100.0 * peer[bin]).filter(|share| share.is_finite()).collect();
        known.sort_by(f64::total_cmp);
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        Share { x: bins.end(bin), mean, low: quantile(&known, 0.1), high: quantile(&known, 0.9) }
    };
    (0..bins.count()).map(share).collect()
}

/// A peer's mean incentive over the rounds of each bin in which it is listed; NaN if it is in none.
fn mean_in_bins(rows: &[&PeerRow], bins: Bins) -> Vec<f64> {
    let mut sums = vec![(0.0, 0u64); bins.count()];
    for row in rows {
        let (sum, count) = &mut sums[bins.of(row.round)];
        *sum += row.incentive;
        *count += 1;
    }
    sums.into_iter().map(|(sum, count)| sum / count as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn shares_are_means_over_peers_and_rounds() {
        let mut run = sample::copycat();
        for row in &mut run.peers {
            let odd_rounds_pay_more = (row.round % 2) as f64 / 100.0;
            row.incentive =
                if row.behaviour == "honest" { f64::from(row.uid) / 1000.0 + odd_rounds_pay_more } else { 0.0 };
        }
        let groups = by_behaviour(&run.peers);
        let honest = shares(&groups[0], Bins { rounds: 150, width: 2 });
        assert_eq!((honest.len(), honest[7].x), (75, 16.0));
        // Uids 0..=11: a mean of 0.55 %, plus half a per cent in every other round.
        assert!((honest[7].mean - 1.05).abs() < 1e-9, "{}", honest[7].mean);
        assert!((honest[7].low - 0.61).abs() < 1e-9 && (honest[7].high - 1.49).abs() < 1e-9);
        assert!(shares(&groups[1], Bins { rounds: 150, width: 2 }).iter().all(|share| share.high == 0.0));
    }

    #[test]
    fn picture_names_groups_and_bins() {
        let svg = incentive(&sample::copycat()).unwrap();
        assert!(
            svg.contains("honest (12 peers)") && svg.contains("copycat of best (3 peers)") && !svg.contains("mean of"),
            "{svg}"
        );
        assert!(incentive(&sample::network(4, 1200, 3)).unwrap().contains("mean of each 4 rounds"));
    }

    #[test]
    fn many_behaviours_have_panels() {
        let svg = incentive(&sample::network(250, 40, 3)).unwrap();
        assert!(svg.matches("rounds done").count() >= 4 && svg.len() < 500_000);
    }

    #[test]
    fn one_early_winner_does_not_flatten_the_rest() {
        let mut run = sample::copycat();
        for row in &mut run.peers {
            row.incentive = if row.round == 0 { f64::from(row.uid < 6) / 6.0 } else { 1.0 / 16.0 };
        }
        let groups = by_behaviour(&run.peers);
        let bins = Bins { rounds: 150, width: 1 };
        let top = top_of(&groups.iter().map(|group| shares(group, bins)).collect::<Vec<_>>());
        assert!((6.25..8.0).contains(&top), "{top}");
    }
}
