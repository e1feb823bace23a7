//! What programs and shells get: JSON in one shape, completions, man pages.

use std::collections::BTreeSet;

use assert_cmd::assert::OutputAssertExt;
use gauntlet::scenario::shipped;
use serde_json::Value;

use super::{CSV, Place, told};

/// The one object that a command prints.
fn object(place: &Place, words: &str, code: i32) -> Value {
    let output = place.sim(words);
    assert_eq!(output.status.code(), Some(code), "sim {words}: {}", told(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("sim {words}: {error} in {text}"));
    assert_eq!((value["format"].as_u64(), value["command"].as_str()), (Some(1), words.split(' ').next()), "{text}");
    let documented = documented(value["command"].as_str().unwrap());
    let known = |key: &String| ["format", "command"].contains(&&**key) || documented.contains(&format!("`{key}`"));
    let unknown: Vec<String> = keys(&value).into_iter().filter(|key| !known(key)).collect();
    assert!(unknown.is_empty(), "docs/shell.md lacks {unknown:?} of sim {words}");
    value
}

/// What docs/shell.md says of a command's keys.
fn documented(command: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/shell.md")).unwrap();
    let is_row = |line: &&str| line.split('|').nth(1).is_some_and(|names| names.contains(&format!("`{command}`")));
    page.lines().find(is_row).unwrap_or_else(|| panic!("docs/shell.md has no keys of {command}")).to_string()
}

/// Columns of one of the CSV files.
fn columns(file: &str) -> BTreeSet<String> {
    let (_, names) = CSV.iter().find(|(name, _)| *name == file).unwrap();
    names.split(',').map(String::from).collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_run_is_told_as_its_files_tell_it() {
    let place = Place::new();
    let run = object(&place, "run net.toml --rounds 8 --out run --json", 0);
    let manifest = place.manifest("run");
    for (key, expected) in
        [("digest", "digest"), ("rounds_done", "rounds_done"), ("parameters", "parameters"), ("finished", "finished")]
    {
        assert_eq!(run[key], manifest[expected], "{key}");
    }
    assert_eq!((run["folder"].as_str(), run["mechanism"].as_str()), (Some("run"), Some("gauntlet")));
    assert!(run["loss"]["network"].as_f64().unwrap() < run["loss"]["initial"].as_f64().unwrap());
    let board = run["leaderboard"].as_array().unwrap();
    assert_eq!((board.len(), keys(&board[0])), (6, columns("leaderboard.csv")));
    let first =
        place.read("run/leaderboard.csv").lines().nth(1).unwrap().split(',').map(String::from).collect::<Vec<_>>();
    assert_eq!(board[0]["uid"].to_string(), first[0]);
    assert_eq!(board[0]["incentive_final"].as_f64(), first[2].parse().ok());

    let mut shown = object(&place, "show run --json", 0);
    shown["command"] = run["command"].clone();
    assert_eq!(shown, run);
    assert!(place.succeed("show run").contains("Who was paid, by behaviour"));

    let told = object(&place, "explain run --peer 0 --json", 0);
    let rounds = told["rounds"].as_array().unwrap();
    assert_eq!((rounds.len(), keys(&rounds[0])), (8, columns("peers.csv")));
    assert!(told["text"].as_str().unwrap().starts_with("uid 0 of run: 8 of 8 rounds"), "{told}");
    assert_eq!(object(&place, "explain run --peer 0 --round 3 --json", 0)["rounds"].as_array().unwrap().len(), 1);

    let verified = object(&place, "verify run --json", 0);
    assert_eq!((verified["verified"].as_bool(), &verified["now"]), (Some(true), &manifest["digest"]));
    let zeros = format!("\"{}\"", "0".repeat(64));
    let changed = place.read("run/manifest.json").replace(&manifest["digest"].to_string(), &zeros);
    std::fs::write(place.path("run/manifest.json"), changed).unwrap();
    let differs = object(&place, "verify run --json", 1);
    assert_eq!((differs["verified"].as_bool(), differs["models_differ_from_round"].as_u64()), (Some(false), None));

    object(&place, "run net.toml --rounds 8 --no-baseline --set training.lr=1e-3 --out slow --json", 0);
    let compared = object(&place, "compare run slow --json", 0);
    let groups = compared["groups"].as_array().unwrap();
    assert_eq!((groups.len(), groups[1]["settings"]["training.lr"].as_str()), (2, Some("0.001")));
    let honest = &groups[0]["peers"][0];
    assert_eq!((honest["behaviour"].as_str(), honest["loss"]["count"].as_u64()), (Some("honest"), Some(1)));
    assert_eq!(groups[1]["peers"][0]["change_of_loss"]["half"], Value::Null);
    assert!(place.path(compared["picture"].as_str().unwrap()).exists());
}

#[test]
fn what_is_looked_at_before_a_run_is_told_to_programs_too() {
    let place = Place::new();
    let checked = object(&place, "check net.toml --set training.lr=0.004 --json", 0);
    assert_eq!((checked["peers"].as_u64(), checked["peers_by_behaviour"]["honest"].as_u64()), (Some(6), Some(4)));
    assert_eq!((checked["parameters"].as_u64(), checked["tokens_per_peer"].as_u64()), (Some(29_792), Some(64)));
    assert_eq!(checked["scenario"]["training"]["lr"].as_f64(), Some(0.004));
    assert_eq!(checked["warnings"].as_array().unwrap().len(), 0, "{checked}");

    let planned = object(&place, "plan net.toml --device cpu --price 2 --json", 0);
    let (needed, length) = (&planned["peer_round"]["needed"], &planned["peer_round"]["length"]);
    assert!(
        needed.as_f64().unwrap() <= length.as_f64().unwrap() && planned["peer_round"]["fits"].as_bool() == Some(true)
    );
    let held = &planned["held"][0];
    assert_eq!(held["cost_usd"].as_f64().unwrap(), 2.0 * held["held_hours"].as_f64().unwrap());

    let listed = object(&place, "scenarios --json", 0);
    let names: Vec<_> =
        listed["scenarios"].as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
    assert_eq!(names, shipped().iter().map(|scenario| scenario.name).collect::<Vec<_>>());

    let measured = object(&place, "bench --preset nano --device cpu --pass-only --seconds 0 --json", 0);
    let figure = &measured["figures"][0];
    assert!(figure["what"].as_str().unwrap().starts_with("forward + backward") && figure["value"].as_f64().is_some());

    let examined = object(&place, "doctor --json", 0);
    let findings = examined["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["verdict"] != "problem") && examined["problems"] == 0, "{examined}");
    let examined = object(&place, "doctor --device cuda:77 --json", 1);
    assert!(examined["problems"].as_u64().unwrap() > 0, "{examined}");
}

#[test]
fn an_error_leaves_standard_output_empty() {
    let place = Place::new();
    for (words, code) in [
        ("check nothing --json", 2),
        ("run net.toml --set training.lrr=1 --json", 2),
        ("show net.toml --json", 1),
        ("explain runs --peer 3 --json", 1),
        ("status --bucket nowhere --json", 2),
    ] {
        let output = place.sim(words);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "sim {words}: {}", told(&output));
        assert!(told(&output).starts_with("error: "));
    }
}

/// What the shell gets for a line that ends with a word at which the key is pressed.
fn completed(place: &Place, words: &str) -> Vec<String> {
    let words: Vec<&str> = words.split(' ').collect();
    let mut command = place.command("");
    command.arg("--").args(&words).env("COMPLETE", "bash").env("_CLAP_IFS", "\n");
    let output = command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn a_shell_completes_commands_scenarios_settings_and_files() {
    let place = Place::new();
    assert_eq!(completed(&place, "sim scen"), ["scenarios"]);
    assert_eq!(completed(&place, "sim run copyc"), ["copycat"]);
    assert_eq!(completed(&place, "sim check ne"), ["net.toml"]);
    assert_eq!(completed(&place, "sim run copycat --set mechanism=loss"), ["mechanism=loss-only"]);
    assert_eq!(completed(&place, "sim sweep copycat --grid peers.+.cou"), ["peers.+.count="]);
    assert!(completed(&place, "sim run copycat --no").contains(&"--no-baseline".to_string()));
    assert!(!completed(&place, "sim peer --").contains(&"--leash".to_string()), "it is for the launcher");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.succeed(&format!("completions {shell}"));
        assert!(script.contains("COMPLETE") && script.contains("sim"), "{script}");
    }
    place.sim("completions tcsh").assert().code(2);
}

#[cfg(unix)]
#[test]
fn bash_completes_with_the_script() {
    let place = Place::new();
    let script = place.succeed("completions bash");
    std::fs::write(place.path("completions"), script).unwrap();
    // As readline does: the words of the line, and the one at which the key is pressed.
    let pressed = "source ./completions; COMP_WORDS=(sim run copyc); COMP_CWORD=2; COMP_TYPE=9; _clap_complete_sim sim copyc run; \
                   echo \"${COMPREPLY[@]}\"";
    let output = std::process::Command::new("bash")
        .args(["--norc", "-c", pressed])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "copycat\n", "{}", told(&output));
}

#[test]
fn every_command_has_a_man_page() {
    let place = Place::new();
    assert!(place.succeed("man pages").starts_with("pages: sim.1 "));
    let help = place.succeed("--help");
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let names: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 25 && names.contains(&"man"), "{help}");
    for name in names {
        let page = place.read(&format!("pages/sim-{name}.1"));
        assert!(page.contains(&format!(".SH SYNOPSIS\n\\fBsim {name}\\fR")), "{page}");
    }
    assert!(place.read("pages/sim.1").contains("put window"), "the words are explained");
    assert!(!place.read("pages/sim-peer.1").contains("leash"));
    place.fail("man net.toml", 1, &["net.toml: cannot be made"]);
}

#[test]
fn a_real_run_is_told_to_programs() {
    let place = Place::new();
    place.succeed("launch net.toml --rounds 4 --clock virtual --out real --quiet");
    let status = object(&place, "status --bucket real/bucket --json", 0);
    assert_eq!((status["rounds"].as_u64(), status["rounds_done"].as_u64()), (Some(4), Some(4)));
    assert_eq!(
        (status["validators"][0]["round"].as_u64(), status["loss"]["round"].as_u64().is_some()),
        (Some(3), true)
    );
    let peers = status["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 6);
    for key in ["uid", "hotkey", "status", "incentive", "aggregated", "peer_score", "rating_mu"] {
        assert!(peers[0].get(key).is_some(), "{key} in {}", peers[0]);
    }
    assert!(peers[0]["incentive"].as_f64() >= peers[5]["incentive"].as_f64(), "best paid first");
    let shown = object(&place, "show real --json", 0);
    assert_eq!((shown["bucket"].as_str(), shown["rounds_done"].as_u64()), (Some("real/bucket"), Some(4)));
}
