//! Joins similar rounds of a peer into stretches, and describes each in a sentence.

use std::collections::BTreeMap;

use super::history::{History, Moment, mean};
use super::words::{change, number, span, times, upload};
use crate::mechanism::Status;

/// Most stretches of a story.
const MOST: usize = 12;
/// Neighbours that differ by less are always joined, so a single odd round makes no stretch.
const ALIKE: f64 = 1.2;
/// Longer histories are first grouped into at most this many pieces.
const FINEST: usize = 1_000;

/// A round as numbers: passed, aggregated, order of magnitude of pay, and rank by score.
type Kind = [f64; 4];

/// Neighbouring rounds and the mean of their numbers.
struct Stretch {
    rounds: std::ops::Range<usize>,
    kind: Kind,
}

/// Splits rounds into stretches.
pub fn stretches<'m, 'a>(history: &History, moments: &'m [Moment<'a>]) -> Vec<&'m [Moment<'a>]> {
    let width = moments.len().div_ceil(FINEST).max(1);
    let of = |(nth, chunk): (usize, &[Moment])| Stretch {
        rounds: nth * width..nth * width + chunk.len(),
        kind: std::array::from_fn(|at| mean(chunk.iter().map(|moment| kind(history, moment)[at])).unwrap_or(0.0)),
    };
    let mut joined: Vec<Stretch> = Vec::new();
    for stretch in moments.chunks(width).enumerate().map(of) {
        match joined.last_mut() {
            Some(last) if last.kind == stretch.kind => last.rounds.end = stretch.rounds.end,
            _ => joined.push(stretch),
        }
    }
    while let Some((cost, at)) = cheapest(&joined) {
        if joined.len() <= MOST && cost > ALIKE {
            break;
        }
        let next = joined.remove(at + 1);
        let first = &mut joined[at];
        let (a, b) = (first.rounds.len() as f64, next.rounds.len() as f64);
        first.kind = std::array::from_fn(|at| (a * first.kind[at] + b * next.kind[at]) / (a + b));
        first.rounds.end = next.rounds.end;
    }
    joined.into_iter().map(|stretch| &moments[stretch.rounds]).collect()
}

fn kind(history: &History, moment: &Moment) -> Kind {
    let passed = f64::from(moment.row.status == Status::Passed);
    let pay = moment.row.incentive / moment.mean_pay();
    let order = match pay {
        _ if moment.row.incentive <= 0.0 => 0.0,
        pay if pay < 0.1 => 0.5,
        pay if pay < 0.5 => 1.0,
        pay if pay < 2.0 => 1.5,
        _ => 2.0,
    };
    let place = history.rank(moment.row, moment.peers).map_or(1.0, |(rank, of)| rank as f64 / of as f64);
    [passed, f64::from(moment.row.aggregated), order, place]
}

/// The neighbours that are cheapest to join: the increase of the squared distances from the mean is smallest.
fn cheapest(stretches: &[Stretch]) -> Option<(f64, usize)> {
    let costs = stretches.windows(2).enumerate().map(|(at, pair)| {
        let (a, b) = (pair[0].rounds.len() as f64, pair[1].rounds.len() as f64);
        let apart: f64 = pair[0].kind.iter().zip(&pair[1].kind).map(|(a, b)| (a - b) * (a - b)).sum();
        (a * b / (a + b) * apart, at)
    });
    costs.min_by(|a, b| a.0.total_cmp(&b.0))
}

