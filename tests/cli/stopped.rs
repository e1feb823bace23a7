//! Runs that are stopped, killed or out of disk, and go on.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt;

use super::{NETWORK, Place, told};

pub fn start(place: &Place, words: &str) -> Child {
    let mut command = place.command(words);
    // As from a terminal, also where `nohup` started the tests.
    // SAFETY: `signal` may be called between fork and exec, and touches no memory.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        });
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the program has got so far that `there` is true of the folder.
pub fn wait_until(child: &mut Child, there: impl Fn() -> bool) {
    while !there() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn rounds(place: &Place, run: &str) -> usize {
    std::fs::read_to_string(place.path(run).join("rounds.csv")).map_or(0, |text| text.lines().count().saturating_sub(1))
}

pub fn signal(child: &Child, name: &str) {
    let killed = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
}

#[test]
fn ctrl_c_saves_and_the_run_goes_on_from_there() {
    let place = Place::new();
    let mut child = start(&place, "run net.toml --out stopped --threads 1");
    wait_until(&mut child, || rounds(&place, "stopped") >= 2);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(130), "a shell must not go on with half of it: {}", told(&output));
    assert!(told(&output).contains("finishing the round"), "{}", told(&output));
    assert!(!told(&output).contains("error"), "{}", told(&output));
    let saved = printed.split_once("stopped after ").and_then(|(_, rest)| rest.split_once(" rounds; saved in stopped"));
    let saved: usize = saved.and_then(|(rounds, _)| rounds.parse().ok()).unwrap_or_else(|| panic!("{printed}"));
    // The round that ran is finished and told; it may be done again.
    assert!((2..=rounds(&place, "stopped")).contains(&saved), "{printed}");
    let manifest = place.manifest("stopped");
    assert_eq!(manifest["finished"], false);
    assert_eq!(manifest["rounds_done"], rounds(&place, "stopped"));
    assert!(place.read("stopped/leaderboard.csv").contains("copycat"), "the standings so far");
    place.fail("verify stopped", 1, &["not finished"]);
    place.succeed("plot stopped");
    place.fail(
        "run net.toml --out stopped --resume --seed 4",
        2,
        &["other settings", "`seed = 3` then, `seed = 4` now"],
    );

    // The very line that it printed.
    let (_, line) = printed.split_once("to resume: ").unwrap();
    assert!(line.trim().ends_with("run net.toml --out stopped --threads 1 --resume"), "{line}");
    let resumed = Command::new("sh").arg("-c").arg(line).current_dir(place.path("")).output().unwrap();
    assert!(resumed.status.success(), "{}", super::told(&resumed));
    place.succeed("run net.toml --out whole --quiet");
    place.assert_same_runs("stopped", "whole");
}

#[test]
fn a_terminal_that_goes_away_saves_the_run_unless_that_is_ignored() {
    let place = Place::new();
    for (name, code) in [("HUP", 143), ("TERM", 143)] {
        let mut child = start(&place, &format!("run net.toml --out {name} --threads 1 --no-baseline --rounds 200"));
        wait_until(&mut child, || rounds(&place, name) >= 2);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {}", told(&output));
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(&format!("saved in {name}")), "{name}: {printed}");
        assert!(place.path(name).join("checkpoint.bin").exists());
    }
    // As `nohup` starts it.
    let words = "trap '' HUP; exec \"$0\" run net.toml --out kept --threads 1 --no-baseline --quiet";
    let mut command = Command::new("sh");
    command.args(["-c", words, env!("CARGO_BIN_EXE_sim")]).current_dir(place.path(""));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(&mut child, || rounds(&place, "kept") >= 2);
    signal(&child, "HUP");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(place.manifest("kept")["finished"], true);
}

/// What the system refuses is told by its name, and nothing panics.
#[cfg(target_os = "linux")]
#[test]
fn running_out_of_memory_or_of_open_files_is_an_error_that_says_which() {
    let place = Place::new();
    for (limit, words, expected) in [
        // The model alone takes more.
        ("-v 1500000", "run net.toml --no-baseline --set model.preset=templar-1b --out large", "out of memory"),
        ("-n 40", "launch net.toml --clock virtual --out launched", "open files"),
    ] {
        let script = format!("ulimit {limit}; exec \"$0\" {words}");
        let arguments = ["-c", &script, env!("CARGO_BIN_EXE_sim")];
        let output = Command::new("sh").args(arguments).current_dir(place.path("")).output().unwrap();
        let told = told(&output);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{limit}: {:?} {told}", output.status);
        assert!(told.contains("error: ") && told.contains(expected), "{limit}: {told}");
        assert!(!told.contains("panicked"), "{limit}: {told}");
    }
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let place = Place::new();
    place.succeed("run net.toml --out whole --quiet");
    let mut child = start(&place, "run net.toml --out killed");
    wait_until(&mut child, || place.path("killed/checkpoint.bin").exists() && rounds(&place, "killed") > 8);
    child.kill().unwrap();
    child.wait().unwrap();
    // As if it had been killed in the middle of a line.
    let file = place.path("killed/peers.csv");
    let text = std::fs::read(&file).unwrap();
    std::fs::write(&file, &text[..text.len() - 7]).unwrap();
    place.succeed("run net.toml --out killed --resume --quiet");
    place.assert_same_runs("killed", "whole");
}

#[test]
fn a_run_killed_before_its_first_checkpoint_starts_again() {
    let place = Place::with(&NETWORK.replace("checkpoint_every = 6", "checkpoint_every = 1000"));
    place.succeed("run net.toml --out whole --quiet");
    let mut child = start(&place, "run net.toml --out killed");
    wait_until(&mut child, || rounds(&place, "killed") > 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = place.sim("run net.toml --out killed --resume --quiet");
    assert!(told(&resumed).contains("starting from the first round"), "{}", told(&resumed));
    resumed.assert().success();
    place.assert_same_runs("killed", "whole");
}

/// A disk that is full after the first checkpoint, in a mount namespace of its own, where the system lets a user
/// make one.
#[test]
fn a_full_disk_stops_a_run_that_goes_on_when_there_is_space() {
    if !Command::new("unshare").args(["-Urm", "true"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system lets no user mount a small disk");
        return;
    }
    let place = Place::new();
    std::fs::create_dir(place.path("disk")).unwrap();
    let script = r#"
        mount -t tmpfs -o size=2m none disk || exit 9
        "$0" run net.toml --out disk/run
        echo "code $?"
        wc -l < disk/run/rounds.csv
        ls -A disk/run
        mount -o remount,size=64m disk || exit 9
        "$0" run net.toml --out disk/run --quiet --resume
        echo "code $?"
        cp -r disk/run full
    "#;
    let words = ["-Urm", "sh", "-c", script, env!("CARGO_BIN_EXE_sim")];
    let output = Command::new("unshare").args(words).current_dir(place.path("")).output().unwrap();
    let (printed, told) = (String::from_utf8_lossy(&output.stdout), told(&output));
    assert!(printed.starts_with("code 1\n") && printed.contains("code 0\n"), "{printed}{told}");
    assert!(told.contains("error: disk/run/") && told.contains("No space left on device"), "{told}");
    assert!(told.contains("free some space, then continue with --resume"), "{told}");
    let done: usize = printed.lines().nth(1).unwrap().parse().unwrap();
    assert!((6..40).contains(&done), "{done} lines: the disk was to be full in the middle of the run");
    assert!(printed.contains("checkpoint.bin\n"), "{printed}");
    place.succeed("run net.toml --out whole --quiet");
    place.assert_same_runs("full", "whole");
}
