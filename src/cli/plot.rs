//! `sim plot`

use std::io::IsTerminal;
use std::path::PathBuf;

use gauntlet::report::{self, RunData, plots, tables::Look};

#[derive(clap::Args)]
pub struct Args {
    /// Run folders: one is drawn again in its own plots/, several are compared
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
    /// Where the picture of several runs goes
    #[arg(long, value_name = "FILE", default_value = "plots/compare.svg")]
    out: PathBuf,
}

/// Draws one run again, or several on one set of axes.
pub fn plot(args: Args) -> anyhow::Result<()> {
    if let [run] = args.runs.as_slice() {
        report::redraw(run)?;
        println!("{}, {}", run.join("plots").display(), run.join("report.html").display());
        return Ok(());
    }
    let runs: Vec<RunData> = args.runs.iter().map(|run| report::load(run)).collect::<Result<_, _>>()?;
    let picture = plots::loss(&runs.iter().collect::<Vec<_>>())?;
    report::write_file(&args.out, picture.as_bytes())?;
    println!("{}", args.out.display());
    Ok(())
}

/// Tables for a person, or for a file.
pub fn look() -> Look {
    if std::io::stdout().is_terminal() { Look::Terminal } else { Look::Plain }
}
