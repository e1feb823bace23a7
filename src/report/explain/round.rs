//! One round of a peer in detail, beside the peers above and below it.

use super::history::{History, Moment, value};
use super::stretch::missing;
use super::turning::evaluation;
use super::words::{change, number, percent, upload, wrapped};
use crate::report::tables::Look;
use crate::report::tables::ruled::Ruled;
use crate::report::{PeerRow, RunData};

/// Peers shown above and below.
const BESIDE: usize = 2;

/// Describes the round in words and a table of neighbouring peers.
pub fn told(run: &RunData, history: &History, moment: &Moment, look: Look) -> String {
    let lines = [
        ("upload", uploaded(moment)),
        ("evaluated", evaluated(history, moment)),
        ("score", numbers(history, moment)),
        ("rank", rank(history, moment)),
        ("aggregated", aggregated(history, moment)),
        ("pay", pay(history, moment)),
        ("timing", timing(run)),
    ];
    let lines = lines.iter().map(|(name, text)| wrapped(&format!("  {name:<12}{text}"), 14));
    let lines: Vec<String> = lines.collect();
    format!("{}\n\n{}", lines.join("\n"), beside(history, moment, look))
}

fn uploaded(moment: &Moment) -> String {
    let words = upload(moment.row.status);
    match moment.row.steps_behind {
        Some(steps) => format!("{words}; its model was {} steps away from the validator's", number(steps)),
        None => words.into(),
    }
}

fn evaluated(history: &History, moment: &Moment) -> String {
    let all = moment.peers.iter().filter(|row| !history.measured(row).is_empty()).count();
    match evaluation(history, moment) {
        Some(told) => format!("yes ({all} of {} peers were): {told}", moment.peers.len()),
        None if history.says_evaluations() => format!("no ({all} of {} peers were)", moment.peers.len()),
        None => "the mechanism does not say whom it evaluates".into(),
    }
}

fn numbers(history: &History, moment: &Moment) -> String {
    let mut places: Vec<usize> = history.score.into_iter().collect();
    places.extend(history.standing(moment.row).into_iter().map(|(at, _)| at).filter(|at| Some(*at) != history.score));
    let told = places.into_iter().map(|at| {
        let before = moment.before.and_then(|row| value(row, at)).zip(value(moment.row, at));
        let own = match before {
            Some((before, after)) if before != after => change(before, after),
            _ => history.with_spread(moment.row, at),
        };
        let whose = if moment.has_honest() { "honest" } else { "of all" };
        let mean = moment.mean_number(at).map_or_else(String::new, |mean| format!(" (mean {whose}: {})", number(mean)));
        format!("{} {own}{mean}", history.columns[at].words())
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "the mechanism has no numbers of peers".into() } else { told.join(", ") }
}

fn rank(history: &History, moment: &Moment) -> String {
    let Some((rank, of)) = history.rank(moment.row, moment.peers) else { return "none: it has no score yet".into() };
    format!("{rank} of {of} by {}", history.rated_by())
}

fn aggregated(history: &History, moment: &Moment) -> String {
    let included: Vec<&PeerRow> = moment.peers.iter().filter(|row| row.aggregated).collect();
    let own = if moment.row.aggregated { "yes" } else { "no" };
    let places = format!("{own} ({} of {} peers were", included.len(), moment.peers.len());
    let known = included.iter().filter_map(|row| Some((history.rated(row)?, row.uid)));
    match known.min_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, uid)) => {
            format!("{places}; the lowest of them is uid {uid} with {} {})", history.rated_by(), number(score))
        }
        None => format!("{places})"),
    }
}

fn pay(history: &History, moment: &Moment) -> String {
    let whose = if moment.has_honest() { "a mean honest peer" } else { "a mean peer" };
    let mut told = match moment.row.incentive {
        paid if paid > 0.0 => percent(paid),
        _ => "none".into(),
    };
    told += &format!("; {whose} got {}", percent(moment.mean_pay()));
    match moment.last_paid() {
        Some(last) => told += &format!("; the lowest-paid peer, uid {}, got {}", last.uid, percent(last.incentive)),
        None => told += "; nobody was paid",
    }
    missing(history, moment).map_or(told.clone(), |missing| format!("{told}; {missing}"))
}

fn timing(run: &RunData) -> String {
    let scenario = &run.manifest.scenario;
    format!(
        "pay follows the weights that validators post every {} rounds; the list of peers to aggregate is renewed every {} \
         rounds and applies {} rounds later",
        scenario.chain.weights_every, scenario.protocol.list_every, scenario.protocol.list_delay
    )
}

/// The peers ranked directly above and below.
fn beside(history: &History, moment: &Moment, look: Look) -> String {
    let mut order: Vec<&PeerRow> = moment.peers.iter().collect();
    let score = |row: &PeerRow| history.rated(row).unwrap_or(f64::NEG_INFINITY);
    order.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.uid.cmp(&b.uid)));
    let own = order.iter().position(|row| row.uid == moment.row.uid).unwrap_or(0);
    let shown = own.saturating_sub(BESIDE)..(own + BESIDE + 1).min(order.len());
    let mut titles: Vec<String> = ["", "rank", "uid", "behaviour", "status"].map(Into::into).into();
    let places: Vec<usize> =
        history.score.into_iter().chain(history.standing(moment.row).into_iter().map(|(at, _)| at)).collect();
    titles.extend(places.iter().map(|at| history.columns[*at].words()));
    titles.extend(["aggregated", "pay"].map(Into::into));
    let mut table = Ruled::new(look, 4, &titles);
    for row in &order[shown] {
        let rank = history.rank(row, moment.peers).map_or_else(|| "-".into(), |(rank, _)| rank.to_string());
        let mark = if row.uid == moment.row.uid { "->" } else { "" };
        let mut cells: Vec<String> =
            vec![mark.into(), rank, row.uid.to_string(), row.behaviour.clone(), row.status.name().replace('_', " ")];
        cells.extend(places.iter().map(|at| history.with_spread(row, *at)));
        cells.extend([if row.aggregated { "yes" } else { "no" }.into(), percent(row.incentive)]);
        table.line(cells);
    }
    table.text()
}
