//! `compare-loss.svg` and its variants: the held-out losses of several runs on the same axes, by round, by round without
//! the initial fall, by tokens, by bytes that a peer has sent, and by virtual time. Runs that differ only in the seed
//! become one line: their mean, in a band of their spread.

use std::collections::BTreeMap;

use super::loss::{Curve, adamw, draw, draw_late, late};
use super::palette::{BLACK, Dash, LINES, Stroke};
use crate::report::{ReportError, RunData};
use crate::scenario::Scenario;

/// The quantity of the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Rounds,
    Tokens,
    Bytes,
    Time,
}

impl Over {
    const ALL: [Self; 4] = [Self::Rounds, Self::Tokens, Self::Bytes, Self::Time];

    fn file(self) -> &'static str {
        match self {
            Self::Rounds => "compare-loss.svg",
            Self::Tokens => "compare-loss-tokens.svg",
            Self::Bytes => "compare-loss-bytes.svg",
            Self::Time => "compare-loss-time.svg",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Rounds => "communication rounds done",
            Self::Tokens => "tokens trained on by those who are aggregated",
            Self::Bytes => "bytes that a peer has sent, as a power of ten",
            Self::Time => "virtual hours",
        }
    }

    /// The position of a run at this round and time; `None` before it has sent its first byte.
    fn place(self, run: &RunData, rounds: u64, seconds: f64) -> Option<f64> {
        match self {
            Self::Rounds => Some(rounds as f64),
            Self::Tokens => Some(rounds as f64 * run.manifest.tokens_per_round as f64),
            Self::Bytes => Some((rounds as f64 * run.manifest.upload_bytes as f64).log10()).filter(|x| x.is_finite()),
            Self::Time => Some(seconds / 3600.0),
        }
    }

    /// Whether central training has a position on this axis. It sends nothing, and its hardware is not given.
    fn has_baseline(self) -> bool {
        matches!(self, Self::Rounds | Self::Tokens)
    }
}

/// What a title says of lines that stand for several seeds.
const MEANS: &str = ": means and spreads";

/// The pictures of several runs: file names and SVG texts.
pub fn compare(runs: &[&RunData]) -> Result<Vec<(&'static str, String)>, ReportError> {
    let pictures = Over::ALL.into_iter().map(|over| Ok((over.file(), losses(runs, over)?)));
    let late = late_losses(runs).transpose().map(|svg| Ok(("compare-loss-late.svg", svg?)));
    pictures.chain(late).collect()
}

/// Losses by round after the first tenth; `None` if there are too few.
fn late_losses(runs: &[&RunData]) -> Result<Option<String>, ReportError> {
    let groups = groups(runs);
    let title = format!("Held-out loss after the first tenth{}", if groups.len() < runs.len() { MEANS } else { "" });
    late(&curves(&groups, Over::Rounds)).map(|late| draw_late(runs, &title, &late)).transpose()
}

/// The first picture: losses by round.
pub fn compared_losses(runs: &[&RunData]) -> Result<String, ReportError> {
    losses(runs, Over::Rounds)
}

fn losses(runs: &[&RunData], over: Over) -> Result<String, ReportError> {
    let groups = groups(runs);
    let title = format!("Held-out loss{}", if groups.len() < runs.len() { MEANS } else { "" });
    draw(runs, &title, over.title(), &curves(&groups, over))
}

