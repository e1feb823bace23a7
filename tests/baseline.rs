//! `sim baseline`: the steps that `sim run` makes beside its network, alone.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const NETWORK: &str = "name = 'net'\nseed = 3\nrounds = 12\n[model]\npreset = 'nano'\nsequence_length = 16\n\
                       [corpus]\nheld_out_pages = 7\n[training]\npages_per_round = 5\nmicro_batch = 2\n\
                       checkpoint_every = 4\n[protocol]\ntop_peers = 3\nmin_peers = 2\n[[peers]]\ncount = 4\n";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("net.toml"), NETWORK).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        command.args(words.split_whitespace()).current_dir(self.0.path()).env_remove("RUST_LOG");
        command
    }

    fn succeed(&self, words: &str) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "sim {words}: {}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn fail(&self, words: &str, expected: &str) {
        let output = self.command(words).output().unwrap();
        assert!(!output.status.success() && told(&output).contains(expected), "sim {words}: {}", told(&output));
    }

    fn losses(&self, run: &str) -> String {
        std::fs::read_to_string(self.path(run).join("baseline.csv")).unwrap()
    }

    fn digest(&self, run: &str) -> String {
        let text = std::fs::read_to_string(self.path(run).join("manifest.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["digest"].as_str().unwrap().to_string()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_is_the_baseline_of_a_run_on_any_number_of_threads() {
    let place = Place::new();
    place.succeed("run net.toml --quiet --out run");
    let table = place.succeed("baseline net.toml --threads 1");
    assert!(table.contains("AdamW") && table.contains("runs/net-3-baseline: manifest.json, baseline.csv, plots/"));
    place.succeed("baseline net.toml --quiet --threads 3 --out three");
    let losses = place.losses("run");
    assert_eq!(losses.lines().count(), 13);
    assert_eq!(losses.lines().filter(|line| !line.ends_with(',')).count(), 1 + 3);
    assert_eq!(place.losses("runs/net-3-baseline"), losses);
    assert_eq!(place.losses("three"), losses);
    assert_eq!(place.digest("runs/net-3-baseline"), place.digest("three"));
    let files: Vec<_> = std::fs::read_dir(place.path("three/plots")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(files, ["loss.svg"]);

    // Its models can be exported and evaluated as those of a run.
    let models = std::fs::read_dir(place.path("three/checkpoints")).unwrap();
    let mut models: Vec<_> = models.map(|model| model.unwrap().file_name().into_string().unwrap()).collect();
    models.sort();
    assert_eq!(models, ["round-000004", "round-000008", "round-000012"]);
    place.succeed("export three --to exported");
    assert!(place.path("exported/model.safetensors").exists());

    let digest = place.digest("three");
    assert_eq!(place.succeed("verify three --threads 2"), format!("three: verified, digest {digest}\n"));
    let file = place.path("three/manifest.json");
    let other = format!("{}{}", if digest.starts_with('0') { '1' } else { '0' }, &digest[1..]);
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace(&digest, &other)).unwrap();
    place.fail("verify three", "digests differ");

    // Beside its run it is the run's own; with another rate it is a line of its own.
    place.succeed("plot run three");
    let both = std::fs::read_to_string(place.path("plots/compare-loss.svg")).unwrap();
    assert!(both.contains("central AdamW on as many tokens") && !both.contains("central AdamW: three"));
    place.succeed("baseline net.toml --quiet --set baseline.lr=1e-2 --out faster");
    place.succeed("plot run faster");
    let both = std::fs::read_to_string(place.path("plots/compare-loss.svg")).unwrap();
    assert!(both.contains("AdamW beside run") && both.contains("central AdamW: faster"));
    place.fail("baseline net.toml", "runs/net-3-baseline exists");
}

/// Averages have a column, a line and models of their own; rounds are counted, not steps.
#[test]
fn averages_of_models_are_written_drawn_and_exported() {
    let place = Place::new();
    let set = "--set training.average=0.9 --set training.eval_every=4 --set baseline.steps_per_round=2";
    place.succeed(&format!("run net.toml --quiet --out run {set}"));
    place.succeed(&format!("baseline net.toml --quiet --out alone {set}"));
    assert_eq!(place.losses("alone"), place.losses("run"));
    assert!(place.losses("run").starts_with("round,lr,loss,average_loss\n"));
    let rounds = std::fs::read_to_string(place.path("run/rounds.csv")).unwrap();
    assert!(rounds.lines().next().unwrap().ends_with(",replica_digest,average_loss"), "{rounds}");
    assert_eq!(rounds.lines().skip(1).filter(|line| !line.ends_with(',')).count(), 3);
    let picture = std::fs::read_to_string(place.path("run/plots/loss.svg")).unwrap();
    for whose in ["the network", "the central trainer"] {
        assert!(picture.contains(&format!("average of the last models of {whose} (factor 0.9)")), "{whose}");
    }
    for run in ["run", "alone"] {
        let models = |folder: &str| std::fs::read_dir(place.path(run).join(folder)).unwrap().count();
        assert_eq!((models("averages"), models("checkpoints")), (3, 3));
        place.succeed(&format!("export {run} --average --to {run}-average"));
        place.succeed(&format!("export {run} --to {run}-last"));
        let weights = |kind: &str| std::fs::read(place.path(&format!("{run}-{kind}/model.safetensors"))).unwrap();
        assert_ne!(weights("average"), weights("last"));
    }
    place.succeed("run net.toml --quiet --out plain");
    place.fail("export plain --average --to none", "--average: plain is of a run without training.average");
    place.fail("export run-last --average --to none", "only the folder of a simulated run has averages");
    place.fail("run net.toml --set training.average=1", "training.average");
    assert!(place.losses("plain").starts_with("round,lr,loss\n"));
    // A baseline of several steps a round goes on for more rounds.
    place.succeed("resume alone --rounds 16 --quiet");
    assert_eq!(place.losses("alone").lines().count(), 17);
}

#[test]
fn the_number_of_devices_does_not_matter() {
    let place = Place::new();
    place.succeed("run net.toml --quiet --rounds 4 --device cpu-f32 --out run");
    for devices in ["cpu-f32", "cpu-f32,cpu-f32", "cpu-f32,cpu-f32,cpu-f32"] {
        place.succeed(&format!("baseline net.toml --quiet --rounds 4 --devices {devices} --out {devices}"));
        assert_eq!(place.losses(devices), place.losses("run"));
    }
    place.fail("baseline net.toml --devices cpu,cpu-f32", "expected devices of one kind");
    place.fail("baseline net.toml --devices gpu", "device `gpu`");
    place.fail("baseline net.toml --device cpu-f32 --threads 2", "--threads is for `--device cpu`");
    assert!(!place.path("runs").exists(), "nothing is begun");
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_it_goes_on_from_there() {
    let place = Place::new();
    let words = "baseline net.toml --rounds 1500 --out stopped --threads 2";
    let mut child = place.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = || std::fs::read_to_string(place.path("stopped/baseline.csv")).map_or(0, |text| text.lines().count());
    while lines() < 3 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(130), "{printed}{}", told(&output));
    assert!(printed.contains("saved in stopped"), "{printed}");
    assert!(place.path("stopped/baseline.bin").exists());
    place.fail("verify stopped", "sim baseline ... --resume");
    place.fail("run net.toml --rounds 1500 --out stopped --resume", "begun by `sim baseline`");
    place.fail(&format!("{words} --seed 9 --resume"), "`seed = 3` then, `seed = 9` now");
    // The very line that it printed.
    let (_, line) = printed.split_once("to resume: ").unwrap();
    let resumed = Command::new("sh").arg("-c").arg(line).current_dir(place.path("")).output().unwrap();
    assert!(resumed.status.success(), "{}", told(&resumed));
    assert!(place.path("stopped/baseline.bin").exists(), "a longer run goes on from it");
    place.succeed("baseline net.toml --rounds 1500 --quiet --out whole");
    assert_eq!(place.losses("stopped"), place.losses("whole"));
    assert_eq!(place.digest("stopped"), place.digest("whole"));
    place.fail(&format!("{words} --resume"), "the run is finished");
}
