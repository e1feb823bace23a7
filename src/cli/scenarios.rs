//! `sim scenarios`: lists the shipped scenarios.

use gauntlet::scenario::shipped;
use serde_json::{Value, json};

use super::json::{JsonArgs, say_json};
use super::{say, terminal};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    json: JsonArgs,
}

/// Lists the shipped scenarios, one per line; a terminal gets more lines for what does not fit into one.
pub fn list(args: Args) -> anyhow::Result<()> {
    let scenarios = shipped();
    if args.json.json {
        let each = scenarios
            .iter()
            .map(|scenario| json!({ "name": scenario.name, "file": scenario.file(), "summary": scenario.summary() }));
        say_json("scenarios", json!({ "scenarios": each.collect::<Vec<Value>>() }));
        return Ok(());
    }
    let width = scenarios.iter().map(|scenario| scenario.file().len()).max().unwrap_or(0);
    let columns = terminal::columns_of_output().map_or(usize::MAX, usize::from);
    for scenario in scenarios {
        say(terminal::listed(&format!("{:width$}  ", scenario.file()), &scenario.summary(), columns));
    }
    Ok(())
}
