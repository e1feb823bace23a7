//! Real networks on this machine, as a user starts them: `sim launch`, and nodes one by one.

#[path = "launch/audits.rs"]
mod audits;
#[path = "launch/dishonest.rs"]
mod dishonest;
#[path = "launch/models.rs"]
mod models;
#[path = "launch/operators.rs"]
mod operators;
#[cfg(unix)]
#[path = "launch/paths.rs"]
mod paths;
#[path = "launch/sealed.rs"]
mod sealed_uploads;
#[cfg(target_os = "linux")]
#[path = "launch/stopped.rs"]
mod stopped;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use gauntlet::transport::record::RoundRecord;
use gauntlet::transport::sealed;

/// Everything that may be different from node to node, in one small network: adversaries, peers that come late, come
/// and go, and a lead that falls silent.
const SCENARIO: &str = r#"
name = "parity"
seed = 1
rounds = 24

[model]
preset = "nano"

[training]
lr = 4e-3
warmup_rounds = 5
pages_per_round = 4
micro_batch = 4
checkpoint_every = 10

[protocol]
top_peers = 3
min_peers = 2

[mechanism]
evaluated_per_round = 3
bins = 2

[chain]
weights_every = 5

[[validators]]
stake = 1000.0
leaves = 12

[[validators]]
stake = 500.0

[[peers]]
count = 3

[[peers]]
behaviour = { kind = "copycat", of = "random", noise = 0.1 }

[[peers]]
behaviour = { kind = "malformed", how = "any" }

[[peers]]
behaviour = { kind = "offline", leave = 0.2, return = 0.4 }

[[peers]]
count = 2
joins = 5
"#;

fn sim(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sim"));
    command.args(args).current_dir(folder).env_remove("RUST_LOG");
    command
}

fn done(folder: &Path, args: &[&str]) -> Output {
    let output = sim(folder, args).output().unwrap();
    assert!(output.status.success(), "sim {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn refused(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = sim(folder, args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A column of a run's CSV file, by round and, for peers, uid.
fn column(folder: &Path, file: &str, name: &str) -> BTreeMap<(u64, String), String> {
    let mut reader = csv::Reader::from_path(folder.join(file)).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name);
    let (round, uid, value) = (at("round").unwrap(), at("uid"), at(name).unwrap());
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        let uid = uid.map_or(String::new(), |uid| row[uid].to_string());
        ((row[round].parse().unwrap(), uid), row[value].to_string())
    });
    rows.collect()
}

/// Simulates a network into `simulated`, runs it as processes into `launched`, and compares what both tell of every round.
/// Gauntlet's ratings are compared in the rounds before `rated`.
fn assert_alike(folder: &Path, settings: &[&str], rated: u64) {
    let out = |command: &[&'static str]| done(folder, &[command, settings, &["--quiet"]].concat());
    out(&["run", "--out", "simulated", "--no-baseline"]);
    out(&["launch", "--out", "launched", "--clock", "virtual"]);
    let both = |file, name| ["simulated", "launched"].map(|run| column(&folder.join(run), file, name));
    for (file, name) in [
        ("rounds.csv", "replica_digest"),
        ("peers.csv", "status"),
        ("peers.csv", "aggregated"),
        ("peers.csv", "incentive"),
    ] {
        let [simulated, launched] = both(file, name);
        assert!(!simulated.is_empty());
        assert_eq!(simulated, launched, "{settings:?}: {name}");
    }
    if rated > 0 {
        let before = both("peers.csv", "rating_mu").map(|rows| {
            rows.into_iter().filter(|((round, _), _)| *round < rated).collect::<BTreeMap<(u64, String), String>>()
        });
        assert!(!before[0].is_empty());
        assert_eq!(before[0], before[1], "{settings:?}: rating_mu");
    }
}

/// Waits until something has happened, and fails if it does not in a time that nothing here should take.
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that does not outlive the test.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn terminate(&self) {
        let killed = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    fn output(mut self) -> Output {
        let output = read_all(&mut self.0);
        let status = self.0.wait().unwrap();
        Output { status, ..output }
    }
}

fn read_all(child: &mut Child) -> Output {
    use std::io::Read;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status: Default::default(), stdout, stderr }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("parity.toml"), SCENARIO).unwrap();
    folder
}

#[test]
fn processes_make_the_models_that_the_simulator_makes() {
    let folder = folder();
    let folder = folder.path();
    assert_alike(folder, &["parity.toml"], 24);
    let [simulated, launched] =
        ["simulated", "launched"].map(|run| column(&folder.join(run), "peers.csv", "proof_of_computation"));
    assert_eq!(simulated, launched);
    // The standby took over from the lead, and peers were aggregated under it.
    let aggregated = column(&folder.join("launched"), "rounds.csv", "aggregated");
    assert_eq!(aggregated.len(), 24);
    assert!((14..24).all(|round| aggregated[&(round, String::new())] != "0"), "{aggregated:?}");
    assert!(folder.join("launched/plots/loss.svg").exists());
    let verified = refused(folder, &["verify", "launched"]);
    assert!(verified.0 == Some(1) && verified.1.contains("a real run"), "{verified:?}");
}

