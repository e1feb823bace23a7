//! `incentive.svg`: who was paid, by behaviour.

use super::canvas::picture;
use super::frame::{BELOW_HEADING, Frame, Legend, Level, Sample, WIDTH, heading, range_of};
use super::palette::{Dash, SHADE, Stroke};
use super::series::{Bins, Group, by_behaviour, rounds_of};
use crate::report::{ReportError, RunData};

const HEIGHT: f64 = 460.0;
const RIGHT: f64 = 110.0;

/// Share of the pay of a peer of each behaviour: mean over the group's peers, and the range from its lowest to its highest paid.
pub fn incentive(run: &RunData) -> Result<String, ReportError> {
    let groups = by_behaviour(&run.peers);
    let bins = Bins::at_most(300, rounds_of(&run.peers));
    let shares: Vec<Vec<Share>> = groups.iter().map(|group| shares(group, bins)).collect();
    let y = range_of(shares.iter().flatten().map(|share| share.high), 0.05);
    let peers: usize = groups.iter().map(|group| group.peers.len()).sum();
    let equal = Level {
        y: 100.0 / peers.max(1) as f64,
        label: "equal shares".into(),
        stroke: Stroke::solid(SHADE, 1.2).dash(Dash::Dotted),
    };

    let legend = Legend::new(groups.iter().map(|group| (Sample::Band(group.stroke), group.name())), WIDTH - 90.0);
    let top = BELOW_HEADING + legend.height() + 10.0;
    let title = format!("Incentive by behaviour: {}, seed {}", run.manifest.scenario.name, run.manifest.seed);
    let explanation = format!("line: mean over the peers of a behaviour; band: lowest to highest paid of them{}", bins.note("mean of"));
    picture("the incentives", (WIDTH, HEIGHT + legend.height()), |page| {
        heading(page, &title, &explanation);
        legend.draw(page, (70.0, BELOW_HEADING));
        let bottom = HEIGHT + legend.height() - 50.0;
        let x = 0.0..(bins.rounds.max(1) as f64);
        let frame = Frame { left: 70.0, top, right: WIDTH - RIGHT, bottom, x, y: 0.0..y.end.max(1e-3) };
        frame.axes(page, "communication rounds done", "incentive of one peer (% of a round's pay)");
        frame.levels(page, &[equal]);
        for (group, shares) in groups.iter().zip(&shares) {
            let band: Vec<_> = shares.iter().map(|share| (share.x, share.low, share.high)).collect();
            frame.band(page, &band, group.stroke.color, 0.15);
        }
        for (group, shares) in groups.iter().zip(&shares) {
            let line: Vec<_> = shares.iter().map(|share| (share.x, share.mean)).collect();
            frame.line(page, &line, group.stroke.width(2.2));
        }
    })
}

/// Pay of a group's peers in one bin of rounds, per cent.
struct Share {
    x: f64,
    mean: f64,
    low: f64,
    high: f64,
}

fn shares(group: &Group<'_>, bins: Bins) -> Vec<Share> {
    let peers: Vec<Vec<f64>> = group.peers.iter().map(|(_, rows)| mean_in_bins(rows, bins)).collect();
    let share = |bin: usize| {
        let known = || peers.iter().map(|peer| 100.0 * peer[bin]).filter(|share| share.is_finite());
        Share {
            x: bins.end(bin),
            mean: known().sum::<f64>() / known().count() as f64,
            low: known().fold(f64::NAN, f64::min),
            high: known().fold(f64::NAN, f64::max),
        }
    };
    (0..bins.count()).map(share).collect()
}

/// A peer's mean incentive over the rounds of each bin in which it is listed; NaN where it is in none.
fn mean_in_bins(rows: &[&crate::report::PeerRow], bins: Bins) -> Vec<f64> {
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
            row.incentive = if row.behaviour == "honest" { f64::from(row.uid) / 1000.0 + (row.round % 2) as f64 / 100.0 } else { 0.0 };
        }
        let groups = by_behaviour(&run.peers);
        let bins = Bins { rounds: 150, width: 2 };
        let honest = shares(&groups[0], bins);
        let uids: Vec<f64> = groups[0].peers.iter().map(|(uid, _)| f64::from(*uid)).collect();
        let mean = uids.iter().sum::<f64>() / uids.len() as f64 / 10.0 + 0.5;
        assert_eq!(honest.len(), 75);
        assert!((honest[7].mean - mean).abs() < 1e-9, "{} {mean}", honest[7].mean);
        assert!((honest[7].low - (uids[0] / 10.0 + 0.5)).abs() < 1e-9);
        assert!(shares(&groups[1], bins).iter().all(|share| share.high == 0.0));
    }

    #[test]
    fn picture_names_groups_and_bins() {
        let svg = incentive(&sample::copycat()).unwrap();
        assert!(svg.contains("honest (12 peers)") && svg.contains("copycat of best (3 peers)") && !svg.contains("mean of"), "{svg}");
        assert!(incentive(&sample::network(6, 1200, 3)).unwrap().contains("mean of each 4 rounds"));
    }
}
