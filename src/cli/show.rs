//! `sim show`: prints a run's tables again.

use std::path::{Path, PathBuf};

use gauntlet::report::{self, RunData};
use serde_json::{Value, json};

use super::json::{JsonArgs, say_json};
use super::plot::look;
use super::say;

#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    #[command(flatten)]
    json: JsonArgs,
}

/// Prints what a run's folder says: who was paid, the losses, the digest.
pub fn show(args: Args) -> anyhow::Result<()> {
    let data = report::load(&args.run)?;
    if args.json.json {
        say_json("show", of_run(&data, &args.run));
    } else {
        say(report::tables::summary(&data, &args.run, look()));
    }
    Ok(())
}

/// A run for programs: its folder, how it ended, its leaderboard.
pub fn of_run(data: &RunData, root: &Path) -> Value {
    let mut run = report::json::run(data);
    run["folder"] = json!(root);
    run
}