/// Under other mechanisms, and with Muon inside.
#[test]
fn processes_judge_as_the_simulator_does_under_other_settings() {
    for setting in
        ["mechanism=templar-v2", "mechanism=marginal", "scheme={kind='sparseloco', inner='muon', inner_steps=2}"]
    {
        let settings = ["parity.toml", "--rounds", "16", "--set", setting, "--set", "mechanism.evaluated_fraction=0.5"];
        assert_alike(folder().path(), &settings, 0);
    }
}

#[test]
fn a_stopped_launch_goes_on() {
    let folder = folder();
    let folder = folder.path();
    let args = ["launch", "parity.toml", "--out", "launched", "--clock", "virtual", "--quiet", "--rounds", "60"];
    let args = [&args[..], &["--set", "validators.0.leaves=50"]].concat();
    let launch = Running::start(sim(folder, &args));
    wait_for("round 6", || folder.join("launched/bucket/rounds/00000006/record").exists());
    launch.terminate();
    let output = launch.output();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("the same command resumes"), "{said}");
    done(folder, &args);
    let losses = column(&folder.join("launched"), "rounds.csv", "loss");
    let rounds: Vec<u64> = losses.keys().map(|(round, _)| *round).collect();
    assert_eq!(rounds, (0..60).collect::<Vec<_>>());
    let measured: Vec<f64> = losses.values().filter_map(|loss| loss.parse().ok()).collect();
    assert!(measured.last().unwrap() + 0.3 < measured[0], "{measured:?}");
    let status = String::from_utf8(done(folder, &["status", "--bucket", "launched/bucket"]).stdout).unwrap();
    assert!(status.contains("60 of 60 rounds done") && !status.contains("DIFFERENT MODEL"), "{status}");
}

/// A network whose first validator leaves after 24 rounds.
const LEAVING: [&str; 11] = [
    "launch",
    "parity.toml",
    "--out",
    "launched",
    "--clock",
    "virtual",
    "--quiet",
    "--set",
    "validators.0.leaves=24",
    "--set",
    "training.keep_rounds=24",
];

/// Launches it and stops it after round 6.
fn launch_until_round_6(folder: &Path) {
    let launch = Running::start(sim(folder, &LEAVING));
    wait_for("round 6", || folder.join("launched/bucket/rounds/00000006/record").exists());
    launch.terminate();
    assert_eq!(launch.output().status.code(), Some(143));
}

/// The records that are in a bucket, by round.
fn records(bucket: &Path) -> BTreeMap<u64, RoundRecord> {
    let rounds = std::fs::read_dir(bucket.join("rounds")).unwrap();
    let records = rounds.map(|round| {
        let bytes = std::fs::read(round.unwrap().path().join("record")).unwrap();
        let (record, _) = sealed::open::<RoundRecord>("record", &bytes, 1 << 20).unwrap();
        (record.round, record)
    });
    records.collect()
}

