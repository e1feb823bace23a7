//! Completion of command lines: the shell asks the program, which knows scenarios, settings and kinds.

use std::ffi::OsStr;

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::Shells;
use gauntlet::scenario::{self, Registry, shipped};

use super::{UsageError, say};

/// The variable by which the shell asks.
pub const VARIABLE: &str = "COMPLETE";

#[derive(clap::Args)]
pub struct Args {
    /// Shell: bash, zsh, fish, elvish or powershell
    #[arg(value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

/// Prints the script that makes a shell ask this program.
pub fn completions(args: Args) -> anyhow::Result<()> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell) else {
        anyhow::bail!(UsageError(format!("{}: no such shell", args.shell)));
    };
    // A program that was called by its name is found by it again.
    let called = std::env::args().next().unwrap_or_default();
    let program = match called.contains(std::path::is_separator) {
        true => std::env::current_exe()?.display().to_string(),
        false => called,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "sim", "sim", &program, &mut script)?;
    say(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

/// Shipped scenarios, folders, and files of TOML.
pub fn scenarios(current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    let named = shipped().into_iter().filter(|scenario| scenario.name.starts_with(&*begun));
    let named = named.map(|scenario| CompletionCandidate::new(scenario.name).help(Some(scenario.summary().into())));
    let is_toml = |path: &std::path::Path| path.extension().is_some_and(|end| end == "toml");
    named.chain(PathCompleter::file().filter(is_toml).complete(current)).collect()
}

/// Settings of `--set` and `--grid`, and the kinds that some of them take.
pub fn settings(current: &OsStr) -> Vec<CompletionCandidate> {
    let begun = current.to_string_lossy();
    let all: Vec<String> = match begun.split_once('=') {
        None => keys().into_iter().map(|key| format!("{key}=")).collect(),
        Some((key, _)) => kinds(key).into_iter().map(|kind| format!("{key}={kind}")).collect(),
    };
    all.into_iter().filter(|setting| setting.starts_with(&*begun)).map(CompletionCandidate::new).collect()
}

/// Kinds of mechanisms.
pub fn mechanisms() -> Vec<CompletionCandidate> {
    Registry::default().mechanisms.names().map(CompletionCandidate::new).collect()
}

/// Devices by their names.
pub fn devices() -> Vec<CompletionCandidate> {
    ["cpu", "cpu-bf16", "cpu-f32", "ndarray", "cuda:0"].map(CompletionCandidate::new).into()
}

/// Settings of groups, which a scenario may have any number of.
const OF_GROUPS: [&str; 9] = [
    "peers.+.behaviour",
    "peers.+.count",
    "peers.last.count",
    "peers.0.count",
    "peers.0.behaviour",
    "operators.+.behaviour",
    "operators.+.uids",
    "validators.+.behaviour",
    "validators.0.behaviour",
];

fn keys() -> Vec<String> {
    let groups = OF_GROUPS.map(String::from);
    let mut keys = [scenario::keys(), groups.into()].concat();
    keys.extend(["mechanism", "scheme"].map(String::from));
    keys.sort();
    keys
}

/// The kinds that a setting may name.
fn kinds(key: &str) -> Vec<String> {
    let registry = Registry::default();
    let names = |names: &mut dyn Iterator<Item = &str>| names.map(str::to_string).collect();
    match key {
        "mechanism" | "mechanism.kind" => names(&mut registry.mechanisms.names()),
        "scheme" | "scheme.kind" => names(&mut registry.schemes.names()),
        "aggregation.weights" => ["equal", "tokens"].map(String::from).into(),
        "aggregation.rule" => names(&mut registry.aggregations.names()),
        _ if !key.ends_with(".behaviour") => Vec::new(),
        _ if key.starts_with("validators.") => names(&mut registry.validator_behaviours.names()),
        _ => names(&mut registry.behaviours.names()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(with: fn(&OsStr) -> Vec<CompletionCandidate>, begun: &str) -> Vec<String> {
        let candidates = with(OsStr::new(begun)).into_iter();
        candidates.map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn settings_and_kinds_are_completed() {
        assert_eq!(completed(settings, "training.l"), ["training.lr="]);
        assert_eq!(completed(settings, "mechanism=loss"), ["mechanism=loss-only"]);
        assert_eq!(completed(settings, "peers.+.behaviour=copy"), ["peers.+.behaviour=copycat"]);
        assert!(completed(settings, "training.lr=").is_empty());
        assert!(completed(scenarios, "copy").starts_with(&["copycat".to_string()]));
    }

    #[test]
    fn every_group_that_is_named_can_be_set() {
        for key in OF_GROUPS {
            let value = if key.ends_with("behaviour") { "honest" } else { "20" };
            let setting = format!("{key}={value}");
            scenario::load("copycat", &[setting]).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
