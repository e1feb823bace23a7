//! The program as a user types it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use assert_cmd::assert::OutputAssertExt;
use gauntlet::scenario::{Scenario, shipped};
use tempfile::TempDir;

/// A network that takes a second or two.
const NETWORK: &str = r#"name = "net"
seed = 3
rounds = 40

[model]
preset = "nano"
sequence_length = 16

[corpus]
held_out_pages = 8

[training]
lr = 3e-3
pages_per_round = 4
micro_batch = 4
checkpoint_every = 6

[scheme]
topk = 8

[gauntlet]
top_peers = 4
min_peers = 2
evaluated_per_round = 3

[chain]
weights_every = 2

[[peers]]
count = 4

[[peers]]
behaviour = "copycat"

[[peers]]
behaviour = { kind = "offline", leave = 0.2 }
"#;

const CSV: [(&str, &str); 5] = [
    ("rounds.csv", "round,virtual_seconds,lr,loss,train_loss,aggregated,uploads,bytes_up,bytes_down,replica_digest"),
    (
        "peers.csv",
        "round,uid,behaviour,status,steps_behind,loss_score_assigned,loss_score_unassigned,rating_mu,rating_sigma,\
         proof_of_computation,peer_score,incentive,aggregated",
    ),
    (
        "leaderboard.csv",
        "uid,behaviour,incentive_final,incentive_total,peer_score,rating_mu,rating_sigma,proof_of_computation,\
         rounds_aggregated,rounds_failed",
    ),
    ("slots.csv", "round,uid,peer,hotkey,behaviour"),
    ("baseline.csv", "round,lr,loss"),
];

/// A folder with `net.toml` in it, where commands are run.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::with(NETWORK)
    }

    fn with(scenario: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("net.toml"), scenario).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `sim` with these words, ready to be started here.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        command.args(words.split_whitespace()).current_dir(self.folder.path()).env_remove("RUST_LOG");
        command
    }

    fn sim(&self, words: &str) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs it; it must succeed. What it printed.
    fn succeed(&self, words: &str) -> String {
        let output = self.sim(words);
        assert!(output.status.success(), "sim {words}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it; it must fail with this code and say all of this.
    fn fail(&self, words: &str, code: i32, expected: &[&str]) {
        let output = self.sim(words);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(code), "sim {words}: {told}");
        for part in expected {
            assert!(told.contains(part), "sim {words} does not say {part:?}: {told}");
        }
        assert!(told.starts_with("error: "), "{told}");
        assert!(!told.contains("panicked"), "{told}");
    }

    fn manifest(&self, run: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(&format!("{run}/manifest.json"))).unwrap()
    }

    /// Both runs have the same digest and the same lines.
    fn assert_same_runs(&self, run: &str, other: &str) {
        assert_eq!(self.manifest(run)["digest"], self.manifest(other)["digest"]);
        for (file, _) in CSV {
            let (lines, others) = (self.read(&format!("{run}/{file}")), self.read(&format!("{other}/{file}")));
            let differs = lines.lines().zip(others.lines()).find(|(line, other)| line != other);
            assert_eq!(differs, None, "{file}");
            assert_eq!(lines.lines().count(), others.lines().count(), "{file}");
        }
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_subcommand_explains_itself() {
    let place = Place::new();
    let help = place.succeed("--help");
    for (command, option) in [
        ("run", "--resume"),
        ("check", "--set"),
        ("plot", "RUN_DIR"),
        ("verify", "--threads"),
        ("scenarios", "List the scenarios"),
        ("bench", "--preset"),
    ] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        let own = place.succeed(&format!("{command} --help"));
        assert!(own.contains(option) && own.contains(&format!("Usage: sim {command}")), "{own}");
    }
    assert!(place.succeed("--version").starts_with("sim "));
    place.sim("").assert().code(2);
    place.sim("walk").assert().code(2);
    place.sim("run").assert().code(2);
    place.sim("run net.toml --rounds many").assert().code(2);
}

#[test]
fn a_network_runs_in_the_operations_and_precision_of_a_gpu() {
    let place = Place::new();
    for threads in [1, 2] {
        place.succeed(&format!(
            "run net.toml --quiet --rounds 16 --device cpu-bf16 --threads {threads} --out {threads}"
        ));
    }
    place.assert_same_runs("1", "2");
    let rounds = place.read("1/rounds.csv");
    let losses: Vec<f64> = rounds.lines().filter_map(|line| line.split(',').nth(3)?.parse().ok()).collect();
    assert!(losses.last().unwrap() + 0.01 < losses[0], "{losses:?}");
}

