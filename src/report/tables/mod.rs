//! The output at the end of a run: pay, the loss beside AdamW's, and the paths of the files.

mod cost;
mod losses;
pub(super) mod ruled;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::cost::Costs;
pub use self::losses::losses;
pub use self::ruled::Look;
pub(crate) use self::ruled::Ruled;
use self::ruled::{NONE, digits, mean, percent};
use super::record::Row;
use super::work::HONEST;
use super::{BackdoorRow, Equality, LeaderboardRow, RunData, diverged};
use crate::Uid;
use crate::mechanism::Column;

/// A list of at most `ALL` peers is printed whole; of a longer one, only the best paid.
const ALL: usize = 20;
const BEST: usize = 10;

const LEGEND: &str =
    "final pay: mean share of a round's pay, last tenth of the rounds; aggregated, failed: share of all rounds";

/// All tables of a run, and the path of its folder.
pub fn summary(run: &RunData, root: &Path, look: Look) -> String {
    let peers = run.leaderboard.len();
    let mut parts = Vec::new();
    if !run.manifest.central {
        parts.push(format!("Who was paid, by behaviour\n{}", by_behaviour(run, look)));
        parts.extend(by_operator(run, look).map(|table| format!("Who was paid, by operator\n{table}")));
        parts.push(format!("{}\n{}\n{LEGEND}", peers_title(peers), by_peer(run, look)));
        if Costs::of(run, Costs::Each) != Costs::Unknown {
            parts.push(cost::LEGEND.into());
        }
        parts.extend(equality(run).map(|equality| format!("Pay of equal honest peers: {equality}")));
    }
    parts.push(format!("Held-out loss (nats per token)\n{}", losses(run, look)));
    parts.extend(diverged(run).iter().map(ToString::to_string));
    if let Some(digest) = run.manifest.digest {
        parts.push(format!("digest {digest}"));
    }
    let files = if run.manifest.central { "" } else { ", leaderboard.csv, peers.csv, rounds.csv" };
    let baseline = if run.baseline.is_empty() { "" } else { ", baseline.csv" };
    let backdoor = if root.join(BackdoorRow::FILE).exists() { ", backdoor.csv" } else { "" };
    parts.push(format!("{}: manifest.json{files}{baseline}{backdoor}, plots/, report.html", root.display()));
    parts.join("\n\n")
}

/// How evenly equal honest peers were paid, in words; `None` if the folder does not say.
pub(super) fn equality(run: &RunData) -> Option<String> {
    let Equality { peers, gini, variation } = run.manifest.honest_pay?;
    Some(format!(
        "Gini coefficient {}, coefficient of variation {}, of {peers} peers",
        digits(gini, 2),
        digits(variation, 2)
    ))
}

fn peers_title(peers: usize) -> String {
    if peers <= ALL { "Who was paid, by peer".into() } else { format!("The {BEST} best paid of {peers} peers") }
}

