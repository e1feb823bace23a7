//! `sim sweep`: runs all combinations of some settings.

use clap_complete::engine::ArgValueCompleter;
use gauntlet::bucket;
use gauntlet::lab::sweep::{Axis, Outcome, Plan, Sweep};
use gauntlet::lab::{PoolOptions, Shard};

use super::interrupt::StoppedError;
use super::networks::Networks;
use super::shared::told;
use super::{complete, interrupt, open, plot, say};

/// Most seeds; a larger number is a typing mistake.
const MOST_SEEDS: usize = 10_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    scenario: open::ScenarioArgs,
    /// A setting and the values that it takes, such as `--grid peers.1.count=1,2,4`; with several, all combinations.
    /// Commas within quotes, brackets and braces are part of a value
    #[arg(
        long = "grid",
        value_name = "KEY=VALUE,...",
        required = true,
        add = ArgValueCompleter::new(complete::settings)
    )]
    grids: Vec<String>,
    /// Seeds of each combination: that of the scenario, and those after it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed_count)]
    seeds: usize,
    /// Run each network without its adversaries too
    #[arg(long)]
    control: bool,
    /// Networks that run at the same time; results do not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = open::thread_count)]
    threads: Option<usize>,
    /// Run one of N parts of the networks; the parts meet in the same place
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// A folder, or the URL of a bucket [default: runs/<scenario>-sweep]
    #[arg(long, value_name = "DIR")]
    out: Option<String>,
    /// Print no progress line and no table
    #[arg(long, short)]
    quiet: bool,
}

fn seed_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|seeds| (1..=MOST_SEEDS).contains(seeds));
    count.ok_or(format!("expected 1 to {MOST_SEEDS}"))
}

/// Runs all combinations, or resumes a stopped sweep.
pub fn sweep(args: Args) -> anyhow::Result<()> {
    let base = args.scenario.load()?;
    let axes = args.grids.iter().map(|grid| Axis::parse(grid)).collect::<Result<Vec<_>, _>>()?;
    let load = |settings: &[String]| args.scenario.load_with(&[], settings).map_err(|error| told(&error));
    let plan = Plan::new(axes, args.seeds, args.control, load)?;
    let out = args.out.unwrap_or_else(|| format!("runs/{}-sweep", base.name));
    let sweep = Sweep::begin(plan, &bucket::open(&out, true)?)?;

    let networks = Networks::new(None, args.quiet);
    let options = PoolOptions {
        threads: open::threads(args.threads, "cpu"),
        shard: args.shard,
        interrupt: interrupt::on_stop(),
        progress: &|event| networks.tell(event),
    };
    let outcome = sweep.run(&options, plot::look());
    networks.finish();
    let stopped = options.interrupt.load(std::sync::atomic::Ordering::Relaxed);
    match outcome? {
        Outcome::Whole { summary, files } if !args.quiet => {
            say(format_args!("{summary}\n\n{out}: {}", files.join(", ")));
        }
        Outcome::Whole { .. } => {}
        // A script that runs a part must learn that the part is not done.
        Outcome::Part { there, of } if stopped => {
            let told = format!("stopped: {there} of {of} networks are in {out}; the same command resumes");
            return Err(StoppedError(told).into());
        }
        Outcome::Part { there, of } if !args.quiet => {
            say(format_args!("{there} of {of} networks are in {out}; the part that ends last writes the tables"));
        }
        Outcome::Part { .. } => {}
    }
    Ok(())
}
