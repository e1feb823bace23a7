//! The table of peers: what the network knows of each, and the numbers that the mechanism keeps.

use gauntlet::mechanism::ColumnKind;
use gauntlet::node::{PeerReport, RoundReport};

/// Titles of the columns: before the mechanism's, and after.
const BEFORE: [&str; 4] = ["uid", "hotkey", "status", "paid"];
const AFTER: &str = "aggregated";

/// Registered peers of a report, the best paid first.
pub fn peers(report: &RoundReport) -> Vec<&PeerReport> {
    let mut peers: Vec<_> = report.peers.iter().collect();
    peers.sort_by(|a, b| b.incentive.total_cmp(&a.incentive).then(a.uid.cmp(&b.uid)));
    peers
}

/// The line above the peers'.
pub fn titles(report: &RoundReport) -> Vec<String> {
    let own = standing(report).map(|(_, name)| name);
    BEFORE.into_iter().chain(own).chain([AFTER]).map(Into::into).collect()
}

/// A peer's line, as [`titles`].
pub fn cells(report: &RoundReport, peer: &PeerReport) -> Vec<String> {
    let mut cells = vec![
        peer.uid.to_string(),
        peer.hotkey.to_string()[..12].to_string(),
        peer.status.to_string(),
        format!("{:.2} %", 100.0 * peer.incentive),
    ];
    let number = |at: usize| peer.numbers.get(at).copied().flatten();
    cells.extend(standing(report).map(|(at, _)| number(at).map_or("-".into(), |number| format!("{number:.3}"))));
    cells.push(if peer.aggregated { "yes" } else { "" }.into());
    cells
}

/// Numbers that count until the next; a measurement of one round says little by itself.
fn standing(report: &RoundReport) -> impl Iterator<Item = (usize, &str)> {
    let all = report.columns.iter().enumerate();
    all.filter(|(_, column)| column.kind != ColumnKind::Measured).map(|(at, column)| (at, column.name.as_str()))
}