/// Rows that a table for any device has, as `benches/torch` prints them too.
const BENCH: [&str; 7] = [
    "forward + backward, 2 x 64 tokens",
    "the same",
    "DeMo encode",
    "aggregate 15 peers",
    "evaluate one peer, 2 x 2 x 64 tokens",
    "peak memory of all of it",
    "memory of forward + backward, counted",
];

#[test]
fn a_model_is_measured_on_every_device_of_the_machine() {
    let place = Place::new();
    for device in ["cpu", "cpu-bf16", "ndarray"] {
        let arguments = format!("bench --preset nano --device {device} --micro-batch 2 --seconds 0");
        let table = place.succeed(&arguments);
        assert!(table.contains(&format!("nano on {device}")), "{table}");
        let rows = BENCH.iter().take(if device == "cpu" { 6 } else { 7 });
        for row in rows.filter(|row| cfg!(target_os = "linux") || !row.starts_with("peak")) {
            let line =
                table.lines().find(|line| line.contains(&format!("| {row} "))).unwrap_or_else(|| panic!("{row}"));
            let value: f64 = line.split('|').nth(2).unwrap().trim().parse().unwrap();
            assert!(value >= 0.0, "{line}");
        }
    }
    std::fs::write(place.path("shard.ds"), [1, 0].repeat(10_000)).unwrap();
    let table = place.succeed("bench net.toml --set corpus.kind=tokens --set corpus.path=shard.ds --seconds 0");
    for row in ["training on the corpus, ", "of that waiting for pages, fetched ahead", "not fetched ahead"] {
        assert!(table.contains("net on cpu") && table.contains(row), "{table}");
    }
    let missing = "bench net.toml --set corpus.kind=tokens --set corpus.path=none.ds";
    place.fail(missing, 2, &["none.ds"]);
    place.fail("bench net.toml --preset nano", 2, &["cannot be used with"]);
    place.fail("bench --micro-batch 0", 2, &["expected 1 to 1024"]);
    place.fail("bench --device gpu", 2, &["cuda:N"]);
}

#[test]
fn scenarios_are_listed_and_known_by_their_names() {
    let place = Place::new();
    let listed = place.succeed("scenarios");
    assert_eq!(listed.lines().count(), shipped().len());
    for scenario in shipped() {
        let line = listed.lines().find(|line| line.starts_with(&scenario.file())).unwrap();
        assert!(line.ends_with(&scenario.summary()), "{line}");
        // Without the repository at hand the program has them with it.
        let check = format!("check {}", scenario.file());
        if scenario.name == "real-text" {
            place.fail(&check, 2, &["corpus.path", "wikitext2"]);
        } else {
            assert!(place.succeed(&check).contains("# resolved settings"));
        }
    }
}

#[test]
fn a_wrong_scenario_is_refused_with_its_place() {
    let peers = "[[peers]]\ncount = 4\n";
    assert!(NETWORK.contains(peers));
    for (from, to, expected) in [
        ("lr = 3e-3", "lrr = 3e-3", "net.toml:13:1: unknown key `lrr` in [training]; did you mean `lr`?"),
        ("count = 4", "count = -3", "net.toml:30:9: peers.0.count is -3; expected a whole number, 0 or more"),
        ("count = 4", "count = 300", "net.toml:30:1: peers.0.count is 300; expected 250 peers at most from the start"),
        (
            "top_peers = 4",
            "top_peers = 9",
            "net.toml:22:1: gauntlet.top_peers is 9; expected 6 at most, the number of peers",
        ),
        ("\"copycat\"", "\"copycta\"", "net.toml:33:13: peers.1.behaviour is `copycta`; expected one of honest, lazy,"),
        ("\"copycat\"", "\"copycta\"", "did you mean `copycat`?"),
        ("seed = 3", "seed = ", "net.toml:2:8: not TOML"),
        ("\"nano\"", "\"gigantic\"", "model.preset"),
        ("[model]\n", "[model]\nnum_heads = 3\n", "model.num_heads"),
    ] {
        let place = Place::with(&NETWORK.replacen(from, to, 1));
        place.fail("run net.toml", 2, &[expected]);
        place.fail("check net.toml", 2, &[expected]);
        assert!(!place.path("runs").exists(), "nothing is begun");
    }
}

