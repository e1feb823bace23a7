//! Every error, as a user sees it: its whole text, each cause once, in plain words.

mod data;
mod network;
mod runs;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use gauntlet::digest::Digest;
use gauntlet::runtime::bucket::words::told;
use gauntlet::words::plain;

/// An error and its whole text.
type Seen = (Box<dyn Error>, &'static str);

/// One row of a table.
fn seen(error: impl Error + 'static, text: &'static str) -> Seen {
    (Box::new(error), text)
}

/// Errors that no other program can make, and the test that sees each in full.
const WITHIN: [(&str, &str); 6] = [
    ("StateError::Io", "src/runtime/state.rs"),
    ("StateError::InUse", "src/runtime/state.rs"),
    ("StateError::Unfit", "src/runtime/state.rs"),
    ("StoppedError", "tests/cli/stopped.rs"),
    ("UsageError", "tests/cli/commands.rs"),
    ("DivergedError", "tests/cli/resumed.rs"),
];

#[test]
fn each_error_says_its_cause_once_in_plain_words() {
    for (error, expected) in data::all().into_iter().chain(network::all()).chain(runs::all()) {
        let text = named(&plain(&told(&*error)));
        assert_eq!(text, expected, "{error:?}");
        for word in ["usize", "os error", "EOF while", "Err(", "Some(", " None", "panicked", "unwrap", "  "] {
            assert!(!text.contains(word), "{text:?} has {word:?}");
        }
        let mut cause = error.source();
        while let Some(inner) = cause {
            let said = plain(&inner.to_string());
            assert!(text.matches(&said).count() < 2, "{text:?} says {said:?} twice");
            cause = inner.source();
        }
    }
}

/// A text with names in place of hotkeys, digests and this program's version.
fn named(text: &str) -> String {
    let names = [
        ("A", "a".repeat(64)),
        ("B", "b".repeat(64)),
        ("EXPECTED", Digest::of(b"expected").short()),
        ("FOUND", Digest::of(b"found").short()),
        ("PROGRAM", env!("CARGO_PKG_VERSION").to_string()),
    ];
    names.iter().fold(text.to_string(), |text, (name, value)| text.replace(value, name))
}

/// Names of all errors of the program: `WireError::Version`. Those that only pass on another's text are not listed.
fn names(source: &str) -> Vec<String> {
    let (mut names, mut enumeration, mut next) = (Vec::new(), String::new(), false);
    let word = |line: &str| -> String { line.chars().take_while(|c| c.is_alphanumeric()).collect() };
    let mut lines = source.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        if let Some(rest) = line.strip_prefix("pub enum ") {
            enumeration = word(rest);
        } else if let Some(rest) = line.strip_prefix("pub struct ").filter(|_| next) {
            names.push(word(rest));
            next = false;
        } else if bare.starts_with("#[error(") {
            next = !bare.contains("transparent");
            let mut end = line;
            while !end.ends_with(")]") {
                end = lines.next().unwrap_or(")]");
            }
        } else if next && line.starts_with("    ") && bare.starts_with(char::is_uppercase) {
            names.push(format!("{enumeration}::{}", word(bare)));
            next = false;
        }
    }
    names
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push((path.to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_error_is_left_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut source, mut tables) = (Vec::new(), Vec::new());
    walk(&root.join("src"), &mut source);
    walk(&root.join("tests/errors"), &mut tables);
    let all: BTreeSet<String> = source.iter().flat_map(|(_, text)| names(text)).collect();
    assert!(all.len() > 170 && all.contains("WireError::Version") && all.contains("NotAHotkey"), "{}", all.len());
    let within: BTreeSet<&str> = WITHIN.iter().map(|(name, _)| *name).collect();
    let missing: Vec<&String> = all
        .iter()
        .filter(|name| {
            let has = |text: &str| {
                text.match_indices(name.as_str())
                    .any(|(at, _)| !text[at + name.len()..].starts_with(|next: char| next.is_alphanumeric()))
            };
            !within.contains(name.as_str()) && !tables.iter().any(|(_, text)| has(text))
        })
        .collect();
    assert!(missing.is_empty(), "no table has {missing:#?}");
    for (name, file) in WITHIN {
        let text = fs::read_to_string(root.join(file)).unwrap();
        assert!(all.contains(name) && text.contains("#[test]"), "{name} in {file}");
    }
}
