//! The program as a user types it.

mod attack;
mod commands;
mod deploy;
mod doctor;
mod resumed;
mod runs;
mod shell;
mod stopped;
mod sweep;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(unix)]
mod watch;

use std::path::PathBuf;
use std::process::{Command, Output};

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

[protocol]
top_peers = 4
min_peers = 2

[mechanism]
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
    (
        "rounds.csv",
        "round,virtual_seconds,lr,loss,train_loss,aggregated,uploads,forward_passes,bytes_up,bytes_down,replica_digest",
    ),
    (
        "peers.csv",
        "round,uid,behaviour,status,steps_behind,loss_score_assigned,loss_score_unassigned,rating_mu,rating_sigma,\
         proof_of_computation,peer_score,incentive,aggregated,tokens,bytes_up,bytes_down",
    ),
    (
        "leaderboard.csv",
        "uid,behaviour,incentive_final,incentive_total,peer_score,rating_mu,rating_sigma,proof_of_computation,\
         rounds_aggregated,rounds_failed,rounds_registered,tokens,bytes_up,bytes_down,work,pay,profit",
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
        assert!(!["panicked", "os error", "usize"].iter().any(|word| told.contains(word)), "{told}");
    }

    fn manifest(&self, run: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(&format!("{run}/manifest.json"))).unwrap()
    }

    /// Both runs have the same digest and the same lines.
    fn assert_same_runs(&self, run: &str, other: &str) {
        assert!(self.path(run).join("baseline.csv").exists());
        self.assert_same_whole(run, other);
    }

    /// The same of runs that may have no baseline.
    fn assert_same_whole(&self, run: &str, other: &str) {
        assert_eq!(self.manifest(run)["digest"], self.manifest(other)["digest"]);
        for (file, _) in CSV.iter().filter(|(file, _)| self.path(run).join(file).exists()) {
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
