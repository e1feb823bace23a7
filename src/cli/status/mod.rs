//! `sim status`: shows the state of a real run, from its bucket.

mod screen;
mod snapshot;
mod table;

use anyhow::bail;
use comfy_table::{CellAlignment, Table, presets};
use gauntlet::runtime::{Run, bucket};
use std::io::IsTerminal;

use super::json::{JsonArgs, say_json};
use super::{UsageError, block_on, say, terminal};
use snapshot::Snapshot;

#[derive(clap::Args)]
pub struct Args {
    /// Bucket of the run
    #[arg(long, value_name = "URL")]
    bucket: String,
    /// Keep running and show changes; q quits
    #[arg(long, short, conflicts_with = "json")]
    watch: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// Shows the newest round, once or continuously.
pub fn status(args: Args) -> anyhow::Result<()> {
    let run = block_on(Run::read(bucket::open_patiently(&args.bucket, false)?))?;
    if args.watch {
        if !terminal::can_redraw_output() {
            let needed = "--watch needs a terminal that can redraw its screen; without it the status is printed once";
            bail!(UsageError(needed.into()));
        }
        return screen::watch(&run);
    }
    let snapshot = block_on(Snapshot::read(&run))?;
    if args.json.json {
        say_json("status", snapshot.figures());
        return Ok(());
    }
    snapshot.heading().iter().for_each(say);
    if let Some(report) = snapshot.newest.as_ref().filter(|report| !report.peers.is_empty()) {
        let mut table = Table::new();
        let is_terminal = std::io::stdout().is_terminal();
        table
            .load_style(if is_terminal { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING })
            .set_header(table::titles(report));
        for peer in table::peers(report) {
            table.add_row(table::cells(report, peer));
        }
        table.column_iter_mut().skip(3).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        say(format_args!("\n{table}"));
    }
    Ok(())
}
