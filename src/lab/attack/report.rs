//! The output of a search: findings as scenarios, trials, the frontier, and a report.

use std::fmt::Write;

use super::archive::OVERHEAD;
use super::arena::{Arena, Played, Stage, Trial};
use super::picture::frontier;
use super::search::{Finding, Found, Search};
use crate::lab::error::LabError;
use crate::lab::statistics::Interval;
use crate::report::tables::{Look, Ruled};
use crate::scenario::Scenario;

/// In place of a number that no network has.
const UNKNOWN: &str = "unknown";

/// The files of a search, by name: `attack.md`, `tried.csv`, `frontier.svg`, and a scenario for each finding.
///
/// # Errors
/// The picture cannot be drawn.
pub fn files(search: &Search, scenario: &Scenario, found: &Found) -> Result<Vec<(String, Vec<u8>)>, LabError> {
    let mut files = Vec::new();
    for (nth, finding) in found.findings.iter().enumerate() {
        let text = finding_scenario(search.arena, scenario, nth + 1, finding)?;
        files.push((finding_file(nth + 1), text.into_bytes()));
    }
    files.push(("tried.csv".into(), tried(search.arena, found)));
    let mechanism = scenario.registry.mechanisms.kind_of(&scenario.mechanism);
    let title = format!("Pay for work under {mechanism}: {}, seed {}", scenario.name, search.seed);
    files.push(("frontier.svg".into(), frontier(found, &title)?.into_bytes()));
    files.push(("attack.md".into(), report(search, scenario, found).into_bytes()));
    Ok(files)
}

fn finding_file(nth: usize) -> String {
    format!("finding-{nth}.toml")
}

/// A finding as a scenario that `sim run` takes.
fn finding_scenario(arena: &Arena, scenario: &Scenario, nth: usize, finding: &Finding) -> Result<String, LabError> {
    let words = arena.space.words(&finding.strategy);
    let seed = finding.seeds.first().copied().unwrap_or_default();
    let network = arena.network(Stage::Whole, &finding.strategy, Played::BySome, seed);
    let mut network = network.map_err(|source| LabError::Strategy { which: words.clone(), source })?;
    network.name = format!("{}-finding-{nth}", scenario.name);
    network.summary = format!("found by a search: {words}");
    let trials = &finding.trials;
    let (pay, work) = (interval(trials, |trial| trial.pay), interval(trials, |trial| trial.work));
    let head = format!(
        "# A strategy that a search found: {words}.\n# Pay {pay} and work {work} of an honest peer's, seeds {}.\n\n",
        listed(&finding.seeds)
    );
    Ok(head + &network.to_toml())
}

/// A line for each strategy of the cheap networks.
fn tried(arena: &Arena, found: &Found) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mean = |trials: &[Trial], of: fn(&Trial) -> f64| {
        (trials.iter().map(of).sum::<f64>() / trials.len() as f64).to_string()
    };
    let mut line = |cells: [String; 5]| writer.write_record(cells).expect("memory takes all");
    line(["strategy", "networks", "pay", "work", "gain"].map(String::from));
    for (strategy, trials) in found.cheap.iter() {
        line([
            arena.space.words(strategy),
            trials.len().to_string(),
            mean(trials, |trial| trial.pay),
            mean(trials, |trial| trial.work),
            mean(trials, Trial::gain),
        ]);
    }
    writer.into_inner().expect("memory takes all")
}

/// The report, as Markdown.
pub fn report(search: &Search, scenario: &Scenario, found: &Found) -> String {
    let (arena, seed) = (search.arena, search.seed);
    let digits = |interval: Option<Interval>, digits| interval.map_or(UNKNOWN.into(), |of| of.text(digits, false));
    let mut text = String::new();
    let mut say = |line: &str| writeln!(text, "{line}").expect("a string takes all");
    let mechanism = scenario.registry.mechanisms.kind_of(&scenario.mechanism);
    say(&format!("# What pays under `{mechanism}`, in `{}`\n", scenario.name));
    say(&format!(
        "{} networks, search seed {seed}; {} strategies of {:.1e} were tried in cheap networks.",
        found.networks,
        found.cheap.strategies(),
        arena.space.size()
    ));
    say(
        "Pay, work and gain are those of one slot that plays the strategy; an honest peer's are 1. Work is tokens trained",
    );
    say(&format!(
        "on. Gain is pay for the cost, of which {:.0} % is a slot without any training. ± is a 95 % interval over the seeds.\n",
        100.0 * OVERHEAD
    ));
    if found.findings.is_empty() {
        say(
            "The budget ended before a strategy was played in the scenario itself. A larger `--budget` goes on from here.",
        );
        return text;
    }
    say("## Findings\n");
    let mut table = Ruled::new(Look::Plain, 2, &["", "strategy", "pay", "work", "gain", "loss"]);
    for (nth, finding) in found.findings.iter().enumerate() {
        let losses: Vec<f64> = finding.losses.iter().flatten().copied().collect();
        table.line([
            (nth + 1).to_string(),
            arena.space.words(&finding.strategy),
            interval(&finding.trials, |trial| trial.pay),
            interval(&finding.trials, |trial| trial.work),
            interval(&finding.trials, Trial::gain),
            loss(Interval::of(&losses), finding.losses.len()),
        ]);
    }
    say(&table.text());
    let file = format!("{}/{}", search.shelf.url().trim_end_matches('/'), finding_file(1));
    say(&format!("\nSeeds {}. To run the first again: `sim run {file}`.\n", listed(&found.findings[0].seeds)));

    say("## What each part of the first is worth\n");
    if found.parts.is_empty() {
        say("No part was dropped or measured: it is honest work, or the budget had ended.\n");
    } else {
        let mut table = Ruled::new(Look::Plain, 1, &["part", "gain with it less gain without it"]);
        found.parts.iter().for_each(|part| table.line([part.words.clone(), digits(part.worth, 2)]));
        say(&table.text());
        say("\nParts that it can do without have been dropped.\n");
    }
    say("## If everybody plays it\n");
    match &found.everybody {
        Err(reason) => say(&format!("Not measured: {reason}.")),
        Ok(everybody) => {
            if everybody.strategy != found.findings[0].strategy {
                say(&format!("With all its parts: {}.\n", arena.space.words(&everybody.strategy)));
            }
            say(&format!(
                "Held-out loss at the end: {} if all peers play it, {} if all are honest; difference {}.",
                loss(everybody.playing, everybody.networks),
                loss(everybody.honest, everybody.networks),
                loss(everybody.difference, everybody.networks)
            ));
        }
    }
    say("\n![frontier](frontier.svg)");
    text
}

fn listed(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn interval(trials: &[Trial], of: fn(&Trial) -> f64) -> String {
    let interval = Interval::of(&trials.iter().map(of).collect::<Vec<_>>());
    interval.map_or(UNKNOWN.into(), |interval| interval.text(2, false))
}

/// A loss over so many networks, of which some may have diverged.
fn loss(interval: Option<Interval>, networks: usize) -> String {
    interval.map_or("none: all networks diverged".into(), |interval| interval.text_of(3, networks))
}
