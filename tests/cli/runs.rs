//! Runs from their start to their pictures.

use std::path::Path;

use super::{CSV, Place};

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

#[test]
fn a_run_from_start_to_verification() {
    let place = Place::new();
    let summary = place.succeed("run net.toml --rounds 12 --set training.eval_every=4");
    for expected in ["honest", "copycat", "AdamW", "runs/net-3", "profit", "Gini"] {
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
    // What a longer run goes on from.
    assert!(place.path("runs/net-3/checkpoint.bin").exists() && place.path("runs/net-3/baseline.bin").exists());
    assert!(!place.path("runs/net-3/ended-12.bin").exists());
    for picture in ["loss", "incentive", "work", "rating", "proof", "status", "bytes"] {
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
    assert_eq!(
        drawn,
        ["", "-tokens", "-bytes", "-time", "-late"].map(|by| format!("plots/compare-loss{by}.svg\n")).concat()
    );
    let both = place.read("plots/compare-loss.svg");
    assert!(both.contains("net (2 seeds)"));
    place.succeed("plot runs/net-1 runs/net-2 --out elsewhere");
    assert_eq!(place.read("elsewhere/compare-loss.svg"), both);
}

#[test]
fn a_run_explains_whom_it_paid() {
    let place = Place::new();
    place.succeed("run net.toml --quiet --rounds 8 --no-baseline --out run");
    let story = place.succeed("explain run --peer 5");
    for expected in
        ["uid 5 of run: 8 of 8 rounds, judged by `gauntlet`", "(offline, key ", "In all, 8 rounds: ", "Cost: "]
    {
        assert!(story.contains(expected), "no {expected:?} in {story}");
    }
    let copycat = place.succeed("explain run --peer 4");
    assert!(copycat.contains("trained on 0 tokens, 0 times a mean honest peer's"), "{copycat}");
    let round = place.succeed("explain run --peer 4 --round 7");
    assert!(round.contains("| ->") && round.contains("a mean honest peer"), "{round}");
    place.fail("explain run --peer 9", 2, &["run: no peer has held uid 9; there are uids 0 to 5"]);
    place.fail("explain run --peer 0 --round 8", 2, &["round 8 is not one of its 8; expected 0 to 7"]);
    place.fail("explain net.toml --peer 0", 1, &["net.toml is no run folder"]);
}

#[test]
fn a_mechanism_writes_and_draws_its_own_numbers() {
    let place = Place::new();
    let printed = place.succeed("run net.toml --rounds 6 --no-baseline --set mechanism=equal --out equal");
    assert!(!printed.contains("rating") && !printed.contains("proof"), "{printed}");
    let header = |file: &str| place.read(file).lines().next().unwrap().to_string();
    assert_eq!(
        header("equal/peers.csv"),
        "round,uid,behaviour,status,steps_behind,incentive,aggregated,tokens,bytes_up,bytes_down"
    );
    assert_eq!(place.manifest("equal")["columns"], serde_json::json!([]));
    assert!(!place.path("equal/plots/rating.svg").exists() && place.path("equal/plots/incentive.svg").exists());

    let printed = place.succeed("run net.toml --rounds 6 --no-baseline --set mechanism=templar-v2 --out templar");
    assert!(printed.contains("negative evaluations"), "{printed}");
    assert!(header("templar/leaderboard.csv").contains(",proof_of_computation,negative_evaluations,rounds_aggregated"));
    let drawn = place.read("templar/plots/negative-evaluations.svg");
    place.succeed("publish templar --to published");
    assert_eq!(place.read("published/plots/negative-evaluations.svg"), drawn);

    let text = place.read("templar/peers.csv");
    let line = text.lines().nth(1).unwrap();
    let mut cells: Vec<&str> = line.split(',').collect();
    cells[7] = "quarter";
    std::fs::write(place.path("templar/peers.csv"), text.replacen(line, &cells.join(","), 1)).unwrap();
    place.fail("plot templar", 1, &["templar/peers.csv, line 2: column rating_mu: ", "\"quarter\""]);
}

#[cfg(unix)]
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
