//! What is printed at the end of a run: who was paid, the loss beside AdamW's, where the files are.

use std::collections::BTreeMap;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};

use super::{LeaderboardRow, RunData};

/// Peers that are listed one by one: all where there are no more than `ALL`, else the best paid.
const ALL: usize = 20;
const BEST: usize = 10;

const LEGEND: &str =
    "final pay: mean share of a round's pay, last tenth of the rounds; aggregated, failed: share of all rounds";

/// How tables are ruled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Box-drawing characters, for a terminal.
    Terminal,
    /// Markdown, for a file or a pipe.
    Plain,
}

/// All tables of a run, and where its files are.
pub fn summary(run: &RunData, root: &Path, look: Look) -> String {
    let (rows, rounds) = (&run.leaderboard, run.manifest.rounds_done);
    let mut parts = Vec::new();
    if !run.manifest.central {
        parts.push(format!("Who was paid, by behaviour\n{}", by_behaviour(rows, rounds, look)));
        parts.push(format!("{}\n{}\n{LEGEND}", peers_title(rows.len()), by_peer(rows, rounds, look)));
    }
    parts.push(format!("Held-out loss (nats per token)\n{}", losses(run, look)));
    if let Some(digest) = run.manifest.digest {
        parts.push(format!("digest {digest}"));
    }
    let files = if run.manifest.central { "" } else { ", leaderboard.csv, peers.csv, rounds.csv" };
    let baseline = if run.baseline.is_empty() { "" } else { ", baseline.csv" };
    parts.push(format!("{}: manifest.json{files}{baseline}, plots/, report.html", root.display()));
    parts.join("\n\n")
}

fn peers_title(peers: usize) -> String {
    if peers <= ALL { "Who was paid, by peer".into() } else { format!("The {BEST} best paid of {peers} peers") }
}

