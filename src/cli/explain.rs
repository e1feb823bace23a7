//! `sim explain`: tells why a peer was or was not paid.

use std::path::PathBuf;

use gauntlet::Uid;
use gauntlet::report::{self, explain};

use super::plot::look;
use super::{UsageError, say};

#[derive(clap::Args)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// Uid of the peer
    #[arg(long, value_name = "UID")]
    peer: Uid,
    /// This round in detail, beside the peers directly above and below; without it, the story of all rounds
    #[arg(long, value_name = "N")]
    round: Option<u64>,
}

/// Explains a peer, or one round of it.
pub fn explain(args: Args) -> anyhow::Result<()> {
    let run = report::load(&args.run)?;
    let slots = report::load_slots(&args.run)?;
    let told = match args.round {
        None => explain::story(&run, &slots, args.peer),
        Some(round) => explain::round(&run, &slots, (args.peer, round), look()),
    };
    say(told.map_err(|error| UsageError(error.to_string()))?);
    Ok(())
}
