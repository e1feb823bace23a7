//! The library's advice names options and commands of the command line; Python has arguments and functions of the same names.

use pyo3::prelude::*;

/// Options that are arguments here. A test compares them with the functions' signatures, and with what the library's messages name.
const ARGUMENTS: [&str; 9] = ["out", "seed", "seeds", "rounds", "round", "budget", "threads", "device", "mfu"];
/// Options without a value.
const FLAGS: [&str; 1] = ["control"];
/// Options that stand before a setting.
const SETTINGS: [&str; 2] = ["set", "grid"];
/// Commands that are functions here.
const FUNCTIONS: [&str; 7] = ["run", "resume", "sweep", "attack", "compare", "plan", "explain"];

/// A message in Python's words. What Python does not have stays as it is.
#[pyfunction]
pub fn in_python_words(message: &str) -> String {
    options(&commands(message)).replace("same command", "same call")
}

/// `sim run SCENARIO` between backticks is gauntlet.run(...).
fn commands(message: &str) -> String {
    let mut told = String::new();
    for (nth, part) in message.split('`').enumerate() {
        let is_quoted = nth % 2 == 1;
        let name = part.strip_prefix("sim ").and_then(|rest| rest.split(' ').next());
        match name.filter(|name| is_quoted && FUNCTIONS.contains(name)) {
            Some(name) => told += &format!("gauntlet.{name}(...)"),
            None if is_quoted && message.matches('`').count() > nth => told += &format!("`{part}`"),
            None if is_quoted => told += &format!("`{part}"),
            None => told += part,
        }
    }
    told
}

/// `--out DIR` is out=..., `--resume` is gauntlet.resume(...), `--set key=value` is set: key=value.
fn options(message: &str) -> String {
    let mut told = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("--") {
        let (before, option) = rest.split_at(at);
        let name = option[2..].split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default();
        let after = &option[2 + name.len()..];
        told += before;
        if SETTINGS.contains(&name) && after.starts_with(' ') {
            told += &format!("{name}:");
            rest = after;
        } else if name == "resume" {
            told += "gauntlet.resume(...)";
            rest = after;
        } else if FLAGS.contains(&name) {
            told += &format!("{name}=True");
            rest = after;
        } else if ARGUMENTS.contains(&name) {
            told += &format!("{name}=");
            // The word in capitals stands for a value.
            let value = after.strip_prefix(' ').unwrap_or(after);
            let word = value.len() - value.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
            let is_value = after.starts_with(' ') && value.starts_with(|c: char| c.is_ascii_digit());
            match (word > 0, is_value) {
                (_, true) => rest = value,
                (true, _) => {
                    told += "...";
                    rest = &value[word..];
                }
                (false, _) => {
                    told += "...";
                    rest = after;
                }
            }
        } else {
            told += &option[..2 + name.len()];
            rest = after;
        }
    }
    told + rest
}
