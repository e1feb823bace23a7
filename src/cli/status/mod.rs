//! `sim status`: how a real run is doing, from its bucket.

mod screen;
mod snapshot;

use anyhow::bail;
use comfy_table::{CellAlignment, Table, presets};
use gauntlet::node::PeerReport;
use gauntlet::runtime::{Run, bucket};
use std::io::IsTerminal;

use super::{UsageError, block_on, say};
use snapshot::Snapshot;

#[derive(clap::Args)]
pub struct Args {
    /// Bucket of the run
    #[arg(long, value_name = "URL")]
    bucket: String,
    /// Stay, and show what changes; q ends it
    #[arg(long, short)]
    watch: bool,
}

const COLUMNS: [&str; 9] = ["uid", "hotkey", "status", "paid", "score", "mu", "sigma", "proof", "aggregated"];

/// Shows the newest round, once or as it goes.
pub fn status(args: Args) -> anyhow::Result<()> {
    let run = block_on(Run::read(bucket::open(&args.bucket, false)?))?;
    if args.watch {
        if !std::io::stdout().is_terminal() {
            bail!(UsageError("--watch needs a terminal; without it the status is printed once".into()));
        }
        return screen::watch(&run);
    }
    let snapshot = block_on(Snapshot::read(&run))?;
    snapshot.heading().iter().for_each(say);
    let peers = snapshot.peers();
    if !peers.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(COLUMNS);
        for peer in peers {
            table.add_row(cells(peer));
        }
        table.column_iter_mut().skip(3).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        say(format_args!("\n{table}"));
    }
    Ok(())
}

/// A peer's line, as [`COLUMNS`].
fn cells(peer: &PeerReport) -> [String; 9] {
    [
        peer.uid.to_string(),
        peer.hotkey.to_string()[..12].to_string(),
        peer.status.to_string(),
        format!("{:.2} %", 100.0 * peer.incentive),
        format!("{:.3}", peer.peer_score),
        format!("{:.2}", peer.rating_mu),
        format!("{:.2}", peer.rating_sigma),
        format!("{:.2}", peer.proof_of_computation),
        if peer.aggregated { "yes" } else { "" }.into(),
    ]
}
