//! The page on threats keeps its word: each row names tests that exist, or says why it is open and what that costs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gauntlet::model::Device;
use gauntlet::runtime::run::RunError;
use gauntlet::runtime::{Bucket, Run, bucket};
use gauntlet::scenario::{self, World};
use object_store::memory::InMemory;

/// Titles of the tables that list threats, besides `test`, the last one.
const TABLES: [[&str; 3]; 2] = [["could", "what stops it", "in"], ["what", "what happens", "in"]];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(str::trim).collect())
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a word is the name of a file or folder of this repository, rather than of a bucket or a setting.
fn is_path(word: &str) -> bool {
    const TOPS: [&str; 8] = ["src/", "tests/", "docs/", "scenarios/", "deploy/", "fuzz/", "examples/", "benches/"];
    TOPS.iter().any(|top| word.starts_with(top))
}

/// What is wrong with a row: its last cell has no test that exists, or it is open and does not say what that costs.
fn wrong(row: &[&str]) -> Option<String> {
    let (what, last) = (row[0], *row.last()?);
    let is_open = row[1].to_lowercase().contains("**open**");
    if is_open != (last == "open" || last.starts_with("open; ")) {
        return Some(format!("{what}: open in one cell, and not in the other"));
    }
    if is_open && !(row[1].contains("It costs ") && row[1].contains("because")) {
        return Some(format!(
            "{what}: it is open; say why it stays so (because), and what it costs an attacker (It costs)"
        ));
    }
    let tests: Vec<&str> = quoted(last).collect();
    if tests.is_empty() && last != "open" {
        return Some(format!("{what}: no test"));
    }
    let lacks = |test: &&&str| {
        let Some((file, name)) = test.split_once("::") else { return true };
        let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        let after = text.split_once(&format!("fn {name}(")).map(|(before, _)| before);
        // Its attribute stands right before it.
        !after.is_some_and(|before| before.rsplit("\n\n").next().is_some_and(|item| item.contains("test")))
    };
    let missing = tests.iter().find(lacks)?;
    Some(format!("{what}: there is no test {missing}; expected FILE::NAME"))
}

#[test]
fn every_row_names_a_test_or_says_why_it_is_open_and_what_it_costs() {
    let page = std::fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let (mut rows, mut open, mut is_table, mut found) = (0, 0, false, Vec::new());
    for line in page.lines() {
        let Some(row) = cells(line) else {
            is_table = false;
            continue;
        };
        if let [first @ .., "test"] = &row[..] {
            assert!(TABLES.iter().any(|titles| titles == first), "{line}");
            is_table = true;
        } else if is_table && !row[0].starts_with("---") {
            assert_eq!(row.len(), 4, "a bar too many or too few: {line}");
            found.extend(wrong(&row));
            (rows, open) = (rows + 1, open + usize::from(row[3].starts_with("open")));
        } else if row[0] == "could" {
            panic!("a table of threats without tests: {line}");
        }
    }
    assert!(found.is_empty(), "docs/threats.md\n{}", found.join("\n"));
    assert!(rows > 60 && open > 0 && open < rows, "{open} of {rows} rows are open");
    let paths = quoted(&page).filter(|word| is_path(word)).map(|word| word.split("::").next().unwrap_or(word));
    let missing: Vec<&str> = paths.filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "docs/threats.md names files that do not exist: {missing:?}");
}

#[test]
fn rows_that_claim_too_much_are_found() {
    let test = "`tests/threats.rs::rows_that_claim_too_much_are_found`";
    let sound = ["it", "nothing. **Open**, because so. It costs a key", "", "open"];
    assert_eq!(wrong(&sound), None);
    assert_eq!(wrong(&["it", "a check", "", test]), None);
    for (row, expected) in [
        (["it", "a check", "", ""], "no test"),
        (["it", "a check", "", "`tests/threats.rs`"], "expected FILE::NAME"),
        (["it", "a check", "", "`tests/threats.rs::root`"], "there is no test"),
        (["it", "a check", "", "`tests/none.rs::rows`"], "there is no test"),
        (["it", "a check", "", "open"], "open in one cell"),
        (["it", "nothing. **Open**, because so. It costs a key", "", test], "open in one cell"),
        (["it", "nothing. **Open**", "", "open"], "say why it stays so"),
    ] {
        let told = wrong(&row).unwrap_or_default();
        assert!(told.contains(expected), "{row:?}: {told}");
    }
}

/// The URL of a peer's bucket names a bucket, or one of the clouds' own hosts. Nothing else is sent a signed request.
#[test]
fn keys_go_to_no_machine_that_a_url_names() {
    for url in [
        "https://thief.example/bucket",
        "https://s3.amazonaws.com.thief.example/bucket",
        "https://thief.example/s3.amazonaws.com/bucket",
        "https://thiefamazonaws.com/bucket",
        "http://127.0.0.1:9000/bucket",
        "ftp://thief.example/bucket",
    ] {
        assert!(bucket::open(url, false).is_err(), "{url}");
    }
}

fn text(path: &Path) -> World {
    let set = ["rounds=1", "corpus.kind=text", &format!("corpus.path={}", path.display())].map(str::to_string);
    let scenario = scenario::load("scenarios/storm.toml", &set).unwrap();
    World::open(scenario, Device::Cpu).unwrap()
}

/// A genesis that names a file of a node's machine must name its digest too.
#[tokio::test]
async fn a_corpus_must_have_the_digest_of_genesis() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("text");
    std::fs::write(&path, "what everybody may train on. ".repeat(100)).unwrap();
    let world = text(&path);
    let store = std::sync::Arc::new(InMemory::new());
    let bucket = Bucket { store, url: "memory".into(), stamp_resolution: Duration::ZERO, folder: None };
    let (run, _) = Run::create(bucket, &world, Vec::new(), 0).await.unwrap();
    assert!(run.network(Device::Cpu).await.is_ok());
    std::fs::write(&path, "what is on this machine only. ".repeat(100)).unwrap();
    assert!(matches!(run.network(Device::Cpu).await.err(), Some(RunError::Corpus { .. })));
}
