//! Checks that every `sim ...` command of README and docs is accepted as written: options, scenarios, and settings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{ArgMatches, CommandFactory};
use gauntlet::lab::sweep::Axis;
use gauntlet::scenario;
use gauntlet::words::GLOSSARY;

use super::Cli;

/// Stands for a validator's hotkey in the documents.
const HOTKEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

/// Functions that print the words of a command in place of running it: a line a word, and an empty line at the end.
const PRINT: &str = "sim() { printf '%s\\n' \"$@\" ''; }\ncargo() { while [ \"$1\" != -- ]; do [ $# -gt 0 ] || return 0; shift; done; shift; \
                     sim \"$@\"; }\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and the pages of docs/.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// Each indented block of a page.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.lines() {
        match line.strip_prefix("    ") {
            Some(code) => *blocks.last_mut().unwrap() += &format!("{code}\n"),
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| block.contains("sim ") || block.contains("cargo run"));
    blocks
}

/// The words of all commands of a block, as a shell passes them on. The shell finds no other program, so that it runs nothing.
fn commands(block: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("/bin/bash");
    shell.args(["--noprofile", "--norc", "-c", &format!("{PRINT}{block}")]);
    let output = shell.env_clear().env("PATH", "/nonexistent").current_dir(folder.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let words = |command: &str| command.lines().map(str::to_string).collect();
    printed
        .split("\n\n")
        .map(|command| command.trim_matches('\n'))
        .filter(|command| !command.is_empty())
        .map(words)
        .collect()
}

/// The options of the command that was called, in place of those of the whole program.
fn innermost(mut matches: ArgMatches) -> ArgMatches {
    while let Some((_, inner)) = matches.remove_subcommand() {
        matches = inner;
    }
    matches
}

fn many<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Vec<T> {
    matches.try_get_many::<T>(id).ok().flatten().into_iter().flatten().cloned().collect()
}

/// What is wrong with a command, if anything.
fn problem(words: &[String]) -> Option<String> {
    let words = words.iter().map(|word| word.replace("HOTKEY", HOTKEY).replace("=...", "=1e-3"));
    let matches = match Cli::command().try_get_matches_from(["sim".to_string()].into_iter().chain(words)) {
        Ok(matches) => innermost(matches),
        Err(error) => return Some(error.to_string()),
    };
    let mut runs = ["run", "runs"].into_iter().flat_map(|id| many::<PathBuf>(&matches, id));
    if let Some(path) = runs.find(|path| path.starts_with("runs/published") && !root().join(path).exists()) {
        return Some(format!("{} is not there", path.display()));
    }
    let path = match many::<PathBuf>(&matches, "scenario").first()?.to_str().unwrap() {
        "SCENARIO" | "SCENARIO.toml" => PathBuf::from("copycat"),
        path if path.contains('/') => root().join(path),
        name => PathBuf::from(name),
    };
    let grids: Vec<String> = many(&matches, "grids");
    let axes = match grids.iter().map(|grid| Axis::parse(grid)).collect::<Result<Vec<_>, _>>() {
        Ok(axes) => axes,
        Err(error) => return Some(error.to_string()),
    };
    let mut settings: Vec<String> = many(&matches, "overrides");
    settings.extend(axes.iter().map(|axis| axis.setting(0)));
    // Each value of a grid, with the first ones of the other grids.
    let values = axes.iter().flat_map(|axis| (1..axis.values.len()).map(move |value| axis.setting(value)));
    let mut each = vec![settings.clone()];
    each.extend(values.map(|value| [&settings[..], &[value]].concat()));
    each.iter().find_map(|settings| scenario::load(&path, settings).err()).map(|error| error.to_string())
}

#[test]
fn every_command_of_the_documents_is_accepted() {
    let mut wrong = Vec::new();
    let (mut known, mut count) = (BTreeSet::new(), 0);
    for page in pages() {
        for block in blocks(&std::fs::read_to_string(&page).unwrap()) {
            for words in commands(&block) {
                count += 1;
                known.extend(words.first().cloned());
                wrong.extend(
                    problem(&words).map(|problem| format!("{}: sim {}: {problem}", page.display(), words.join(" "))),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let expected = [
        "attack", "compare", "eval", "export", "genesis", "import", "key", "launch", "plan", "run", "sweep", "tokenize",
    ];
    assert!(count > 50 && expected.iter().all(|name| known.contains(*name)), "{count} commands: {known:?}");
}

#[test]
fn the_readme_explains_the_words_of_the_program() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, words) = readme.split_once("\n## Words\n").unwrap();
    let words: Vec<&str> =
        words.lines().take_while(|line| !line.starts_with('#')).filter_map(|line| line.split('|').nth(1)).collect();
    let known: Vec<String> = GLOSSARY.iter().map(|(word, _)| format!(" {word} ")).collect();
    assert_eq!(words[2..], known);
}

#[test]
fn a_command_that_would_fail_is_found() {
    for (line, expected) in [
        ("sim run honest --round 3", "unexpected argument '--round'"),
        ("sim run honets", "honets"),
        ("for x in 1 2; do sim run honest --set training.lrr=$x; done", "unknown key `lrr`"),
        ("sim sweep honest --grid peers.7.count=1,2", "`7` is not one of peers"),
        ("sim explain runs/published/nobody-1 --peer 1", "is not there"),
    ] {
        let found: Vec<String> = commands(line).iter().filter_map(|words| problem(words)).collect();
        assert!(found.iter().any(|problem| problem.contains(expected)), "{line}: {found:?}");
    }
    assert_eq!(
        blocks("text\n    sim run a\n    sim run b \\\n        --quiet\n\n    ls\n"),
        ["sim run a\nsim run b \\\n    --quiet\n"]
    );
    let words = commands(
        "for s in 1 2; do\n  sim run a --set \"x=$s y\"\ndone && sim plot b # all\ncargo run -- run c && rm -r d",
    );
    assert_eq!(
        words.iter().map(|words| words.join("|")).collect::<Vec<_>>(),
        ["run|a|--set|x=1 y", "run|a|--set|x=2 y", "plot|b", "run|c"]
    );
}
