//! The closing lines of a story: total pay, cost, and what an unpaid peer lacked.

use super::history::{History, Moment, mean, value};
use super::stretch::{missing, pay};
use super::words::{number, percent, upload, wrapped};
use crate::mechanism::Status;

/// Summarises these rounds.
pub fn told(history: &History, moments: &[Moment]) -> String {
    let lines = [
        Some(counts(history, moments)),
        Some(paid(moments)),
        unpaid(history, moments),
        cost(moments),
        at_the_end(history, moments),
    ];
    lines.into_iter().flatten().map(|line| wrapped(&line, 0)).collect::<Vec<_>>().join("\n")
}

fn counts(history: &History, moments: &[Moment]) -> String {
    let count = |which: &dyn Fn(&Moment) -> bool| moments.iter().filter(|moment| which(moment)).count();
    let mut parts = Vec::new();
    for status in Status::ALL {
        let of = count(&|moment| moment.row.status == status);
        if of > 0 {
            parts.push(format!("{} in {of}", upload(status)));
        }
    }
    if history.says_evaluations() {
        parts.push(format!("evaluated in {}", count(&|moment| !history.measured(moment.row).is_empty())));
    }
    parts.push(format!("aggregated in {}", count(&|moment| moment.row.aggregated)));
    parts.push(format!("paid in {}", count(&|moment| moment.row.incentive > 0.0)));
    format!("In all, {} rounds: {}.", moments.len(), parts.join(", "))
}

fn paid(moments: &[Moment]) -> String {
    let own: f64 = moments.iter().map(|moment| moment.row.incentive).sum();
    let all: f64 = moments.iter().flat_map(|moment| moment.peers).map(|row| row.incentive).sum();
    let share = (own > 0.0).then(|| format!("{} of all pay in these rounds, ", percent(own / all)));
    let compared = pay(moments);
    // `no pay` becomes `Pay: none`.
    let compared = compared.strip_prefix("no pay").map_or(compared.clone(), |rest| format!("none{rest}"));
    format!("Pay: {}{}.", share.unwrap_or_default(), compared.trim_start_matches("pay "))
}

/// Its score in the rounds without pay; `None` if it was always paid.
fn unpaid(history: &History, moments: &[Moment]) -> Option<String> {
    let at = history.score?;
    let unpaid: Vec<&Moment> = moments.iter().filter(|moment| moment.row.incentive <= 0.0).collect();
    let (mut unknown, mut nothing, mut below, mut above) = (0, 0, 0, 0);
    for moment in &unpaid {
        let last = moment.last_paid().and_then(|row| value(row, at));
        match value(moment.row, at) {
            Some(own) if own > 0.0 && last.is_none_or(|last| own >= last) => above += 1,
            Some(own) if own > 0.0 => below += 1,
            Some(_) => nothing += 1,
            None => unknown += 1,
        }
    }
    let name = history.rated_by();
    let parts = [
        (unknown, "not known"),
        (nothing, "0 or less"),
        (below, "above 0 but below that of the lowest-paid peer"),
        (above, "high enough (pay follows later)"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{what} in {count}")).collect();
    (!unpaid.is_empty())
        .then(|| format!("Unpaid in {} of {} rounds: {name} {}.", unpaid.len(), moments.len(), parts.join(", ")))
}

/// What it spent; `None` if costs are not known.
fn cost(moments: &[Moment]) -> Option<String> {
    let sum = |value: &dyn Fn(&Moment) -> Option<u64>| -> Option<f64> {
        moments.iter().map(|moment| value(moment).map(|count| count as f64)).sum()
    };
    let tokens = sum(&|moment| moment.row.tokens)?;
    let (up, down) = (sum(&|moment| moment.row.bytes_up)?, sum(&|moment| moment.row.bytes_down)?);
    let others: f64 = moments.iter().filter_map(Moment::mean_tokens).sum();
    let work =
        if others > 0.0 { format!(", {} times a mean honest peer's", number(tokens / others)) } else { String::new() };
    Some(format!(
        "Cost: trained on {tokens} tokens{work}; sent {} MB, received {} MB.",
        number(up / 1e6),
        number(down / 1e6)
    ))
}

/// The numbers of the last round, beside the others' means.
fn at_the_end(history: &History, moments: &[Moment]) -> Option<String> {
    let last = moments.last()?;
    let standing = history.standing(last.row).into_iter().map(|(at, _)| at);
    let places = history.score.into_iter().chain(standing);
    let whose = if last.has_honest() { "mean honest" } else { "mean of all" };
    let numbers = places.map(|at| {
        let others = last.mean_number(at).map_or_else(|| "unknown".into(), number);
        format!("{} {} ({whose}: {others})", history.columns[at].words(), history.with_spread(last.row, at))
    });
    let mut parts: Vec<String> = numbers.collect();
    parts.extend(history.rank(last.row, last.peers).map(|(rank, of)| format!("rank {rank} of {of}")));
    parts.extend(missing(history, last));
    (!parts.is_empty()).then(|| format!("At the end, round {}: {}.", last.row.round, parts.join(", ")))
}

impl Moment<'_> {
    /// Tokens of a mean honest peer; `None` if there is none or its tokens are not known.
    fn mean_tokens(&self) -> Option<f64> {
        mean(self.compared_with().filter_map(|row| row.tokens).map(|tokens| tokens as f64))
            .filter(|_| self.has_honest())
    }
}