#[test]
fn a_wrong_command_line_is_refused_before_anything_is_done() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    for (words, code, expected) in [
        ("run nothing.toml", 2, "nothing.toml: no such file, and no shipped scenario has this name"),
        ("run folder", 2, "folder: cannot be read"),
        ("run net.toml --device gpu", 2, "device `gpu`: expected `cpu`, `cpu-bf16`, `ndarray` or `cuda:N`"),
        (
            "run net.toml --set training.lrr=1",
            2,
            "--set training.lrr=1: unknown key `lrr` in [training]; did you mean `lr`?",
        ),
        ("run net.toml --set lr", 2, "expected key=value"),
        ("run net.toml --set peers.7.count=1", 2, "`7` is not one of peers; expected 0 to 2"),
        ("run net.toml --rounds 0", 2, "rounds is 0; expected 1 or more"),
        ("run net.toml --set corpus.kind=text", 2, "corpus.path is missing"),
        ("run net.toml --set corpus.kind=text --set corpus.path=no.txt", 2, "no.txt"),
        ("run net.toml --set corpus.kind=text --set corpus.path=folder", 2, "folder"),
        (
            "run net.toml --set corpus.kind=text --set corpus.path=net.toml --set corpus.tokenizer=net.toml",
            2,
            "net.toml",
        ),
        ("run net.toml --resume", 1, "runs/net-3 is no run folder"),
        ("run net.toml --out net.toml", 1, "net.toml exists"),
        ("verify folder", 1, "folder is no run folder: it has no manifest.json"),
        ("plot folder", 1, "folder is no run folder"),
    ] {
        place.fail(words, code, &[expected]);
        assert!(!place.path("runs").exists(), "nothing is begun");
    }
    #[cfg(not(feature = "cuda"))]
    place.fail("run net.toml --device cuda:0", 2, &["--features cuda"]);
}

#[test]
fn check_says_what_will_run() {
    let place = Place::new();
    let told = place.succeed("check net.toml --set training.lr=0.004");
    for expected in [
        "net: 40 rounds, 6 peers, validators: 1\n",
        "     4  honest",
        "     1  copycat",
        "     1  offline",
        "parameters          29.8 K",
        "tokens a round      64 by one peer, 384 by all, 256 aggregated",
    ] {
        assert!(told.contains(expected), "no {expected:?} in {told}");
    }
    let (_, resolved) = told.split_once("# resolved settings\n").unwrap();
    let resolved = Scenario::from_toml(resolved, "resolved", &[]).unwrap();
    let expected = Scenario::from_toml(NETWORK, "net.toml", &["training.lr=0.004".into()]).unwrap();
    assert_eq!(resolved, expected);
    assert!(!place.path("runs").exists());
}

#[test]
fn a_run_from_start_to_verification() {
    let place = Place::new();
    let summary = place.succeed("run net.toml --rounds 12 --set training.eval_every=4");
    for expected in ["honest", "copycat", "AdamW", "runs/net-3"] {
        assert!(summary.contains(expected), "no {expected:?} in {summary}");
    }
    for (file, header) in CSV {
        let text = place.read(&format!("runs/net-3/{file}"));
        assert_eq!(text.lines().next(), Some(header), "{file}");
    }
    let lines = |file: &str| place.read(&format!("runs/net-3/{file}")).lines().count();
    assert_eq!(
        [lines("rounds.csv"), lines("peers.csv"), lines("baseline.csv"), lines("leaderboard.csv")],
        [13, 73, 13, 7]
    );
    let losses = place.read("runs/net-3/rounds.csv");
    let measured = losses.lines().skip(1).filter(|line| !line.split(',').nth(3).unwrap().is_empty());
    assert_eq!(measured.count(), 3);
    let manifest = place.manifest("runs/net-3");
    assert_eq!(manifest["finished"], true);
    assert_eq!(manifest["rounds_done"], 12);
    assert_eq!(manifest["scenario"]["training"]["eval_every"], 4);
    assert!(!place.path("runs/net-3/checkpoint.bin").exists() && !place.path("runs/net-3/baseline.bin").exists());
    for picture in ["loss", "incentive", "rating", "proof", "status", "bytes"] {
        assert!(place.read(&format!("runs/net-3/plots/{picture}.svg")).starts_with("<svg"), "{picture}");
    }
    assert!(place.path("runs/net-3/report.html").exists());

    let digest = manifest["digest"].as_str().unwrap();
    assert_eq!(place.succeed("verify runs/net-3 --threads 1"), format!("runs/net-3: verified, digest {digest}\n"));
    place.fail("run net.toml --rounds 12", 1, &["runs/net-3 exists and is not empty", "--out DIR", "--resume"]);
    let resume = "run net.toml --rounds 12 --set training.eval_every=4 --resume";
    place.fail(resume, 2, &["the run is finished; there is nothing to resume"]);

    let file = place.path("runs/net-3/manifest.json");
    let text = place.read("runs/net-3/manifest.json");
    let other = format!("{}{}", if digest.starts_with('0') { '1' } else { '0' }, &digest[1..]);
    std::fs::write(&file, text.replace(digest, &other)).unwrap();
    place.fail("verify runs/net-3", 1, &["digests differ", digest, "models agree; scores or events differ"]);
    std::fs::write(&file, text.replace("\"format\": 2", "\"format\": 99")).unwrap();
    for words in ["verify runs/net-3", "plot runs/net-3", resume] {
        place.fail(words, 1, &["was written by gauntlet", "format 99"]);
    }
}

