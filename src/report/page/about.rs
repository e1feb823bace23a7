//! The facts of a run beside its tables: names, progress, reference losses, the mechanism's columns.

use serde::Serialize;

use super::behaviours::Groups;
use super::kept::Kept;
use super::numbers::Number;
use crate::mechanism::{Column, Status};
use crate::report::{RunData, diverged, plots, tables};
use crate::words::counted;

/// The facts of a run.
#[derive(Serialize)]
pub struct About<'a> {
    folder: &'a str,
    name: &'a str,
    summary: &'a str,
    seed: u64,
    rounds: u64,
    done: u64,
    finished: bool,
    /// AdamW alone, without a network.
    central: bool,
    /// The validators' reports of a real network.
    real: bool,
    mechanism: &'a str,
    columns: &'a [Column],
    /// Places in `columns` of the numbers in the leaderboard.
    lasting: Vec<usize>,
    groups: Vec<String>,
    statuses: [&'static str; Status::ALL.len()],
    initial_loss: Number,
    references: [(&'static str, Number); 3],
    baseline: String,
    facts: Vec<(&'static str, String)>,
    diverged: Vec<String>,
    every: u64,
    sampled: bool,
}

impl<'a> About<'a> {
    /// The facts of what is kept.
    pub fn of(kept: &'a Kept, groups: &Groups) -> Self {
        let (run, manifest) = (&kept.run, &kept.run.manifest);
        let scenario = &manifest.scenario;
        let references = &manifest.references;
        Self {
            folder: &run.name,
            name: &scenario.name,
            summary: &scenario.summary,
            seed: manifest.seed,
            rounds: scenario.rounds,
            done: manifest.rounds_done,
            finished: manifest.finished,
            central: manifest.central,
            real: manifest.bucket.is_some(),
            mechanism: scenario.registry.mechanisms.kind_of(&scenario.mechanism),
            columns: &manifest.columns,
            lasting: Column::lasting(&manifest.columns),
            groups: groups.labels.clone(),
            statuses: Status::ALL.map(Status::name),
            initial_loss: manifest.initial_loss.into(),
            references: [
                ("unigram table", references.unigram.into()),
                ("bigram table", references.bigram.into()),
                ("entropy of the source", references.entropy_floor.into()),
            ],
            baseline: plots::adamw(run),
            facts: facts(run),
            diverged: diverged(run).iter().map(ToString::to_string).collect(),
            every: kept.every,
            sampled: kept.is_sampled,
        }
    }
}

/// Names and values, for people.
fn facts(run: &RunData) -> Vec<(&'static str, String)> {
    let manifest = &run.manifest;
    let unfinished = if manifest.finished { "" } else { " (unfinished)" };
    let mut facts = vec![
        ("rounds", format!("{} of {}{unfinished}", manifest.rounds_done, manifest.scenario.rounds)),
        ("parameters", plots::number(manifest.parameters as f64)),
        ("tokens aggregated a round", plots::number(manifest.tokens_per_round as f64)),
        ("a peer's upload", format!("{} bytes", plots::number(manifest.upload_bytes as f64))),
        (
            "real time",
            format!("{:.1} s, {}, {}", manifest.wall_seconds, counted(manifest.threads, "thread"), manifest.device),
        ),
        ("gauntlet", format!("{}, {} {}", manifest.version, manifest.target.arch, manifest.target.os)),
        ("digest", manifest.digest.map_or_else(|| "none yet".into(), |digest| digest.to_string())),
    ];
    facts.extend(tables::equality(run).map(|equality| ("pay of equal honest peers", equality)));
    facts
}