/// Groups runs that differ only in the seed, in the order of the arguments.
pub fn groups<'a>(runs: &[&'a RunData]) -> Vec<Vec<&'a RunData>> {
    let seedless = |run: &RunData| Scenario { seed: 0, ..run.manifest.scenario.clone() };
    let mut groups: Vec<((Scenario, bool), Vec<&RunData>)> = Vec::new();
    for &run in runs {
        let scenario = (seedless(run), run.manifest.central);
        match groups.iter_mut().find(|(known, members)| {
            *known == scenario && members.iter().all(|other| other.manifest.seed != run.manifest.seed)
        }) {
            Some((_, members)) => members.push(run),
            None => groups.push((scenario, vec![run])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Name of a group: the folder of a single run, or what the folders of several seeds share.
pub fn name(group: &[&RunData]) -> String {
    let first = group[0];
    match group.len() {
        1 => first.name.clone(),
        seeds => {
            let shared = first.name.strip_suffix(&format!("-{}", first.manifest.seed)).unwrap_or(&first.name);
            format!("{shared} ({seeds} seeds)")
        }
    }
}

/// One colour per group. AdamW is dashed, and drawn once if it is the same for all.
fn curves(groups: &[Vec<&RunData>], over: Over) -> Vec<Curve> {
    let mut curves = Vec::new();
    let baselines: Vec<Curve> = groups.iter().map(|group| baseline(group, over)).collect();
    let shared = baselines.windows(2).all(|pair| pair[0].points == pair[1].points && pair[0].spread == pair[1].spread);
    for (index, (group, baseline)) in groups.iter().zip(baselines).enumerate() {
        let color = LINES[index % LINES.len()];
        // Earlier curves are wider, so that they stay visible behind later ones that coincide.
        let width = (2.8 - 0.5 * index as f64).max(1.3);
        let dash = if index < LINES.len() { Dash::Solid } else { Dash::Alternating };
        let losses = group.iter().map(|run| {
            let start = run.manifest.initial_loss.map(|loss| (over.place(run, 0, 0.0), loss));
            let measured = run
                .rounds
                .iter()
                .filter_map(|row| row.loss.map(|loss| (over.place(run, row.round + 1, row.virtual_seconds), loss)));
            start.into_iter().chain(measured).collect()
        });
        let is_central = group[0].manifest.central;
        if !is_central {
            curves.push(mean(name(group), Stroke::solid(color, width).dash(dash), losses));
        }
        if !over.has_baseline() || baseline.points.is_empty() || shared && index > 0 {
            continue;
        }
        let (label, color) = match (shared, is_central) {
            (true, _) => (adamw(group[0]), BLACK),
            (false, true) => (format!("central {}: {}", optimizer(group), name(group)), color),
            (false, false) => (format!("{} beside {}", optimizer(group), name(group)), color),
        };
        curves.push(Curve { label, stroke: Stroke { color, ..baseline.stroke }, ..baseline });
    }
    curves
}

/// The name of the optimiser of a group's baseline.
fn optimizer(group: &[&RunData]) -> &'static str {
    group[0].manifest.scenario.baseline.optimizer.name()
}

fn baseline(group: &[&RunData], over: Over) -> Curve {
    let runs = group.iter().filter(|run| !run.baseline.is_empty());
    let losses = runs.map(|run| {
        let start = run.manifest.initial_loss.map(|loss| (over.place(run, 0, 0.0), loss));
        let measured =
            run.baseline.iter().filter_map(|row| row.loss.map(|loss| (over.place(run, row.round + 1, 0.0), loss)));
        start.into_iter().chain(measured).collect()
    });
    mean(String::new(), Stroke::solid(BLACK, 1.8).dash(Dash::Dashed), losses)
}

/// The mean of runs that were measured in the same rounds, with their range.
fn mean(label: String, stroke: Stroke, runs: impl Iterator<Item = Vec<(Option<f64>, f64)>>) -> Curve {
    // Measurements are matched by number: the nth of each run is of the same round.
    let mut measured: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    let mut count = 0;
    for run in runs {
        count += 1;
        for (at, (place, loss)) in run.into_iter().enumerate() {
            if let Some(place) = place {
                measured.entry(at).or_default().push((place, loss));
            }
        }
    }
    // A mean would jump where the shortest run ends.
    let complete: Vec<Vec<(f64, f64)>> = measured.into_values().filter(|values| values.len() == count).collect();
    let average =
        |values: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>() / values.len() as f64;
    let points = complete.iter().map(|values| (average(values, |v| v.0), average(values, |v| v.1))).collect();
    let spread = complete.iter().filter(|values| values.len() > 1).map(|values| {
        let losses = values.iter().map(|value| value.1);
        (
            average(values, |v| v.0),
            losses.clone().fold(f64::INFINITY, f64::min),
            losses.fold(f64::NEG_INFINITY, f64::max),
        )
    });
    Curve { label, stroke, points, spread: spread.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn labels(runs: &[&RunData], over: Over) -> Vec<String> {
        curves(&groups(runs), over).into_iter().map(|curve| curve.label).collect()
    }

    #[test]
    fn a_shared_baseline_is_drawn_once() {
        let (one, mut other) = (sample::copycat(), sample::copycat());
        other.name = "other".into();
        other.manifest.scenario.training.lr *= 2.0;
        assert_eq!(labels(&[&one, &other], Over::Rounds).len(), 3);
        assert_eq!(labels(&[&one, &other], Over::Bytes), [one.name.clone(), "other".into()]);
        let measured = other.baseline.iter_mut().find(|row| row.loss.is_some()).unwrap();
        measured.loss = Some(9.0);
        assert_eq!(labels(&[&one, &other], Over::Tokens)[3], "AdamW beside other");
    }

    #[test]
    fn a_lone_baseline_is_one_line_and_is_not_drawn_twice() {
        let (run, mut alone) = (sample::copycat(), sample::copycat());
        alone.name = "alone".into();
        alone.manifest.central = true;
        alone.rounds.clear();
        assert_eq!(labels(&[&run, &alone], Over::Rounds).len(), 2);
        alone.baseline.iter_mut().for_each(|row| row.loss = row.loss.map(|loss| loss + 1.0));
        (alone.manifest.seed, alone.manifest.scenario.seed) = (2, 2);
        assert_eq!(labels(&[&run, &alone], Over::Rounds)[2], "central AdamW: alone");
        assert_eq!(labels(&[&run, &alone], Over::Time), [run.name.as_str()]);
        assert_eq!(labels(&[&alone], Over::Bytes), [""; 0]);
        for (_, svg) in compare(&[&alone]).unwrap() {
            assert!(svg.starts_with("<svg") && !svg.contains("NaN"));
        }
    }

    #[test]
    fn seeds_are_one_line_with_a_spread() {
        let (mut one, mut two) = (sample::copycat(), sample::copycat());
        (one.name, two.name) = ("copycat-1".into(), "copycat-2".into());
        (two.manifest.seed, two.manifest.scenario.seed) = (2, 2);
        let measured = one.rounds.iter().position(|row| row.loss.is_some()).unwrap();
        two.rounds[measured].loss = one.rounds[measured].loss.map(|loss| loss + 1.0);
        let curves = curves(&groups(&[&one, &two]), Over::Time);
        assert_eq!(curves.len(), 1);
        assert_eq!(curves[0].label, "copycat (2 seeds)");
        let (loss, (x, low, high)) = (one.rounds[measured].loss.unwrap(), curves[0].spread[1]);
        assert_eq!((x, low, high), (one.rounds[measured].virtual_seconds / 3600.0, loss, loss + 1.0));
        assert_eq!(curves[0].points[1], (x, (low + high) / 2.0));

        two.rounds.truncate(measured + 1);
        assert_eq!(super::curves(&groups(&[&one, &two]), Over::Rounds)[0].points.len(), 2);
    }

    #[test]
    fn bytes_are_a_power_of_ten() {
        let run = sample::copycat();
        let curves = curves(&groups(&[&run]), Over::Bytes);
        let rounds = run.rounds.iter().find(|row| row.loss.is_some()).unwrap().round + 1;
        let expected = (rounds as f64 * run.manifest.upload_bytes as f64).log10();
        assert_eq!(curves[0].points[0].0, expected);
        let pictures = compare(&[&run, &run]).unwrap();
        assert_eq!(pictures.len(), 5);
        for (file, svg) in pictures {
            assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{file}");
        }
    }
}