#[test]
fn runs_are_drawn_again_and_compared() {
    let place = Place::new();
    for seed in [1, 2] {
        let printed = place.succeed(&format!("run net.toml --quiet --rounds 6 --no-baseline --seed {seed}"));
        assert_eq!(printed, "");
        assert!(!place.path(&format!("runs/net-{seed}/baseline.csv")).exists());
    }
    assert_ne!(place.manifest("runs/net-1")["digest"], place.manifest("runs/net-2")["digest"]);
    let drawn = place.read("runs/net-1/plots/loss.svg");
    std::fs::remove_dir_all(place.path("runs/net-1/plots")).unwrap();
    place.succeed("plot runs/net-1");
    assert_eq!(place.read("runs/net-1/plots/loss.svg"), drawn);
    let drawn = place.succeed("plot runs/net-1 runs/net-2");
    assert_eq!(drawn, ["", "-tokens", "-bytes", "-time"].map(|by| format!("plots/compare-loss{by}.svg\n")).concat());
    let both = place.read("plots/compare-loss.svg");
    assert!(both.contains("net (2 seeds)"));
    place.succeed("plot runs/net-1 runs/net-2 --out elsewhere");
    assert_eq!(place.read("elsewhere/compare-loss.svg"), both);
}

#[cfg(unix)]
mod stopped {
    use super::*;
    use std::process::Child;

    fn start(place: &Place, words: &str) -> Child {
        place.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the program has got so far that `there` is true of the folder.
    fn wait_until(child: &mut Child, there: impl Fn() -> bool) {
        while !there() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
            std::thread::yield_now();
        }
    }

    fn rounds(place: &Place, run: &str) -> usize {
        std::fs::read_to_string(place.path(run).join("rounds.csv"))
            .map_or(0, |text| text.lines().count().saturating_sub(1))
    }

    fn signal(child: &Child, name: &str) {
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
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        assert!(told(&output).contains("finishing the round"), "{}", told(&output));
        let saved =
            printed.split_once("stopped after ").and_then(|(_, rest)| rest.split_once(" rounds; saved in stopped"));
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
        let (_, line) = printed.split_once("to go on: ").unwrap();
        assert!(line.trim().ends_with("run net.toml --out stopped --threads 1 --resume"), "{line}");
        let resumed = Command::new("sh").arg("-c").arg(line).current_dir(place.path("")).output().unwrap();
        assert!(resumed.status.success(), "{}", super::told(&resumed));
        place.succeed("run net.toml --out whole --quiet");
        place.assert_same_runs("stopped", "whole");
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
        assert!(told.contains("free some space, then go on with --resume"), "{told}");
        let done: usize = printed.lines().nth(1).unwrap().parse().unwrap();
        assert!((6..40).contains(&done), "{done} lines: the disk was to be full in the middle of the run");
        assert!(printed.contains("checkpoint.bin\n"), "{printed}");
        place.succeed("run net.toml --out whole --quiet");
        place.assert_same_runs("full", "whole");
    }
}

#[test]
fn a_text_is_trained_on() {
    let place = Place::new();
    let text: String = (0..4000).map(|line| format!("line {line} of a text that repeats itself\n")).collect();
    std::fs::write(place.path("text.txt"), text).unwrap();
    let overrides = "--set corpus.kind=text --set corpus.path=text.txt --set chain.slots=8";
    place.succeed(&format!("run net.toml --quiet --no-baseline --rounds 4 {overrides} --out text"));
    assert_eq!(place.manifest("text")["finished"], true);
    assert!(place.manifest("text")["references"]["entropy_floor"].is_null());
    // The digest is that of the run's data too.
    assert!(Path::new(&place.path("text.txt")).exists());
    std::fs::write(place.path("text.txt"), "another text\n".repeat(9000)).unwrap();
    place.fail("verify text", 1, &["digests differ", "models differ from round 0 on"]);
}
