//! Finds the rounds that changed a peer's standing, and what moved its score in them.

use std::collections::BTreeMap;

use super::history::{History, Moment, value};
use super::words::{change, number, ordinal, span, upload};
use crate::mechanism::Status;

/// Largest rises and largest falls of the score that are listed, this many each.
const MOVES: usize = 3;

/// A line for each turning point.
pub fn points(history: &History, moments: &[Moment]) -> Vec<String> {
    let mut points: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    let mut note = |at: Option<usize>, what| {
        if let Some(at) = at {
            points.entry(at).or_default().push(what);
        }
    };
    let is_paid = |moment: &Moment| moment.row.incentive > 0.0;
    let is_aggregated = |moment: &Moment| moment.row.aggregated;
    note(moments.iter().position(|moment| !history.measured(moment.row).is_empty()), "first evaluated");
    note(moments.iter().position(is_aggregated), "first aggregated");
    note(moments.iter().position(is_paid), "first paid");
    if let Some(at) = history.score {
        let is_positive = |moment: &Moment| value(moment.row, at).is_some_and(|score| score > 0.0);
        let after = moments.iter().rposition(is_positive).map(|at| at + 1);
        note(after.filter(|at| *at < moments.len()), "its score is 0 or less from here on");
    }
    let last = moments.len() - 1;
    note(moments.iter().rposition(is_aggregated).filter(|at| *at < last), "aggregated for the last time");
    note(moments.iter().rposition(is_paid).filter(|at| *at < last), "paid for the last time");
    let mut moves: Vec<(f64, usize)> =
        moments.iter().enumerate().filter_map(|(at, moment)| Some((moved_by(history, moment)?, at))).collect();
    moves.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (by, at) in moves.iter().take(MOVES).filter(|(by, _)| *by < 0.0) {
        note(Some(*at), if by == &moves[0].0 { "its score falls most" } else { "its score falls" });
    }
    for (by, at) in moves.iter().rev().take(MOVES).filter(|(by, _)| *by > 0.0) {
        note(Some(*at), if by == &moves[moves.len() - 1].0 { "its score rises most" } else { "its score rises" });
    }
    let line = |(at, what): (&usize, &Vec<&str>)| {
        let moment = &moments[*at];
        let told = format!("{}: {}", span(moment.row.round, moment.row.round), what.join(", "));
        moved(history, moment).map_or(told.clone(), |moved| format!("{told}; {moved}"))
    };
    points.iter().map(line).collect()
}

/// How much a round changed the score; `None` without a score.
fn moved_by(history: &History, moment: &Moment) -> Option<f64> {
    let at = history.score?;
    Some(value(moment.row, at)? - value(moment.before?, at)?)
}

/// The changes of a peer's numbers in a round, with the cause.
pub fn moved(history: &History, moment: &Moment) -> Option<String> {
    let mut parts = Vec::new();
    if moment.row.status != Status::Passed {
        parts.push(upload(moment.row.status).to_string());
    }
    parts.extend(evaluation(history, moment).map(|told| format!("evaluated ({told})")));
    let steps = moment.before.and_then(|row| row.steps_behind).zip(moment.row.steps_behind);
    if let Some((before, after)) = steps.filter(|(before, after)| before != after) {
        parts.push(format!("its model {} steps away", change(before, after)));
    }
    let numbers = history.standing(moment.row).into_iter().map(|(at, after)| (at, Some(after)));
    let score = history.score.map(|at| (at, value(moment.row, at)));
    for (at, after) in numbers.chain(score) {
        let before = moment.before.and_then(|row| value(row, at));
        let name = history.columns[at].words();
        match (before, after) {
            (Some(before), Some(after)) if before != after => parts.push(format!("{name} {}", change(before, after))),
            (None, Some(after)) => parts.push(format!("{name} {}", number(after))),
            _ => {}
        }
    }
    if let Some((rank, of)) = history.rank(moment.row, moment.peers) {
        parts.push(format!("rank {rank} of {of}"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What was measured of it, and its rank among the peers with the same measurement.
pub fn evaluation(history: &History, moment: &Moment) -> Option<String> {
    let measured = history.measured(moment.row);
    if measured.is_empty() {
        return None;
    }
    let told = measured.into_iter().map(|(at, own)| {
        let all = || moment.peers.iter().filter_map(|row| value(row, at));
        let place = all().filter(|other| *other > own).count() + 1;
        format!("{} {}, {} of {}", history.columns[at].words(), number(own), ordinal(place), all().count())
    });
    Some(told.collect::<Vec<_>>().join("; "))
}
