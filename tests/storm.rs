//! Storms that run before a change lands: a hundred that are always the same, and twenty that are new with each commit.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use assert_cmd::cargo::cargo_bin;
use gauntlet::scenario;
use gauntlet::storm::batch::{Batch, FILE, Row};
use gauntlet::storm::{Field, run, shrink};

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Runs storms, and says of those that break something how to repeat them.
fn nothing_breaks_in(seeds: std::ops::Range<u64>, settings: &[String]) {
    let field = Field::open(scenario::load("scenarios/storm.toml", settings).unwrap()).unwrap();
    let (folder, interrupt) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let batch = Batch {
        field: &field,
        seeds,
        faults: None,
        threads: threads(),
        folder: folder.path().to_path_buf(),
        interrupt: &interrupt,
        progress: &|_, _| {},
    };
    let rows = batch.run().unwrap();
    let broken: Vec<&Row> = rows.iter().filter(|row| !row.broken.is_empty()).collect();
    if let Some(row) = broken.first() {
        let faults = batch.faults_of(row.seed);
        let outcome = run(&field, row.seed, faults.clone());
        assert_eq!(outcome.digest, row.digest, "the same storm goes another way when it is repeated: {row:?}");
        let (faults, outcome) = shrink(&field, outcome, faults);
        let numbers: Vec<String> = faults.iter().map(|fault| fault.index.to_string()).collect();
        let settings: String = settings.iter().map(|setting| format!(" --set '{setting}'")).collect();
        let (seed, faults) = (row.seed, numbers.join(","));
        let command = format!("sim storm storm{settings} --seeds {seed}..{} --faults {faults}", seed + 1);
        let told: Vec<String> = outcome.broken.iter().map(ToString::to_string).collect();
        panic!("{} of {} storms break something; {command}\n{}", broken.len(), rows.len(), told.join("\n"));
    }
    for kind in ["kill", "kill, together", "errors", "garbled", "behind", "partition", "clock", "litter", "dishonest"] {
        let kind = gauntlet::storm::fault::KINDS.iter().position(|name| *name == kind).unwrap();
        assert!(rows.len() < 50 || rows.iter().any(|row| row.struck[kind] > 0), "a hundred storms without {kind}");
    }
}

#[test]
fn a_hundred_storms_break_nothing() {
    nothing_breaks_in(0..100, &[]);
}

/// The seeds follow from the commit, so that each commit tries others, and a failed one can be tried again.
fn first_of_this_commit() -> u64 {
    let head = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let head =
        head.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    let first = head.and_then(|head| u64::from_str_radix(head.trim(), 16).ok());
    // A copy without its history tries those of the day.
    let today = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs() / 86_400);
    1000 + first.unwrap_or_else(today)
}

#[test]
fn twenty_storms_of_this_commit_break_nothing() {
    let first = first_of_this_commit();
    println!("sim storm storm --seeds {first}..{}", first + 20);
    nothing_breaks_in(first..first + 20, &[]);
}

/// Nor where validators measure losses.
#[test]
fn twenty_storms_without_audits_break_nothing() {
    let (first, other) = (first_of_this_commit(), r#"mechanism={kind="gauntlet",evaluated_per_round=2}"#);
    println!("sim storm storm --set '{other}' --seeds {first}..{}", first + 20);
    nothing_breaks_in(first..first + 20, &[other.to_string()]);
}

fn sim(out: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(cargo_bin!("sim"));
    command.args(["storm", "storm", "--rounds", "12", "--out"]).arg(out).args(args);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[test]
fn a_table_does_not_depend_on_threads_or_on_where_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (done, told) = sim(&one, &["--seeds", "5..9", "--threads", "1"]);
    assert!(done && told.contains("4 storms") && told.contains("0 broken"), "{told}");
    assert!(!told.contains("warning") && !told.contains("error:"), "nodes warn of every fault: {told}");
    // The first two, then all.
    assert!(sim(&two, &["--seeds", "5..7", "--threads", "2"]).0);
    assert!(sim(&two, &["--seeds", "5..9", "--threads", "3"]).0);
    let read = |folder: &Path| std::fs::read_to_string(folder.join(FILE)).unwrap();
    assert_eq!(read(&one), read(&two));
    assert_eq!(read(&one).lines().count(), 5);

    let (done, told) = sim(&two, &["--seeds", "5..9", "--set", "seed=2"]);
    assert!(!done && told.contains("line 2 is no storm of these settings"), "{told}");
    let calm = folder.path().join("calm");
    assert!(sim(&calm, &["--seeds", "5..6", "--faults", "none"]).0);
    assert_ne!(read(&calm).lines().nth(1), read(&one).lines().nth(1));
}

#[test]
fn what_is_wrong_with_the_command_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&["--seeds", "9..9"][..], "expected the first seed and the one after the last"),
        (&["--seeds", "1..2", "--faults", "a"], "expected the numbers of faults"),
        (&["--seeds", "1..2", "--rounds", "4"], "rounds"),
    ] {
        let mut command = Command::new(cargo_bin!("sim"));
        let output = command.args(["storm", "storm", "--out"]).arg(folder.path()).args(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(expected), "{told}");
    }
}
