//! The table of peers: the network's facts about each, and the mechanism's numbers.

use gauntlet::mechanism::ColumnKind;
use gauntlet::node::{PeerReport, RoundReport};

/// Titles of the columns before the mechanism's.
const BEFORE: [&str; 4] = ["uid", "hotkey", "status", "paid"];
const AFTER: &str = "aggregated";

/// Registered peers of a report, best paid first.
pub fn peers(report: &RoundReport) -> Vec<&PeerReport> {
    let mut peers: Vec<_> = report.peers.iter().collect();
    peers.sort_by(|a, b| b.incentive.total_cmp(&a.incentive).then(a.uid.cmp(&b.uid)));
    peers
}

/// The title row of the table.
pub fn titles(report: &RoundReport) -> Vec<String> {
    let own = standing(report).map(|(_, name)| name);
    BEFORE.into_iter().chain(own).chain([AFTER]).map(Into::into).collect()
}

/// A peer's row, in the order of [`titles`].
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

/// Columns whose numbers stay valid until the next. A measurement of one round says little by itself.
fn standing(report: &RoundReport) -> impl Iterator<Item = (usize, &str)> {
    let all = report.columns.iter().enumerate();
    all.filter(|(_, column)| column.kind != ColumnKind::Measured).map(|(at, column)| (at, column.name.as_str()))
}
