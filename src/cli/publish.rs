//! `sim publish`: writes a small copy of a run's folder.

use std::path::PathBuf;

use gauntlet::report;

use super::say;

#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Keep the peers' rows of every Nth round only
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    peers_every: u64,
}

/// Writes a small copy of a run's folder.
pub fn publish(args: Args) -> anyhow::Result<()> {
    report::publish(&args.run, &args.to, args.peers_every)?;
    say(format_args!("{}: manifest, tables and pictures of {}", args.to.display(), args.run.display()));
    Ok(())
}
