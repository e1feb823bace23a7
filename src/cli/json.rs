//! What `--json` prints: one object, in one shape for all commands.

use std::path::Path;

use gauntlet::digest::Digest;
use serde_json::{Value, json};

use super::say;

/// Version of the shape. It goes up when a key gets another meaning or goes away; keys may be added.
pub const FORMAT: u64 = 1;

/// Prints the object of a command: `format`, `command`, and the command's own fields.
pub fn say_json(command: &str, fields: Value) {
    let mut object = json!({ "format": FORMAT, "command": command });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    say(format_args!("{object:#}"));
}

/// What `sim verify` found. `differs`: the first round whose model differs.
pub fn compared(root: &Path, recorded: Digest, now: Digest, differs: Option<u64>) -> Value {
    json!({
        "folder": root,
        "verified": recorded == now,
        "recorded": recorded,
        "now": now,
        "models_differ_from_round": differs,
    })
}

/// The option of commands that print JSON.
#[derive(clap::Args)]
pub struct JsonArgs {
    /// Print one JSON object on standard output instead of text; all else goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// What a command prints at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    Nothing,
    Tables,
    /// JSON, for this command.
    Json(&'static str),
}

impl Printed {
    /// What these options ask for.
    pub fn of(quiet: bool, json: bool, command: &'static str) -> Self {
        match (json, quiet) {
            (true, _) => Self::Json(command),
            (false, true) => Self::Nothing,
            (false, false) => Self::Tables,
        }
    }

    /// Tells a person something: on standard error if standard output is for a program.
    pub fn note(self, text: impl std::fmt::Display) {
        if let Self::Json(_) = self { eprintln!("{text}") } else { say(text) }
    }
}
