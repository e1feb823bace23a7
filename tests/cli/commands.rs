//! What commands say of themselves, of scenarios and of the machine, and of what is wrong.

use assert_cmd::assert::OutputAssertExt;
use gauntlet::scenario::{Scenario, shipped};

use super::{NETWORK, Place};

#[test]
fn every_subcommand_explains_itself() {
    let place = Place::new();
    let help = place.succeed("--help");
    for (command, option) in [
        ("run", "--resume"),
        ("resume", "--rounds"),
        ("check", "--set"),
        ("plot", "RUN_DIR"),
        ("explain", "--round"),
        ("verify", "--threads"),
        ("scenarios", "List the scenarios"),
        ("bench", "--preset"),
        ("sweep", "--grid"),
        ("compare", "RUN_OR_SWEEP"),
    ] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        let own = place.succeed(&format!("{command} --help"));
        assert!(own.contains(option) && own.contains(&format!("Usage: sim {command}")), "{own}");
    }
    assert!(help.contains("\n  put window ") && !place.succeed("-h").contains("put window"), "{help}");
    assert!(
        help.contains("\n  3  a run is done and its model has diverged") && help.contains("GAUNTLET_STORE_GIVE_UP"),
        "{help}"
    );
    assert!(place.succeed("--version").starts_with("sim "));
    place.sim("").assert().code(2);
    place.sim("walk").assert().code(2);
    place.sim("run").assert().code(2);
    place.sim("run net.toml --rounds many").assert().code(2);
}

/// Rows that a table for any device has, as `benches/torch` prints them too.
const BENCH: [&str; 8] = [
    "forward + backward, 2 x 64 tokens",
    "forward + backward, operations",
    "DeMo encode",
    "aggregate 15 peers",
    "evaluate one peer, 2 x 2 x 64 tokens",
    "peak memory of forward + backward",
    "peak memory of all of it",
    "memory of forward + backward, counted",
];

#[test]
fn a_model_is_measured_on_every_device_of_the_machine() {
    let place = Place::new();
    for device in ["cpu", "cpu-f32", "cpu-bf16"] {
        let arguments = format!("bench --preset nano --device {device} --micro-batch 2 --seconds 0");
        let table = place.succeed(&arguments);
        assert!(table.contains(&format!("nano on {device}")), "{table}");
        let rows = BENCH.iter().take(if device == "cpu" { 7 } else { 8 });
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
        ("count = 4", "count = -3", "net.toml:32:9: peers.0.count is -3; expected a whole number, 0 or more"),
        ("count = 4", "count = 300", "net.toml:32:1: peers.0.count is 300; expected 250 peers at most from the start"),
        (
            "top_peers = 4",
            "top_peers = 9",
            "net.toml:22:1: protocol.top_peers is 9; expected 6 at most, the number of peers",
        ),
        ("\"copycat\"", "\"copycta\"", "net.toml:35:13: peers.1.behaviour is `copycta`; expected one of honest, lazy,"),
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
    std::fs::write(place.path("wide.toml"), b"\xff\xfer\0o\0").unwrap();
    std::fs::write(place.path("latin.toml"), b"rounds = 3\nname = \"\xe9\"\n").unwrap();
    for (words, code, expected) in [
        ("run nothing.toml", 2, "nothing.toml: no such file, and no shipped scenario has this name"),
        ("run folder", 2, "folder: cannot be read"),
        (
            "check wide.toml",
            2,
            "wide.toml: cannot be read: it is UTF-16LE; expected UTF-8: iconv -f UTF-16LE -t UTF-8 makes it so",
        ),
        ("check latin.toml", 2, "latin.toml: cannot be read: not UTF-8 in line 2; expected a scenario"),
        ("run net.toml --device gpu", 2, "device `gpu`: expected `cpu`, `cpu-f32`, `cpu-bf16`, `ndarray` or `cuda:N`"),
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
        ("launch net.toml --metrics 127.0.0.1:65535", 2, "7 processes need a port each; expected a port of 1 to 65529"),
        ("launch net.toml --metrics 127.0.0.1:0", 2, "expected a port of 1 to 65529"),
        ("run net.toml --resume", 1, "runs/net-3 is no run folder"),
        ("run net.toml --out net.toml", 1, "net.toml: it is no folder; choose another with --out DIR"),
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
        "net: 40 rounds, 6 peers, 1 validator\n",
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
