//! `sim explain`: tells why a peer was or was not paid.

use std::path::PathBuf;

use gauntlet::Uid;
use gauntlet::report::tables::Look;
use gauntlet::report::{self, explain};
use serde_json::json;

use super::json::{JsonArgs, say_json};
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
    #[command(flatten)]
    json: JsonArgs,
}

/// Explains a peer, or one round of it.
pub fn explain(args: Args) -> anyhow::Result<()> {
    let run = report::load(&args.run)?;
    let slots = report::load_slots(&args.run)?;
    let told = match args.round {
        None => explain::story(&run, &slots, args.peer),
        Some(round) => {
            explain::round(&run, &slots, (args.peer, round), if args.json.json { Look::Plain } else { look() })
        }
    };
    let told = told.map_err(|error| UsageError(error.to_string()))?;
    if args.json.json {
        let rounds = report::json::rounds_of(&run, args.peer, args.round);
        say_json("explain", json!({ "folder": args.run, "uid": args.peer, "text": told, "rounds": rounds }));
    } else {
        say(told);
    }
    Ok(())
}
