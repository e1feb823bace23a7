//! Sweeps: the same bytes however they are run, and what is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use super::stopped::{signal, wait_until};
use super::{Place, told};

/// Two combinations of two seeds, and the two networks without adversaries.
const SWEEP: &str = "sweep net.toml --quiet --rounds 8 --grid peers.1.count=1,2 --seeds 2 --control";

/// Every file below a folder, by its path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else if !name.contains('#') {
            // What a killed process was writing has a `#` in its name, and stays.
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

fn results(place: &Place, sweep: &str) -> usize {
    let names = std::fs::read_dir(place.path(sweep).join("results")).into_iter().flatten().flatten();
    names.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json")).count()
}

/// Starts a sweep and stops it with a signal as soon as there is one network more than before; its exit code and what
/// it said.
fn stopped(place: &Place, words: &str, sweep: &str, with: &str) -> (Option<i32>, String) {
    let before = results(place, sweep);
    let mut child = place.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(&mut child, || results(place, sweep) > before);
    signal(&child, with);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), told(&output))
}

#[test]
fn a_sweep_gives_the_same_bytes_however_it_is_run() {
    let place = Place::new();
    let printed = place.succeed(&format!("{} --threads 2 --out whole", SWEEP.replace(" --quiet", "")));
    for expected in
        ["seeds 3 to 4, 2 combinations", "| peers.1.count | behaviour", "whole: sweep.csv, sweep.md, sweep-pay.svg"]
    {
        assert!(printed.contains(expected), "no {expected:?} in {printed}");
    }
    let whole = files(&place.path("whole"));
    assert_eq!(results(&place, "whole"), 6, "networks that are alike are run once");
    let csv = place.read("whole/sweep.csv");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 2 * 2 * 3, "two combinations, two seeds, three labels: {csv}");
    assert!(lines[0].starts_with("peers.1.count,seed,behaviour,peers,loss,pay,pay_ratio,work,profit,"), "{csv}");
    assert!(lines[1].starts_with("1,3,honest,4,") && lines[12].starts_with("2,4,offline,1,"), "{csv}");
    assert!(place.read("whole/sweep.md").contains(&printed[..printed.find("\n\nwhole: ").unwrap()]));
    for picture in ["whole/sweep-pay.svg", "whole/sweep-loss.svg"] {
        assert!(place.read(picture).starts_with("<svg"), "{picture}");
    }

    // Stopped twice, killed once.
    let words = format!("{SWEEP} --threads 1 --out stopped");
    let (code, said) = stopped(&place, &words, "stopped", "INT");
    assert_eq!(code, Some(130), "a part of an array has to know that it is not done: {said}");
    assert!(
        said.contains("error: stopped: ") && said.contains(" networks are in stopped; the same command resumes"),
        "{said}"
    );
    assert_eq!(stopped(&place, &words, "stopped", "KILL").0, None);
    assert!(results(&place, "stopped") < 6 && !place.path("stopped/sweep.csv").exists());
    place.succeed(&words);
    assert_eq!(files(&place.path("stopped")), whole);

    // In three parts, the first of which says what is missing.
    let part = |nth: usize| place.succeed(&format!("{} --shard {nth}/3 --out parts", SWEEP.replace(" --quiet", "")));
    assert!(part(2).ends_with(" networks are in parts; the part that ends last writes the tables\n"));
    assert_eq!(results(&place, "parts"), 2);
    part(1);
    assert!(!place.path("parts/sweep.csv").exists());
    part(3);
    assert_eq!(files(&place.path("parts")), whole);

    // A damaged result is told and made anew.
    let name = whole.keys().find(|name| name.starts_with("results/")).unwrap();
    let text = place.read(&format!("whole/{name}"));
    std::fs::write(place.path("whole").join(name), text.replacen("\"pay\":0", "\"pay\":1", 1)).unwrap();
    let output = place.sim(&format!("{SWEEP} --out whole"));
    let warning = format!("warning: whole/{name} is damaged (its digest does not match); its network is run again\n");
    assert_eq!((output.status.code(), told(&output)), (Some(0), warning));
    assert_eq!(files(&place.path("whole")), whole);
    for (words, differs) in [
        (SWEEP.replace("1,2", "1,3"), "--grid peers.1.count=1,2 there, --grid peers.1.count=1,3 here"),
        (SWEEP.replace("--seeds 2", "--seeds 3"), "seeds 3 to 4 there, seeds 3 to 5 here"),
        (SWEEP.replace(" --control", ""), "with --control there, without --control here"),
        (format!("{SWEEP} --set training.lr=2e-3"), "training.lr = 0.003 there, training.lr = 0.002 here"),
    ] {
        let whole = format!(
            "error: whole holds another sweep: {differs}; take another place with --out, or give the same command as before\n"
        );
        refused(&place, &format!("{words} --out whole"), &whole);
    }
    assert_eq!(files(&place.path("whole")), whole, "nothing is lost");

    // Beside a run that is shorter.
    place.succeed("run net.toml --quiet --no-baseline --rounds 6 --out short");
    let printed = place.succeed("compare whole short --out drawn");
    let settings = "\
        | group                     | peers.1.count | rounds |\n\
        |---------------------------|---------------|--------|\n\
        | 1: short                  |             1 |      6 |\n\
        | 2: whole: peers.1.count=1 |             1 |      8 |\n\
        | 3: whole: peers.1.count=2 |             2 |      8 |\n";
    assert!(printed.starts_with(settings), "{printed}");
    let ends =
        "Losses and curves end where a group's shortest run ends: 1: short after 6; the longest run has 8 rounds.";
    assert!(printed.ends_with(&format!("\n\n{ends}\n\ndrawn/compare.svg\n")), "{printed}");
    assert!(place.read("drawn/compare.svg").contains("whole: peers.1.count=2: copycat"));
    let nothing = "drawn: there is no run and no sweep here; expected a folder with manifest.json or sweep.json";
    place.fail("compare whole drawn", 1, &[nothing]);
}