/// One line a behaviour, the best paid a peer first. `rounds` is what the shares of rounds are of.
pub fn by_behaviour(rows: &[LeaderboardRow], rounds: u64, look: Look) -> String {
    let mut groups: BTreeMap<&str, Vec<&LeaderboardRow>> = BTreeMap::new();
    for row in rows {
        groups.entry(&row.behaviour).or_default().push(row);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    let each = |rows: &[&LeaderboardRow]| mean(rows.iter().map(|row| row.incentive_final));
    groups.sort_by(|a, b| each(&b.1).total_cmp(&each(&a.1)));

    let mut table = Ruled::new(
        look,
        1,
        &["behaviour", "peers", "final pay of one", "pay in all", "rating mu", "proof", "aggregated", "failed"],
    );
    for (label, group) in groups {
        let rounds_of_all = (rounds * group.len() as u64) as f64;
        table.line([
            label.to_string(),
            group.len().to_string(),
            percent(each(&group)),
            percent(group.iter().map(|row| row.incentive_total).sum()),
            digits(mean(group.iter().filter_map(|row| row.rating_mu)), 1),
            digits(mean(group.iter().filter_map(|row| row.proof_of_computation)), 2),
            percent(group.iter().map(|row| row.rounds_aggregated).sum::<u64>() as f64 / rounds_of_all),
            percent(group.iter().map(|row| row.rounds_failed).sum::<u64>() as f64 / rounds_of_all),
        ]);
    }
    table.text()
}

/// One line a peer, in the order given; of more than 20 the first ten.
pub fn by_peer(rows: &[LeaderboardRow], rounds: u64, look: Look) -> String {
    let listed = if rows.len() <= ALL { rows.len() } else { BEST };
    let mut table = Ruled::new(
        look,
        2,
        &["uid", "behaviour", "final pay", "pay in all", "score", "rating", "proof", "aggregated", "failed"],
    );
    for row in &rows[..listed] {
        let rating = match (row.rating_mu, row.rating_sigma) {
            (Some(mu), Some(sigma)) => format!("{} ± {}", digits(mu, 1), digits(sigma, 1)),
            _ => NONE.into(),
        };
        table.line([
            row.uid.to_string(),
            row.behaviour.clone(),
            percent(row.incentive_final),
            percent(row.incentive_total),
            digits(row.peer_score.unwrap_or(f64::NAN), 2),
            rating,
            digits(row.proof_of_computation.unwrap_or(f64::NAN), 2),
            percent(row.rounds_aggregated as f64 / rounds as f64),
            percent(row.rounds_failed as f64 / rounds as f64),
        ]);
    }
    table.text()
}

/// The loss at the start and after each quarter of the rounds, AdamW's beside it; then what simpler models reach.
pub fn losses(run: &RunData, look: Look) -> String {
    let network: Vec<_> = run.rounds.iter().map(|row| (row.round, row.loss)).collect();
    let baseline: Vec<_> = run.baseline.iter().map(|row| (row.round, row.loss)).collect();
    let start = run.manifest.initial_loss.unwrap_or(f64::NAN);
    let mut table = Ruled::new(look, 0, &["rounds done", "network", "AdamW", "difference"]);
    let mut line = |done: String, ours: f64, adamw: f64| {
        let difference = if (ours - adamw).is_finite() { format!("{:+.4}", ours - adamw) } else { NONE.into() };
        table.line([done, digits(ours, 4), digits(adamw, 4), difference]);
    };
    line("0".into(), start, if baseline.is_empty() { f64::NAN } else { start });
    let rounds = run.manifest.rounds_done;
    let mut shown = 0;
    for quarter in 1..=4 {
        let done = rounds * quarter / 4;
        if done > shown {
            line(done.to_string(), last_measured(&network, done), last_measured(&baseline, done));
            shown = done;
        }
    }
    let references = run.manifest.references;
    for (name, loss) in [("bigram", references.bigram), ("entropy floor", references.entropy_floor)] {
        if let Some(loss) = loss {
            table.line([name.into(), digits(loss, 4), String::new(), String::new()]);
        }
    }
    table.text()
}

/// The last loss measured when so many rounds were done; NaN where none was.
fn last_measured(losses: &[(u64, Option<f64>)], done: u64) -> f64 {
    losses.iter().take_while(|(round, _)| *round < done).filter_map(|(_, loss)| *loss).last().unwrap_or(f64::NAN)
}

const NONE: &str = "-";

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", 100.0 * share) } else { NONE.into() }
}

fn digits(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    let text = format!("{value:.digits$}");
    // No minus before a zero.
    if text.trim_start_matches(['-', '0', '.']).is_empty() { text.trim_start_matches('-').into() } else { text }
}

/// A table whose columns of numbers are flush right.
struct Ruled(Table);

impl Ruled {
    /// `words`: the one column that is not of numbers, counted from 1; 0: none.
    fn new(look: Look, words: usize, titles: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(match look {
            Look::Terminal => presets::UTF8_FULL_CONDENSED,
            Look::Plain => presets::ASCII_MARKDOWN,
        });
        table.set_header(titles);
        for (index, column) in table.column_iter_mut().enumerate() {
            let side = if index + 1 == words { CellAlignment::Left } else { CellAlignment::Right };
            column.set_cell_alignment(side);
        }
        Self(table)
    }

    fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }

    fn text(self) -> String {
        self.0.to_string()
    }
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
            peer_score: Some(12.345),
            rating_mu: Some(30.04),
            rating_sigma: Some(1.26),
            proof_of_computation: Some(-0.001),
            rounds_aggregated: 30,
            rounds_failed: 1,
        }
    }

    #[test]
    fn behaviours_are_ranked_by_the_pay_of_one_peer() {
        let unknown = LeaderboardRow {
            rating_mu: None,
            rating_sigma: None,
            peer_score: None,
            proof_of_computation: None,
            ..row(4, "late", 0.0)
        };
        let rows = [row(1, "honest", 0.2), row(2, "honest", 0.4), row(3, "honest x2", 0.4), unknown];
        insta::assert_snapshot!(by_behaviour(&rows, 120, Look::Plain), @"
        | behaviour | peers | final pay of one | pay in all | rating mu | proof | aggregated | failed |
        |-----------|-------|------------------|------------|-----------|-------|------------|--------|
        | honest x2 |     1 |          40.00 % |    20.00 % |      30.0 |  0.00 |    25.00 % | 0.83 % |
        | honest    |     2 |          30.00 % |    30.00 % |      30.0 |  0.00 |    25.00 % | 0.83 % |
        | late      |     1 |           0.00 % |     0.00 % |         - |     - |    25.00 % | 0.83 % |
        ");
        insta::assert_snapshot!(by_peer(&rows, 120, Look::Terminal), @"
        ┌─────┬───────────┬───────────┬────────────┬───────┬────────────┬───────┬────────────┬────────┐
        │ uid ┆ behaviour ┆ final pay ┆ pay in all ┆ score ┆     rating ┆ proof ┆ aggregated ┆ failed │
        ╞═════╪═══════════╪═══════════╪════════════╪═══════╪════════════╪═══════╪════════════╪════════╡
        │   1 ┆ honest    ┆   20.00 % ┆    10.00 % ┆ 12.35 ┆ 30.0 ± 1.3 ┆  0.00 ┆    25.00 % ┆ 0.83 % │
        │   2 ┆ honest    ┆   40.00 % ┆    20.00 % ┆ 12.35 ┆ 30.0 ± 1.3 ┆  0.00 ┆    25.00 % ┆ 0.83 % │
        │   3 ┆ honest x2 ┆   40.00 % ┆    20.00 % ┆ 12.35 ┆ 30.0 ± 1.3 ┆  0.00 ┆    25.00 % ┆ 0.83 % │
        │   4 ┆ late      ┆    0.00 % ┆     0.00 % ┆     - ┆          - ┆     - ┆    25.00 % ┆ 0.83 % │
        └─────┴───────────┴───────────┴────────────┴───────┴────────────┴───────┴────────────┴────────┘
        ");
    }

    #[test]
    fn of_many_peers_the_best_are_listed() {
        let rows: Vec<_> = (0..21).map(|uid| row(uid, "honest", 0.01)).collect();
        assert_eq!(by_peer(&rows, 120, Look::Plain).lines().count(), 2 + BEST);
        assert_eq!(by_peer(&rows[..20], 120, Look::Plain).lines().count(), 2 + 20);
    }

    #[test]
    fn losses_stand_beside_the_baseline() {
        let mut run = sample::copycat();
        for row in &mut run.rounds {
            row.loss = row.loss.map(|_| 2.0 + 1.0 / (row.round + 1) as f64);
        }
        for row in &mut run.baseline {
            row.loss = Some(2.0);
        }
        insta::assert_snapshot!(losses(&run, Look::Plain), @"
        |   rounds done | network |  AdamW | difference |
        |---------------|---------|--------|------------|
        |             0 |  5.5500 | 5.5500 |    +0.0000 |
        |            37 |  2.0286 | 2.0000 |    +0.0286 |
        |            75 |  2.0133 | 2.0000 |    +0.0133 |
        |           112 |  2.0091 | 2.0000 |    +0.0091 |
        |           150 |  2.0067 | 2.0000 |    +0.0067 |
        |        bigram |  2.3010 |        |            |
        | entropy floor |  1.3860 |        |            |
        ");
        run.baseline.clear();
        run.manifest.rounds_done = 2;
        assert_eq!(losses(&run, Look::Plain).matches("| -").count(), 0);
    }

    #[test]
    fn the_summary_says_where_the_files_are() {
        let run = sample::copycat();
        let text = summary(&run, Path::new("runs/copycat-1"), Look::Terminal);
        assert!(text.contains("runs/copycat-1: manifest.json") && text.contains("baseline.csv"), "{text}");
        assert!(text.contains("Who was paid, by peer"));
        let many = sample::network(30, 12, 1);
        assert!(summary(&many, Path::new("x"), Look::Plain).contains("The 10 best paid of 30 peers"));
    }
}
