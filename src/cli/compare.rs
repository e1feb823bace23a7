//! `sim compare`: puts runs and sweeps beside one another.

use std::path::PathBuf;

use gauntlet::lab::Comparison;
use gauntlet::report;
use serde_json::json;

use super::json::{JsonArgs, say_json};
use super::{plot, say};

#[derive(clap::Args)]
pub struct Args {
    /// Run folders, and folders or URLs of sweeps; runs that differ in the seed only are one group
    #[arg(required = true, value_name = "RUN_OR_SWEEP")]
    places: Vec<String>,
    /// Where the picture goes
    #[arg(long, value_name = "DIR", default_value = "plots")]
    out: PathBuf,
    #[command(flatten)]
    json: JsonArgs,
}

/// Prints the tables and draws the picture.
pub fn compare(args: Args) -> anyhow::Result<()> {
    let comparison = Comparison::read(&args.places)?;
    let file = args.out.join("compare.svg");
    report::write_file(&file, comparison.picture()?.as_bytes())?;
    if args.json.json {
        say_json("compare", json!({ "groups": comparison.figures(), "picture": file }));
    } else {
        say(format_args!("{}\n\n{}", comparison.summary(plot::look()), file.display()));
    }
    Ok(())
}