/// Wrong on the command line: it says this and nothing else.
fn refused(place: &Place, words: &str, expected: &str) {
    let output = place.sim(words);
    assert_eq!((told(&output), output.status.code()), (expected.to_string(), Some(2)), "sim {words}");
}

#[test]
fn what_cannot_be_swept_is_told_before_anything_runs() {
    let place = Place::new();
    let help = "\n\nFor more information, try '--help'.\n";
    let shape = "expected key=value,value,..., such as training.lr=1e-3,3e-3";
    for (words, message) in [
        ("--grid training.lr=", format!("--grid training.lr=: an empty grid: training.lr has no values; {shape}\n")),
        ("--grid training.lr", format!("--grid training.lr: {shape}\n")),
        (
            "--grid training.lrr=1,2",
            "the combination training.lrr=1: unknown key `lrr` in [training]; did you mean `lr`?\n".to_string(),
        ),
        (
            "--grid peers.1.count=1 --grid peers[1].count=2",
            "--grid peers.1.count=2: peers.1.count has an axis already, --grid peers.1.count=1; put all values into one\n"
                .to_string(),
        ),
        ("--grid rounds=4 --seeds 0", format!("invalid value '0' for '--seeds <N>': expected 1 to 10000{help}")),
        ("--grid rounds=4 --shard 4/3", format!("invalid value '4/3' for '--shard <I/N>': expected 1/3 to 3/3{help}")),
        (
            "--grid training.lr=1e-3 --grid peers.1.count=2,0",
            "the combination training.lr=1e-3, peers.1.count=0: peers.1.count is 0; expected 1 or more\n".to_string(),
        ),
        (
            "--control --grid peers.0.behaviour=honest,noise",
            "--control: the combination peers.0.behaviour=noise without its adversaries: no honest peer is left\n"
                .to_string(),
        ),
    ] {
        refused(&place, &format!("sweep net.toml --out nothing {words}"), &format!("error: {message}"));
        assert!(!place.path("nothing").exists(), "{words}");
    }
    place.succeed("run net.toml --quiet --no-baseline --rounds 2 --out run");
    let message = "error: run is the folder of a run; take another place with --out\n";
    refused(&place, "sweep net.toml --grid rounds=2 --out run", message);
}
