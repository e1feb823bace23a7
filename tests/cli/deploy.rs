//! The files of deploy/ for clusters, run with this program in place of a cluster's.
#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::stopped::{signal, wait_until};
use super::{Place, told};

const SWEEP: &str = "net.toml --rounds 4 --grid peers.1.count=1,2";

fn deployed(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Puts a script into a folder of programs.
fn program(place: &Place, name: &str, script: &str) {
    let path = place.path("bin").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A folder with `sim` and `scontrol` as programs. `sim` of a node only reads its options.
fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_sim"), place.path("bin/real-sim")).unwrap();
    let sim =
        "case $1 in peer|validator) echo \"$@\" >> nodes; exec real-sim \"$@\" --help;; *) exec real-sim \"$@\";; esac";
    program(&place, "sim", sim);
    program(&place, "scontrol", "echo \"$@\" >> requeued");
    place
}

/// A shell with these words, the programs of the place and these variables.
fn shell(place: &Place, words: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(words[0]);
    let path = format!("{}:{}", place.path("bin").display(), std::env::var("PATH").unwrap());
    command.args(&words[1..]).current_dir(place.path("")).env("PATH", path).env_remove("RUST_LOG");
    command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn succeed(mut command: Command) -> String {
    let output: Output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A task of a Slurm array of two.
fn task(place: &Place, nth: &str, words: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/slurm/sweep.sbatch");
    let words: Vec<&str> = ["bash", script.to_str().unwrap()].into_iter().chain(words.split(' ')).collect();
    let variables = [
        ("OUT", "swept"),
        ("SLURM_ARRAY_TASK_ID", nth),
        ("SLURM_ARRAY_TASK_MAX", "2"),
        ("SLURM_ARRAY_JOB_ID", "77"),
        ("SLURM_CPUS_PER_TASK", "1"),
    ];
    shell(place, &words, &variables)
}

#[test]
fn a_slurm_array_sweeps_in_parts() {
    let place = place();
    assert!(succeed(task(&place, "1", SWEEP)).contains("the part that ends last writes the tables"));
    assert!(succeed(task(&place, "2", SWEEP)).contains("swept: sweep.csv"));
    assert!(!place.path("requeued").exists(), "both ended by themselves");

    // Before its time limit, Slurm stops a task, which queues itself again and then goes on.
    std::fs::remove_dir_all(place.path("swept")).unwrap();
    let long = SWEEP.replace("4", "2000");
    let mut child = task(&place, "1", &long).spawn().unwrap();
    wait_until(&mut child, || place.path("swept/sweep.json").exists());
    // By now the shell has set its trap: it did so before the sweep wrote its first file.
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), place.read("requeued")), (Some(0), "requeue 77_1\n".into()), "{}", told(&output));

    // Another command line is needed: that is not tried again.
    let output = task(&place, "1", "net.toml --grid rounds=0").output().unwrap();
    assert_eq!((output.status.code(), place.read("requeued").lines().count()), (Some(2), 1), "{}", told(&output));
}

#[test]
fn a_slurm_array_starts_nodes() {
    let place = place();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/slurm/node.sbatch");
    for role in ["peer", "validator"] {
        let variables = [("BUCKET", "s3://b"), ("STATE", "state"), ("SLURM_ARRAY_TASK_ID", "3"), ("ROLE", role)];
        succeed(shell(&place, &["bash", script.to_str().unwrap()], &variables));
    }
    assert!(place.path("state/peer-3/key").exists() && !place.path("state/validator-3/key").exists());
    let started = place.read("nodes");
    assert!(started.starts_with("peer --bucket s3://b --key state/peer-3/key --state state/peer-3 "), "{started}");
    assert!(started.contains("\nvalidator --bucket s3://b "), "{started}");
}

/// The scripts that a Kubernetes file gives to `sh -c`.
fn scripts(yaml: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    let mut lines = yaml.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "- |" {
            let indent = line.len() - line.trim_start().len() + 2;
            let mut script = String::new();
            while let Some(line) = lines.next_if(|line| line.len() > indent && line[..indent].trim().is_empty()) {
                script += &format!("{}\n", &line[indent..]);
            }
            scripts.push(script);
        }
    }
    scripts
}

#[test]
fn an_indexed_job_sweeps_in_parts() {
    let place = place();
    let yaml = deployed("kubernetes/sweep.yaml");
    let [script] = scripts(&yaml).try_into().unwrap();
    let script =
        script.replace("/scenario/scenario.toml", "net.toml --rounds 4 --quiet").replace("--seeds 5", "--seeds 1");
    for index in ["0", "1"] {
        let variables = [("INDEX", index), ("SHARDS", "2"), ("OUT", "swept")];
        succeed(shell(&place, &["sh", "-c", &script], &variables));
    }
    assert!(place.path("swept/sweep.csv").exists());
    let value = |key: &str| {
        let line = yaml.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {key}")).trim_matches('"').to_string()
    };
    assert_eq!([value("completions"), value("parallelism")], [value("SHARDS"), value("SHARDS")], "all parts run");
}

#[test]
fn indexed_jobs_start_nodes() {
    let place = place();
    let yaml = deployed("kubernetes/gauntlet.yaml");
    let [script] = scripts(&yaml).try_into().unwrap();
    let script = script.replace("/state", "state");
    std::fs::create_dir(place.path("state")).unwrap();
    let variables = [("BUCKET", "s3://b"), ("DEVICE", "cpu")];
    succeed(shell(&place, &["sh", "-c", &script], &variables));
    assert!(place.path("state/key").exists());

    let (_, args) = yaml.split_once("args:\n").unwrap();
    let args: Vec<&str> = args.lines().map_while(|line| line.trim().strip_prefix("- ")).collect();
    assert!(args[0] == "validator" && args.len() > 4, "{args:?}");
    succeed(shell(&place, &[&["sim"], &args[..]].concat(), &[]));
    assert!(place.read("nodes").contains("--state=/state"), "{}", place.read("nodes"));
}