#[test]
fn nodes_of_ones_own_meet_in_a_bucket() {
    let folder = folder();
    let folder = folder.path();
    let hotkey = |file: &str| {
        let made = String::from_utf8(done(folder, &["key", "new", file]).stdout).unwrap();
        let shown = String::from_utf8(done(folder, &["key", "show", file]).stdout).unwrap();
        assert_eq!(made, shown);
        made.trim().to_string()
    };
    let validator = hotkey("validator.key");
    let again = refused(folder, &["key", "new", "validator.key"]);
    assert!(again.0 == Some(2) && again.1.contains("not overwritten"), "{again:?}");

    std::fs::write(
        folder.join("small.toml"),
        "name = 'small'\nrounds = 4\nmodel.preset = 'nano'\n[[peers]]\ncount = 2\n",
    )
    .unwrap();
    let own = format!("file://{}/buckets", folder.display());
    let allowed = format!("chain.peer_buckets=['{own}/']");
    let genesis = |more: &[&str]| {
        let mut args = vec!["genesis", "small.toml", "--bucket", "bucket"];
        for set in [
            "training.pages_per_round=4",
            "protocol.top_peers=2",
            "protocol.min_peers=1",
            "protocol.put_window_seconds=1",
            "chain.block_seconds=1",
            "chain.blocks_per_round=2",
            &allowed,
        ] {
            args.extend(["--set", set]);
        }
        args.extend(more);
        args.into_iter().map(String::from).collect::<Vec<_>>()
    };
    let run = |args: &[String]| refused(folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let unnamed = run(&genesis(&[]));
    assert!(unnamed.0 == Some(2) && unnamed.1.contains("validator 0 has no hotkey"), "{unnamed:?}");
    let named = format!("validators.0.hotkey={validator}");
    let args = genesis(&["--set", "validators.0.stake=10", "--set", &named]);
    assert_eq!(run(&args).0, Some(0));
    assert_eq!(run(&args).0, Some(0), "the same run again");
    let other = run(&genesis(&["--set", "validators.0.stake=10", "--set", &named, "--seed", "2"]));
    assert!(other.0 == Some(2) && other.1.contains("another run is in it"), "{other:?}");

    let node = |args: &[&str]| Running::start(sim(folder, &[args, &["--bucket", "bucket", "--threads", "1"]].concat()));
    hotkey("a.key");
    hotkey("b.key");
    let not_one = refused(folder, &["validator", "--bucket", "bucket", "--key", "a.key"]);
    assert!(not_one.0 == Some(2) && not_one.1.contains("no validator of this run"), "{not_one:?}");
    let other_run = refused(folder, &["peer", "--bucket", "bucket", "--key", "a.key", "--run", "none"]);
    assert!(other_run.0 == Some(2) && other_run.1.contains("--run none: the run in"), "{other_run:?}");
    let no_peer = refused(folder, &["peer", "--bucket", "bucket", "--key", "validator.key"]);
    assert!(no_peer.0 == Some(2) && no_peer.1.contains("is a validator of this run"), "{no_peer:?}");
    let third = hotkey("c.key");
    let elsewhere = refused(folder, &["peer", "--bucket", "bucket", "--key", "c.key", "--own-bucket", "elsewhere"]);
    assert!(elsewhere.0 == Some(2) && elsewhere.1.contains("chain.peer_buckets"), "{elsewhere:?}");
    // Somebody who may write in the folder squats where a record belongs.
    let squatted = folder.join("bucket/rounds/00000002/record");
    std::fs::create_dir_all(squatted.parent().unwrap()).unwrap();
    std::fs::write(&squatted, "no record").unwrap();
    // Two in one process, on one copy of the model; one keeps its uploads in a bucket of its own.
    let peers = node(&["peer", "--key", "a.key", "--key", "b.key"]);
    let other = node(&["peer", "--key", "c.key", "--own-bucket", &format!("{own}/c")]);
    let validators = node(&["validator", "--key", "validator.key", "--start-in", "1", "--metrics", "127.0.0.1:0"]);
    for process in [peers, other, validators] {
        let output = process.output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("done"), "{said}");
    }
    let status = String::from_utf8(done(folder, &["status", "--bucket", "bucket"]).stdout).unwrap();
    assert!(status.contains("4 of 4 rounds done") && status.contains(&validator[..12]), "{status}");
    done(folder, &["collect", "--bucket", "bucket", "--out", "collected", "--quiet"]);
    let uploads = column(&folder.join("collected"), "rounds.csv", "uploads");
    assert_eq!(uploads.len(), 4);
    assert_ne!(std::fs::read(squatted).unwrap(), b"no record", "the validator has put its record there");
    let status = column(&folder.join("collected"), "peers.csv", "status");
    assert_eq!(status.keys().filter(|(round, _)| *round == 3).count(), 3);
    assert!(uploads.values().any(|found| found == "3"), "{uploads:?}");
    assert!(folder.join(format!("buckets/c/nodes/{third}/rounds")).exists());
    assert!(!folder.join(format!("bucket/nodes/{third}/rounds")).exists());
}

#[test]
fn what_is_wrong_is_told() {
    let folder = folder();
    let folder = folder.path();
    let none = refused(folder, &["status", "--bucket", "nowhere"]);
    assert!(none.0 == Some(2) && none.1.contains("no such folder"), "{none:?}");
    std::fs::create_dir(folder.join("empty")).unwrap();
    let empty = refused(folder, &["peer", "--bucket", "empty", "--as", "0"]);
    assert!(empty.0 == Some(1) && empty.1.contains("there is no run"), "{empty:?}");
    let scheme = refused(folder, &["status", "--bucket", "ftp://host/bucket"]);
    assert!(scheme.0 == Some(2) && scheme.1.contains("s3://BUCKET/PATH"), "{scheme:?}");
    std::fs::write(folder.join("empty/stray"), "something else").unwrap();
    let key = "validators.0.hotkey=9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let stray = refused(folder, &["genesis", "parity.toml", "--bucket", "empty", "--set", key]);
    assert!(stray.0 == Some(2) && stray.1.contains("validator 1 has no hotkey"), "{stray:?}");
    let second = "validators.1.hotkey=3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let stray = refused(folder, &["genesis", "parity.toml", "--bucket", "empty", "--set", key, "--set", second]);
    assert!(stray.0 == Some(2) && stray.1.contains("not empty and has no run"), "{stray:?}");
    let behaviour = refused(folder, &["peer", "--bucket", "empty", "--key", "k", "--behaviour", "lasy"]);
    assert!(behaviour.0 == Some(2) && behaviour.1.contains("lazy"), "{behaviour:?}");
    let remote = refused(folder, &["launch", "parity.toml", "--clock", "virtual", "--bucket", "s3://b/c"]);
    assert!(remote.1.contains("needs a folder"), "{remote:?}");
}