/// Describes a stretch in words.
pub fn told(history: &History, stretch: &[Moment]) -> String {
    let (first, last) = (&stretch[0], &stretch[stretch.len() - 1]);
    let parts = [
        Some(uploads(stretch)),
        evaluations(history, stretch),
        score(history, stretch),
        Some(aggregated(stretch)),
        Some(pay(stretch)),
        missing(history, last).map(|missing| format!("at the end {missing}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", span(first.row.round, last.row.round), parts.join("; "))
}

/// The statuses of its uploads, the most frequent first.
fn uploads(stretch: &[Moment]) -> String {
    let mut statuses: BTreeMap<Status, usize> = BTreeMap::new();
    for moment in stretch {
        *statuses.entry(moment.row.status).or_default() += 1;
    }
    let mut statuses: Vec<(Status, usize)> = statuses.into_iter().collect();
    statuses.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let words = |(status, count): &(Status, usize)| match statuses.len() {
        1 => upload(*status).to_string(),
        _ => format!("{} in {count}", upload(*status)),
    };
    let mut told = statuses.iter().map(words).collect::<Vec<_>>().join(", ");
    let behind = mean(stretch.iter().filter_map(|moment| moment.row.steps_behind));
    if let Some(behind) = behind.filter(|behind| behind.abs() > 0.05) {
        told += &format!(", its model {} steps away on average", number(behind));
    }
    told
}

/// How often it was evaluated, and the mean measurements.
fn evaluations(history: &History, stretch: &[Moment]) -> Option<String> {
    if !history.says_evaluations() {
        return None;
    }
    let evaluated: Vec<&Moment> = stretch.iter().filter(|moment| !history.measured(moment.row).is_empty()).collect();
    if evaluated.is_empty() {
        return Some("not evaluated".into());
    }
    let means = (0..history.columns.len()).filter_map(|at| {
        let of = |moment: &&&Moment| history.measured(moment.row).into_iter().find(|(column, _)| *column == at);
        let mean = mean(evaluated.iter().filter_map(|moment| of(&moment)).map(|(_, value)| value))?;
        Some(format!("{} {}", history.columns[at].words(), number(mean)))
    });
    let how = if evaluated.len() == 1 { "" } else { "on average " };
    Some(format!("evaluated {} ({how}{})", times(evaluated.len()), means.collect::<Vec<_>>().join(", ")))
}

/// The change of its score, and its ranks.
fn score(history: &History, stretch: &[Moment]) -> Option<String> {
    let ranks: Vec<(usize, usize)> =
        stretch.iter().filter_map(|moment| history.rank(moment.row, moment.peers)).collect();
    let (best, worst) = (ranks.iter().map(|rank| rank.0).min()?, ranks.iter().map(|rank| rank.0).max()?);
    let of = ranks.last()?.1;
    let rank = if best == worst { format!("rank {best} of {of}") } else { format!("rank {best} to {worst} of {of}") };
    if history.score.is_none() {
        return Some(rank);
    }
    let scores: Vec<f64> = stretch.iter().filter_map(|moment| history.rated(moment.row)).collect();
    let before = stretch[0].before.and_then(|row| history.rated(row));
    let (from, to) = (before.unwrap_or(scores[0]), *scores.last()?);
    Some(format!("{} {}, {rank}", history.rated_by(), change(from, to)))
}

fn aggregated(stretch: &[Moment]) -> String {
    match stretch.iter().filter(|moment| moment.row.aggregated).count() {
        0 => "not aggregated".into(),
        all if all == stretch.len() => "aggregated".into(),
        some => format!("aggregated in {some} of {}", stretch.len()),
    }
}

/// Its pay relative to others.
pub fn pay(stretch: &[Moment]) -> String {
    let own: f64 = stretch.iter().map(|moment| moment.row.incentive).sum();
    let others: f64 = stretch.iter().map(Moment::mean_pay).sum();
    let whose = if stretch.iter().any(Moment::has_honest) { "a mean honest peer's" } else { "a mean peer's" };
    if own <= 0.0 {
        return if others > 0.0 { "no pay" } else { "no pay, and none for the peers that it is compared with" }.into();
    }
    if others <= 0.0 {
        return "paid, while no honest peer is".into();
    }
    format!("pay {} times {whose}", number(own / others))
}

/// How far an unpaid peer's score is below that of the lowest paid peer.
pub fn missing(history: &History, moment: &Moment) -> Option<String> {
    let (own, last) = (history.rated(moment.row)?, moment.last_paid()?);
    let theirs = history.rated(last)?;
    if moment.row.incentive > 0.0 || history.score.is_none() {
        return None;
    }
    let name = history.rated_by();
    if own >= theirs {
        // Pay follows scores with a delay of some rounds.
        return Some(format!("the lowest-paid peer (uid {}) has a lower {name}", last.uid));
    }
    Some(format!("{name} {} below that of the lowest-paid peer (uid {})", number(theirs - own), last.uid))
}