/// One line per behaviour, sorted by pay per peer.
pub fn by_behaviour(run: &RunData, look: Look) -> String {
    let mut groups: BTreeMap<&str, Vec<&LeaderboardRow>> = BTreeMap::new();
    for row in &run.leaderboard {
        groups.entry(&row.behaviour).or_default().push(row);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    let each = |rows: &[&LeaderboardRow]| mean(rows.iter().map(|row| row.incentive_final));
    groups.sort_by(|a, b| each(&b.1).total_cmp(&each(&a.1)));

    let own = Own::of(run);
    let costs = Costs::of(run, Costs::Each);
    let mut titles: Vec<String> = ["behaviour", "peers", "final pay of one", "pay in all"].map(Into::into).into();
    titles.extend(costs.titles().iter().map(ToString::to_string));
    titles.extend(own.iter().map(|own| own.title.clone()));
    titles.extend(["aggregated", "failed"].map(Into::into));
    let mut table = Ruled::new(look, 1, &titles);
    for (label, group) in groups {
        let rounds_of_all = (run.manifest.rounds_done * group.len() as u64) as f64;
        let mut cells = vec![
            label.to_string(),
            group.len().to_string(),
            percent(each(&group)),
            percent(group.iter().map(|row| row.incentive_total).sum()),
        ];
        cells.extend(costs.cells(&group, run.manifest.rounds_done));
        let of_group = |own: &Own| digits(mean(group.iter().filter_map(|row| own.value(row))), 2);
        cells.extend(own.iter().map(of_group));
        cells.push(percent(group.iter().map(|row| row.rounds_aggregated).sum::<u64>() as f64 / rounds_of_all));
        cells.push(percent(group.iter().map(|row| row.rounds_failed).sum::<u64>() as f64 / rounds_of_all));
        table.line(cells);
    }
    table.text()
}

/// One line for each operator of several uids, whose slots have the label `operator/behaviour`: its total, and one of
/// its uids relative to an honest peer. `None` if there is no such operator.
pub fn by_operator(run: &RunData, look: Look) -> Option<String> {
    let mut operators: BTreeMap<&str, Vec<&LeaderboardRow>> = BTreeMap::new();
    for row in &run.leaderboard {
        if let Some((operator, _)) = row.behaviour.split_once('/') {
            operators.entry(operator).or_default().push(row);
        }
    }
    if operators.is_empty() {
        return None;
    }
    let honest = run.leaderboard.iter().filter(|row| row.behaviour == HONEST).map(|row| row.incentive_final);
    let honest = mean(honest);
    let costs = Costs::of(run, Costs::All);
    let mut titles = vec!["operator", "uids", "final pay", "of one uid", "to an honest peer's", "pay in all"];
    titles.extend(costs.titles());
    let mut table = Ruled::new(look, 1, &titles);
    for (operator, rows) in operators {
        let paid: f64 = rows.iter().map(|row| row.incentive_final).sum();
        let uids: BTreeSet<Uid> = rows.iter().map(|row| row.uid).collect();
        let each = paid / uids.len() as f64;
        let ratio = each / honest;
        let mut cells = vec![
            operator.to_string(),
            uids.len().to_string(),
            percent(paid),
            percent(each),
            if ratio.is_finite() { format!("{ratio:.2} x") } else { NONE.into() },
            percent(rows.iter().map(|row| row.incentive_total).sum()),
        ];
        cells.extend(costs.cells(&rows, run.manifest.rounds_done));
        table.line(cells);
    }
    Some(table.text())
}

/// One line per peer, in the given order; of more than 20 peers the first ten.
pub fn by_peer(run: &RunData, look: Look) -> String {
    let (rows, rounds) = (&run.leaderboard, run.manifest.rounds_done as f64);
    let listed = if rows.len() <= ALL { rows.len() } else { BEST };
    let own = Own::of(run);
    let costs = Costs::of(run, Costs::Each);
    let mut titles: Vec<String> = ["uid", "behaviour", "final pay", "pay in all"].map(Into::into).into();
    titles.extend(costs.titles().iter().map(ToString::to_string));
    titles.extend(own.iter().map(|own| own.title.clone()));
    titles.extend(["aggregated", "failed"].map(Into::into));
    let mut table = Ruled::new(look, 2, &titles);
    for row in &rows[..listed] {
        let mut cells = vec![
            row.uid.to_string(),
            row.behaviour.clone(),
            percent(row.incentive_final),
            percent(row.incentive_total),
        ];
        cells.extend(costs.cells(&[row], run.manifest.rounds_done));
        cells.extend(own.iter().map(|own| own.text(row)));
        cells.push(percent(row.rounds_aggregated as f64 / rounds));
        cells.push(percent(row.rounds_failed as f64 / rounds));
        table.line(cells);
    }
    table.text()
}

/// A number of the mechanism that tables show, as indices into a row of the leaderboard.
struct Own {
    title: String,
    at: usize,
    spread: Option<usize>,
}

impl Own {
    /// The numbers that any peer has. A spread stands beside its number.
    fn of(run: &RunData) -> Vec<Self> {
        let columns = &run.manifest.columns;
        let lasting: Vec<&Column> = Column::lasting(columns).into_iter().map(|at| &columns[at]).collect();
        let is_known = |at: usize| run.leaderboard.iter().any(|row| number(row, at).is_some());
        let is_spread = |column: &Column| columns.iter().any(|other| other.spread.as_ref() == Some(&column.name));
        let shown = lasting.iter().enumerate().filter(|(at, column)| is_known(*at) && !is_spread(column));
        let own = |(at, column): (usize, &&Column)| {
            let spread = lasting.iter().position(|other| column.spread.as_ref() == Some(&other.name));
            Self { title: column.words(), at, spread }
        };
        shown.map(own).collect()
    }

    fn value(&self, row: &LeaderboardRow) -> Option<f64> {
        number(row, self.at)
    }

    fn text(&self, row: &LeaderboardRow) -> String {
        let value = digits(self.value(row).unwrap_or(f64::NAN), 2);
        match self.spread.and_then(|at| number(row, at)) {
            Some(spread) if value != NONE => format!("{value} ± {}", digits(spread, 2)),
            _ => value,
        }
    }
}

fn number(row: &LeaderboardRow, at: usize) -> Option<f64> {
    row.numbers.get(at).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn row(uid: u16, behaviour: &str, incentive: f64) -> LeaderboardRow {
        LeaderboardRow {
            uid,
            behaviour: behaviour.into(),
            incentive_final: incentive,
            incentive_total: incentive / 2.0,
            numbers: vec![Some(12.345), Some(30.04), Some(1.26), Some(-0.001)],
            rounds_aggregated: 30,
            rounds_failed: 1,
            ..LeaderboardRow::default()
        }
    }

    /// A run of 120 rounds with this ending.
    fn ranked(leaderboard: Vec<LeaderboardRow>) -> RunData {
        let mut run = RunData { leaderboard, ..sample::copycat() };
        run.manifest.rounds_done = 120;
        run
    }

    #[test]
    fn behaviours_are_ranked_by_the_pay_of_one_peer() {
        let unknown = LeaderboardRow { numbers: vec![None; 4], ..row(4, "late", 0.0) };
        let run = ranked(vec![row(1, "honest", 0.2), row(2, "honest", 0.4), row(3, "honest x2", 0.4), unknown]);
        insta::assert_snapshot!(by_behaviour(&run, Look::Plain), @"
        | behaviour | peers | final pay of one | pay in all | peer score | rating mu | proof of computation | aggregated | failed |
        |-----------|-------|------------------|------------|------------|-----------|----------------------|------------|--------|
        | honest x2 |     1 |          40.00 % |    20.00 % |      12.35 |     30.04 |                 0.00 |    25.00 % | 0.83 % |
        | honest    |     2 |          30.00 % |    30.00 % |      12.35 |     30.04 |                 0.00 |    25.00 % | 0.83 % |
        | late      |     1 |           0.00 % |     0.00 % |          - |         - |                    - |    25.00 % | 0.83 % |
        ");
        insta::assert_snapshot!(by_peer(&run, Look::Terminal), @"
        ┌─────┬───────────┬───────────┬────────────┬────────────┬──────────────┬──────────────────────┬────────────┬────────┐
        │ uid ┆ behaviour ┆ final pay ┆ pay in all ┆ peer score ┆    rating mu ┆ proof of computation ┆ aggregated ┆ failed │
        ╞═════╪═══════════╪═══════════╪════════════╪════════════╪══════════════╪══════════════════════╪════════════╪════════╡
        │   1 ┆ honest    ┆   20.00 % ┆    10.00 % ┆      12.35 ┆ 30.04 ± 1.26 ┆                 0.00 ┆    25.00 % ┆ 0.83 % │
        │   2 ┆ honest    ┆   40.00 % ┆    20.00 % ┆      12.35 ┆ 30.04 ± 1.26 ┆                 0.00 ┆    25.00 % ┆ 0.83 % │
        │   3 ┆ honest x2 ┆   40.00 % ┆    20.00 % ┆      12.35 ┆ 30.04 ± 1.26 ┆                 0.00 ┆    25.00 % ┆ 0.83 % │
        │   4 ┆ late      ┆    0.00 % ┆     0.00 % ┆          - ┆            - ┆                    - ┆    25.00 % ┆ 0.83 % │
        └─────┴───────────┴───────────┴────────────┴────────────┴──────────────┴──────────────────────┴────────────┴────────┘
        ");
    }

    #[test]
    fn an_operator_stands_beside_an_honest_peer() {
        let rows =
            vec![row(1, "honest", 0.3), row(2, "honest", 0.1), row(3, "farm/honest", 0.4), row(4, "farm/copycat", 0.2)];
        insta::assert_snapshot!(by_operator(&ranked(rows), Look::Plain).unwrap(), @"
        | operator | uids | final pay | of one uid | to an honest peer's | pay in all |
        |----------|------|-----------|------------|---------------------|------------|
        | farm     |    2 |   60.00 % |    30.00 % |              1.50 x |    30.00 % |
        ");
        let alone = ranked(vec![row(3, "farm/noise", 0.4)]);
        assert!(by_operator(&alone, Look::Plain).unwrap().contains("|                   - |"));
        assert_eq!(by_operator(&ranked(vec![row(1, "honest", 0.2)]), Look::Plain), None);
    }

    #[test]
    fn a_mechanism_without_numbers_has_no_empty_columns() {
        let mut run = ranked(vec![row(1, "honest", 0.2)]);
        run.manifest.columns.clear();
        run.leaderboard[0].numbers.clear();
        insta::assert_snapshot!(by_peer(&run, Look::Plain), @"
        | uid | behaviour | final pay | pay in all | aggregated | failed |
        |-----|-----------|-----------|------------|------------|--------|
        |   1 | honest    |   20.00 % |    10.00 % |    25.00 % | 0.83 % |
        ");
    }

    #[test]
    fn only_the_best_of_many_peers_are_listed() {
        let rows = |count| ranked((0..count).map(|uid| row(uid, "honest", 0.01)).collect());
        assert_eq!(by_peer(&rows(21), Look::Plain).lines().count(), 2 + BEST);
        assert_eq!(by_peer(&rows(20), Look::Plain).lines().count(), 2 + 20);
    }

    #[test]
    fn work_and_profit_are_shown_if_known() {
        let costly = |uid, behaviour: &str, work, pay| LeaderboardRow {
            rounds_registered: Some(120),
            tokens: Some(4_096),
            bytes_up: Some(1_200_000),
            bytes_down: Some(3_400),
            work: Some(work),
            pay: Some(pay),
            profit: Some(pay / work),
            ..row(uid, behaviour, 0.2)
        };
        let mut run = ranked(vec![
            costly(1, "honest", 1.0, 1.0),
            costly(2, "farm/lazy", 0.25, 3.0),
            costly(3, "farm/lazy", 0.25, 1.0),
        ]);
        run.manifest.columns.clear();
        run.leaderboard.iter_mut().for_each(|row| row.numbers.clear());
        insta::assert_snapshot!(by_behaviour(&run, Look::Plain), @"
        | behaviour | peers | final pay of one | pay in all | work | profit | aggregated | failed |
        |-----------|-------|------------------|------------|------|--------|------------|--------|
        | farm/lazy |     2 |          20.00 % |    20.00 % | 0.25 |   8.00 |    25.00 % | 0.83 % |
        | honest    |     1 |          20.00 % |    10.00 % | 1.00 |   1.00 |    25.00 % | 0.83 % |
        ");
        insta::assert_snapshot!(by_operator(&run, Look::Plain).unwrap(), @"
        | operator | uids | final pay | of one uid | to an honest peer's | pay in all | tokens |   sent | received | work | profit |
        |----------|------|-----------|------------|---------------------|------------|--------|--------|----------|------|--------|
        | farm     |    2 |   40.00 % |    20.00 % |              1.00 x |    20.00 % |  8,192 | 2.4 MB |   6.8 KB | 0.50 |   8.00 |
        ");
        insta::assert_snapshot!(by_peer(&run, Look::Plain), @"
        | uid | behaviour | final pay | pay in all | work | profit | aggregated | failed |
        |-----|-----------|-----------|------------|------|--------|------------|--------|
        |   1 | honest    |   20.00 % |    10.00 % | 1.00 |   1.00 |    25.00 % | 0.83 % |
        |   2 | farm/lazy |   20.00 % |    10.00 % | 0.25 |  12.00 |    25.00 % | 0.83 % |
        |   3 | farm/lazy |   20.00 % |    10.00 % | 0.25 |   4.00 |    25.00 % | 0.83 % |
        ");
        run.manifest.honest_pay = Some(Equality { peers: 12, gini: 0.5, variation: 0.923 });
        let text = summary(&run, Path::new("x"), Look::Plain);
        assert!(text.contains("Gini coefficient 0.50, coefficient of variation 0.92, of 12 peers"), "{text}");
        assert!(text.contains(cost::LEGEND));
    }

    #[test]
    fn the_summary_names_the_folder() {
        let run = sample::copycat();
        let text = summary(&run, Path::new("runs/copycat-1"), Look::Terminal);
        assert!(text.contains("runs/copycat-1: manifest.json") && text.contains("baseline.csv"), "{text}");
        assert!(text.contains("Who was paid, by peer") && !text.contains("backdoor.csv"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("backdoor.csv"), "round,success\n").unwrap();
        assert!(
            summary(&run, folder.path(), Look::Plain).contains(", baseline.csv, backdoor.csv, plots/, report.html")
        );
        let many = sample::network(30, 12, 1);
        assert!(summary(&many, Path::new("x"), Look::Plain).contains("The 10 best paid of 30 peers"));
    }
}
