//! `sim attack`: searches for strategies that a mechanism pays for less than honest work.

use std::path::Path;

use clap_complete::engine::ArgValueCandidates;
use gauntlet::bucket;
use gauntlet::lab::attack::{Arena, Recorded, Search};
use gauntlet::lab::{Event, PoolOptions, Shard, Shelf};

use super::networks::Networks;
use super::{UsageError, complete, interrupt, open, say};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// Search against another mechanism with its defaults, as `--set mechanism=KIND` does
    #[arg(long, value_name = "KIND", add = ArgValueCandidates::new(complete::mechanisms))]
    mechanism: Option<String>,
    /// Maximum number of networks; a larger budget continues the search of a smaller one
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = budget)]
    budget: usize,
    /// Seed of the search: it decides which strategies are tried, and the seeds of the networks
    #[arg(long, value_name = "S", default_value_t = 1)]
    search_seed: u64,
    /// Networks that run at the same time; findings do not depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Run part I of N of the networks, and wait for the other parts, which run elsewhere with the same --out
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Folder or bucket of the search [default: runs/attack-<scenario>-<mechanism>-<seed>]
    #[arg(long, value_name = "DIR|URL")]
    out: Option<String>,
    /// Print no progress line
    #[arg(long, short)]
    quiet: bool,
}

fn budget(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("a search needs one network at least".into()),
        Ok(budget) => Ok(budget),
        Err(_) => Err("expected how many networks it may run, such as 2000".into()),
    }
}

/// Searches and prints the report.
pub fn attack(args: Args) -> anyhow::Result<()> {
    let mechanism: Vec<String> = args.mechanism.iter().map(|kind| format!("mechanism={kind}")).collect();
    let scenario = args.scenario.load_with(&mechanism, &[])?;
    let Some(arena) = Arena::new(&scenario) else {
        let message = "the scenario has no group of honest [[peers]]; a search needs some to measure strategies by";
        anyhow::bail!(UsageError(message.into()));
    };
    let mechanism = scenario.registry.mechanisms.kind_of(&scenario.mechanism);
    let default = || Path::new("runs").join(format!("attack-{}-{mechanism}-{}", scenario.name, args.search_seed));
    let out = args.out.unwrap_or_else(|| default().display().to_string());
    let shelf = Shelf::new(&bucket::open(&out, true)?);
    let networks = Networks::new(Some(args.budget), args.quiet);
    let progress = |event: Event<'_>| networks.tell(event);
    let pool = PoolOptions {
        threads: open::threads(args.threads, "cpu"),
        shard: args.shard,
        interrupt: interrupt::on_stop_of("the networks in progress"),
        progress: &progress,
    };
    let stage = |before: usize, words: &str| networks.batch(before, words);
    let search =
        Search { arena: &arena, budget: args.budget, seed: args.search_seed, shelf: &shelf, pool, stage: &stage };
    let recorded = search.record(&scenario);
    networks.finish();
    match recorded? {
        Some(Recorded { report, files, .. }) => {
            say(report);
            say(format_args!("{out}: {}", files.join(", ")));
        }
        None => {
            say(format_args!("stopped; what was run is in {out}, and the same command resumes"));
            return Err(interrupt::StoppedError::told());
        }
    }
    Ok(())
}
