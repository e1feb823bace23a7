//! `sim scenarios`: lists the shipped scenarios.

use gauntlet::scenario::shipped;

use super::say;

/// Lists the shipped scenarios, one per line.
pub fn list() -> anyhow::Result<()> {
    let scenarios = shipped();
    let width = scenarios.iter().map(|scenario| scenario.file().len()).max().unwrap_or(0);
    for scenario in scenarios {
        say(format_args!("{:width$}  {}", scenario.file(), scenario.summary()));
    }
    Ok(())
}
