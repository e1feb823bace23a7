//! `sim compare`

use std::path::PathBuf;

use gauntlet::lab::Comparison;
use gauntlet::report;

use super::{plot, say};

#[derive(clap::Args)]
pub struct Args {
    /// Run folders, and folders or URLs of sweeps; runs that differ in the seed only are one group
    #[arg(required = true, value_name = "RUN_OR_SWEEP")]
    places: Vec<String>,
    /// Where the picture goes
    #[arg(long, value_name = "DIR", default_value = "plots")]
    out: PathBuf,
}

/// Prints the tables and draws the picture.
pub fn compare(args: Args) -> anyhow::Result<()> {
    let comparison = Comparison::read(&args.places)?;
    let file = args.out.join("compare.svg");
    report::write_file(&file, comparison.picture()?.as_bytes())?;
    say(format_args!("{}\n\n{}", comparison.summary(plot::look()), file.display()));
    Ok(())
}
