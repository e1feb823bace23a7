//! Searches for strategies that pay, as a user types them.

use std::process::Stdio;

use super::stopped::{signal, wait_until};
use super::{Place, told};

const ATTACK: &str = "attack net.toml --rounds 6 --budget 12 --out found";

#[test]
fn a_search_leaves_a_report_and_scenarios_that_run() {
    let place = Place::new();
    let printed = place.succeed(ATTACK);
    for expected in
        ["# What pays under `gauntlet`, in `net`", "12 networks, search seed 1", "## Findings", "finding-1.toml"]
    {
        assert!(printed.contains(expected), "no {expected:?} in {printed}");
    }
    assert!(printed.starts_with(&place.read("found/attack.md")), "{printed}");
    assert!(printed.ends_with("found: finding-1.toml, tried.csv, frontier.svg, attack.md\n"), "{printed}");
    let tried = place.read("found/tried.csv");
    assert!(tried.starts_with("strategy,networks,pay,work,gain\n") && tried.lines().count() == 9, "{tried}");
    assert!(place.read("found/frontier.svg").starts_with("<svg"));
    let run = place.succeed("run found/finding-1.toml --no-baseline --out again");
    assert!(run.contains("Who was paid, by behaviour"), "{run}");

    // A larger budget goes on; another search is refused, and leaves everything as it is.
    place.succeed(&ATTACK.replace("12", "16"));
    let before = place.read("found/attack.md");
    let rest = "; take another place with --out, or give the same command as before";
    let other = format!("error: found holds another search: search seed 1 there, 2 here{rest}");
    place.fail(&format!("{ATTACK} --search-seed 2"), 2, &[&other]);
    place.fail(&format!("{ATTACK} --mechanism equal"), 2, &["found holds another search: mechanism.", rest]);
    assert_eq!(place.read("found/attack.md"), before);
}

#[test]
fn what_cannot_be_searched_is_told() {
    let place = Place::new();
    for (words, expected) in [
        ("--budget 0", "invalid value '0' for '--budget <N>': a search needs one network at least"),
        (
            "--budget many",
            "invalid value 'many' for '--budget <N>': expected how many networks it may run, such as 2000",
        ),
        ("--shard 4/3", "invalid value '4/3' for '--shard <I/N>': expected 1/3 to 3/3"),
        ("--mechanism gauntled", "did you mean `gauntlet`?"),
        (
            "--set peers=[{behaviour='noise',count=9}]",
            "the scenario has no group of honest [[peers]]; a search needs some",
        ),
    ] {
        place.fail(&format!("attack net.toml {words} --out refused"), 2, &[expected]);
        assert!(!place.path("refused").exists(), "{words}");
    }
}

#[test]
fn a_stopped_search_says_so_by_its_exit_code_and_goes_on() {
    let place = Place::new();
    let words = ATTACK.replace("12", "60");
    let mut child =
        place.command(&format!("{words} --threads 1")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(&mut child, || place.path("found/results").exists());
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "an array job must start it again: {}", told(&output));
    let stopped = "stopped; what was run is in found, and the same command resumes\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), stopped, "{}", told(&output));

    // Damage is told as such, and nothing is lost.
    std::fs::write(place.path("found/attack.json"), "{").unwrap();
    let rest = "; restore it, or begin the search in another place with --out";
    place.fail(&words, 1, &["error: found/attack.json: not JSON: it ends within an object", rest]);
    assert!(place.path("found/results").exists());
}

#[test]
fn a_place_of_another_kind_is_refused() {
    let place = Place::new();
    place.succeed("sweep net.toml --quiet --rounds 2 --grid peers.1.count=1 --out swept");
    let taken = "error: swept is the folder of a sweep; take another place with --out";
    place.fail("attack net.toml --budget 1 --out swept", 2, &[taken]);
    assert!(!place.path("swept/attack.json").exists());
}

#[test]
fn a_missing_file_is_not_tried_again() {
    let place = Place::new();
    let missing = "sweep net.toml --grid corpus={kind=\"text\",path=\"no.txt\",held_out_pages=8} --out swept";
    place.fail(missing, 2, &["error: the network with seed = 3: ", "no.txt"]);
}
