//! `sim plot`: draws the pictures of runs.

use std::io::IsTerminal;
use std::path::PathBuf;

use gauntlet::report::{self, RunData, plots, tables::Look};

use super::say;

#[derive(clap::Args)]
pub struct Args {
    /// Run folders: one is redrawn in its own plots/, several are compared
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
    /// Folder for the pictures [default: plots/ of the run; plots/ here for several]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Draws one run again, or several on one set of axes.
pub fn plot(args: Args) -> anyhow::Result<()> {
    let pictures = match (args.runs.as_slice(), &args.out) {
        ([run], None) => {
            report::redraw(run)?;
            say(format_args!("{}, {}", run.join("plots").display(), run.join("report.html").display()));
            return Ok(());
        }
        ([run], Some(_)) => plots::all(&report::load(run)?)?,
        (runs, _) => {
            let runs: Vec<RunData> = runs.iter().map(|run| report::load(run)).collect::<Result<_, _>>()?;
            let drawn = plots::compare(&runs.iter().collect::<Vec<_>>())?;
            drawn.into_iter().map(|(name, svg)| (name.to_string(), svg)).collect()
        }
    };
    let out = args.out.unwrap_or_else(|| "plots".into());
    for (name, svg) in pictures {
        let file = out.join(name);
        report::write_file(&file, svg.as_bytes())?;
        say(file.display());
    }
    Ok(())
}

/// The style of tables: for a terminal, or for a file.
pub fn look() -> Look {
    if std::io::stdout().is_terminal() { Look::Terminal } else { Look::Plain }
}
