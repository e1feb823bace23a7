//! `sim storm`: runs a network under faults drawn from seeds, and checks what must hold afterwards.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gauntlet::storm::batch::{Batch, FILE, Row};
use gauntlet::storm::{Field, run, shrink, table};
use gauntlet::words::counted;

use super::interrupt::StoppedError;
use super::progress::Line;
use super::{UsageError, interrupt, open, plot, say};

/// Most storms that are made smaller; the others break the same, most likely.
const MOST_SHRUNK: usize = 3;
/// Broken invariants that are told of a storm.
const MOST_TOLD: usize = 5;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// Seeds of the storms, the last one left out: each draws its own faults
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    seeds: Range<u64>,
    /// Keep only these faults of each storm, by their numbers, such as `3,9`; `none` for a calm
    #[arg(long, value_name = "N,...", value_parser = faults)]
    faults: Option<Kept>,
    /// Storms that run at the same time; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Folder of the table; storms that are in it are not run again [default: runs/<scenario>-storms]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// No progress line and no table
    #[arg(long, short)]
    quiet: bool,
}

/// Faults to keep.
#[derive(Clone)]
struct Kept(Vec<usize>);

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.filter(|seeds| !seeds.is_empty())
        .ok_or("expected the first seed and the one after the last, such as 0..100".into())
}

fn faults(text: &str) -> Result<Kept, String> {
    let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
    match text {
        "none" => Ok(Kept(Vec::new())),
        _ => numbers.map(Kept).map_err(|_| "expected the numbers of faults, such as 3,9, or none".into()),
    }
}

/// Runs the storms, and makes those smaller that break something.
pub fn storm(args: Args) -> anyhow::Result<()> {
    let scenario = args.scenario.load()?;
    if scenario.rounds < 8 {
        anyhow::bail!(UsageError(format!(
            "rounds is {}; a storm and the calm after it need 8 or more",
            scenario.rounds
        )));
    }
    let out = args.out.unwrap_or_else(|| PathBuf::from(format!("runs/{}-storms", scenario.name)));
    let field = Field::open(scenario)?;
    let interrupt = interrupt::on_stop_of("the storms under way");
    let (began, of) = (Instant::now(), args.seeds.end - args.seeds.start);
    let line = Mutex::new(Line::new(of, "storm {pos}/{len}", args.quiet));
    let progress = |row: &Row, done: u64| {
        let mut line = line.lock().expect("no panic while held");
        line.bar.set_position(done);
        if !row.broken.is_empty() {
            line.bar.suspend(|| eprintln!("seed {} breaks: {}", row.seed, row.broken.join("; ")));
        }
        if line.is_due() {
            line.say(&format!("storm {done}/{of}"), &[]);
        }
    };
    let batch = Batch {
        field: &field,
        seeds: args.seeds.clone(),
        faults: args.faults.map(|kept| kept.0),
        threads: open::threads(args.threads, "cpu"),
        folder: out.clone(),
        interrupt: &interrupt,
        progress: &progress,
    };
    let rows = batch.run()?;
    line.lock().expect("no panic while held").finish();
    if !args.quiet {
        say(table::of(&rows, plot::look()));
        eprintln!(
            "{} in {:.0} s; {}",
            counted(rows.len() as u64, "storm"),
            began.elapsed().as_secs_f64(),
            out.join(FILE).display()
        );
    }
    let broken: Vec<&Row> = rows.iter().filter(|row| !row.broken.is_empty()).collect();
    for row in broken.iter().take(MOST_SHRUNK).filter(|_| !interrupt.load(Ordering::Relaxed)) {
        let faults = batch.faults_of(row.seed);
        let outcome = run(&field, row.seed, faults.clone());
        let (fewer, outcome) = shrink(&field, outcome, faults);
        let numbers: Vec<String> = fewer.iter().map(|fault| fault.index.to_string()).collect();
        let numbers = if numbers.is_empty() { "none".into() } else { numbers.join(",") };
        let seed = row.seed;
        let storm = format!("{} --seeds {seed}..{}", args.scenario.words(), seed + 1);
        say(format_args!("\nsim storm {storm} --faults {numbers}"));
        fewer.iter().for_each(|fault| say(format_args!("  fault {fault}")));
        outcome.broken.iter().take(MOST_TOLD).for_each(|broken| say(format_args!("  breaks {broken}")));
    }
    if !broken.is_empty() {
        anyhow::bail!("{} of {} broke what must hold", broken.len(), counted(rows.len() as u64, "storm"));
    }
    if (rows.len() as u64) < of {
        return Err(StoppedError(format!(
            "stopped: {} of {of} storms are in {}; the same command resumes",
            rows.len(),
            out.display()
        ))
        .into());
    }
    Ok(())
}
