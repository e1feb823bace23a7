//! `sim show`: prints a run's tables again; other commands print them when a run has ended.

use std::path::{Path, PathBuf};

use gauntlet::report::{self, RunData};
use serde_json::{Value, json};

use super::json::{JsonArgs, Printed, say_json};
use super::plot::look;
use super::{DivergedError, say};

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

/// Draws a run and prints its tables, or its JSON.
///
/// # Errors
/// [`DivergedError`], after everything is drawn and printed.
pub fn drawn(root: &Path, printed: Printed) -> anyhow::Result<()> {
    let data = report::redraw(root)?;
    match printed {
        Printed::Nothing => {}
        Printed::Tables => say(report::tables::summary(&data, root, look())),
        Printed::Json(command) => say_json(command, of_run(&data, root)),
    }
    let diverged: Vec<String> = report::diverged(&data).iter().map(ToString::to_string).collect();
    if diverged.is_empty() { Ok(()) } else { Err(DivergedError(diverged.join("\nerror: ")).into()) }
}

/// A run for programs: its folder, how it ended, its leaderboard.
pub fn of_run(data: &RunData, root: &Path) -> Value {
    let mut run = report::json::run(data);
    run["folder"] = json!(root);
    run
}
