//! The shape of the source: imports point one way, and files stay short.
//!
//! The table in `src/lib.rs` is the order of the modules. Exceptions are listed here, each with a reason; one that no
//! longer occurs fails too, so that the lists can only shrink.

mod made_up;
mod parse;
mod tree;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use tree::{Tree, table, upward};

/// Files that import a module which the table puts further out: the file, the module, why.
const UPWARD: &[(&str, &str, &str)] = &[];

/// Files that import one another: all files of a circle, and why.
const CIRCLES: &[(&[&str], &str)] = &[];

/// Files over 400 lines, and why.
const LONG: &[(&str, &str)] = &[];

/// Fails on what is not a known exception, and on an exception that no longer occurs.
fn only<T: Ord + Debug>(what: &str, found: &BTreeSet<T>, known: &BTreeSet<T>) {
    let new: Vec<&T> = found.difference(known).collect();
    let gone: Vec<&T> = known.difference(found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "{what}: {new:#?}; exceptions to remove, as they no longer occur: {gone:#?}"
    );
}

/// The source of this crate: paths below `src` and texts.
fn read() -> Vec<(String, String)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort();
    found
}

fn crate_tree(files: &[(String, String)]) -> Tree {
    Tree::new(files.iter().map(|(file, text)| (file.as_str(), text.as_str())))
}

#[test]
fn modules_know_only_those_further_in() {
    let files = read();
    let lib = &files.iter().find(|(file, _)| file == "lib.rs").unwrap().1;
    let table = table(lib);
    let declared =
        lib.lines().filter_map(|line| Some(line.strip_prefix("pub mod ")?.trim_end_matches(';').to_string()));
    assert_eq!(table.iter().cloned().collect::<BTreeSet<_>>(), declared.collect(), "modules of the table");
    let known = UPWARD.iter().map(|(from, to, _)| (from.to_string(), to.to_string())).collect();
    only("imports that point up the table of lib.rs", &upward(&crate_tree(&files), &table), &known);
}

#[test]
fn no_files_import_one_another() {
    let known = CIRCLES.iter().map(|(files, _)| {
        let mut files: Vec<String> = files.iter().map(ToString::to_string).collect();
        files.sort();
        files
    });
    only("files that import one another", &crate_tree(&read()).circles(), &known.collect());
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let files = read();
    let silent: Vec<&str> =
        files.iter().filter(|(_, text)| !text.starts_with("//!")).map(|(file, _)| &**file).collect();
    assert!(silent.is_empty(), "files that do not open with //!: {silent:?}");
    let mut lengths: Vec<(usize, &str)> = files.iter().map(|(file, text)| (text.lines().count(), &**file)).collect();
    lengths.sort_unstable();
    let long = lengths.iter().filter(|(lines, _)| *lines > 400).map(|(_, file)| *file).collect();
    only("files over 400 lines", &long, &LONG.iter().map(|(file, _)| *file).collect());
    assert!(lengths[lengths.len() / 2].0 < 200, "the median is {} lines", lengths[lengths.len() / 2].0);
}

/// In a simulation all keys follow from the seed, and secret draws from keys: behaviours draw with it, but do not know it.
#[test]
fn no_behaviour_knows_the_seed() {
    let files = read();
    let behaviours: Vec<_> = files.iter().filter(|(file, _)| file.starts_with("node/behaviour/")).collect();
    assert!(behaviours.len() > 20, "they lie elsewhere now");
    for (file, text) in behaviours {
        let words = parse::tokens(text);
        let knows = words.iter().find(|word| ["known", "from_seed", "Identity"].contains(&word.as_str()));
        assert_eq!(knows, None, "{file}");
    }
}
