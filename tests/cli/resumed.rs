//! Runs that go on by what their folder says, for longer than was asked, and folders that lost something.

use super::stopped::{rounds, start, wait_until};
use super::{CSV, Place, told};

/// The lines of a table, without the cells of the losses that are measured because a run ends.
fn lines(place: &Place, run: &str, file: &str) -> Vec<String> {
    place.read(&format!("{run}/{file}")).lines().map(str::to_string).collect()
}

#[test]
fn a_finished_run_goes_on_for_longer_as_if_it_had_been_asked_to() {
    let place = Place::new();
    place.succeed("run net.toml --rounds 20 --out run --quiet");
    let message = "run: the run is finished after 20 rounds; `sim resume run --rounds N` continues it to N rounds, which must \
                   be more";
    place.fail("resume run", 2, &[message]);
    place.fail("resume run --rounds 20", 2, &[message]);
    let printed = place.succeed("resume run --rounds 35");
    assert!(printed.contains("Who was paid") && place.manifest("run")["finished"] == true, "{printed}");
    assert_eq!([&place.manifest("run")["rounds_done"], &place.manifest("run")["scenario"]["rounds"]], [35, 35]);
    place.succeed("resume run --rounds 40 --quiet");
    // The rate of learning keeps its schedule. The name of a run is in what its nodes sign, and so in its digest.
    place.succeed("run net.toml --set training.schedule_rounds=20 --out whole --quiet");
    for (file, _) in CSV {
        assert_eq!(lines(&place, "run", file), lines(&place, "whole", file), "{file}");
    }
    assert!(place.succeed("verify run").starts_with("run: verified, digest "));

    place.succeed("baseline net.toml --rounds 10 --out central --quiet");
    place.succeed("resume central --rounds 20 --quiet");
    assert_eq!(lines(&place, "central", "baseline.csv").len(), 21);
    place.succeed("verify central");
}

#[test]
fn a_killed_run_goes_on_by_its_folder_alone() {
    let place = Place::new();
    place.succeed("run net.toml --out whole --quiet");
    let mut child = start(&place, "run net.toml --out killed --threads 1");
    wait_until(&mut child, || place.path("killed/checkpoint.bin").exists() && rounds(&place, "killed") > 8);
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(place.path("net.toml")).unwrap();
    place.fail("resume killed --rounds 3", 2, &["--rounds 3: ", " rounds of killed are done; expected "]);
    place.succeed("resume killed --quiet");
    place.assert_same_runs("killed", "whole");
}

#[test]
fn lost_lines_and_files_are_mended_or_refused() {
    let place = Place::new();
    place.succeed("run net.toml --rounds 20 --out run --quiet");
    let whole = |file: &str| place.read(&format!("run/{file}"));
    let (peers, rounds, leaderboard) = (whole("peers.csv"), whole("rounds.csv"), whole("leaderboard.csv"));
    let write = |file: &str, text: &str| std::fs::write(place.path("run").join(file), text).unwrap();
    let without = |text: &str, nth: usize| {
        let lines = text.lines().enumerate().filter(|(line, _)| line + 1 != nth);
        lines.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };

    // What is made of other files is made again.
    std::fs::remove_file(place.path("run/leaderboard.csv")).unwrap();
    place.succeed("plot run");
    assert_eq!(whole("leaderboard.csv"), leaderboard);
    write("leaderboard.csv", &without(&leaderboard, 3));
    place.succeed("plot run");
    assert_eq!(whole("leaderboard.csv"), leaderboard);

    let read = "; restore the file, or run the scenario again\n";
    let resumed = "; restore the file, or remove checkpoint.bin: then `sim resume` starts from the first round\n";
    let first = peers.lines().nth(20).unwrap();
    let mut of_first = first.split(',').map(|cell| cell.parse::<u64>().unwrap_or(0));
    let (round, uid) = (of_first.next().unwrap(), of_first.next().unwrap());
    for (file, text, message) in [
        (
            "peers.csv",
            without(&peers, 21),
            format!(
                "run/peers.csv, line {}: the line of uid {uid} for round {round} is missing",
                2 + 6 * (round + 1) - 1
            ),
        ),
        (
            "peers.csv",
            peers.lines().take(1 + 6 * 11).map(|line| format!("{line}\n")).collect(),
            "run/peers.csv, line 68: the line of uid 0 for round 11 is missing".into(),
        ),
        ("rounds.csv", without(&rounds, 9), "run/rounds.csv, line 9: expected round 7, found round 8".into()),
    ] {
        let kept = whole(file);
        write(file, &text);
        for words in ["plot run", "verify run"] {
            place.fail(words, 1, &[&format!("error: {message}{read}")]);
        }
        place.fail("resume run --rounds 30", 1, &[&format!("error: {message}{resumed}")]);
        // It was not begun, but for its new length.
        write(file, &kept);
    }
    write("baseline.csv", &without(&whole("baseline.csv"), 5));
    let message = "error: run/baseline.csv, line 5: expected round 3, found round 4; restore the file, or remove \
                   baseline.bin: then `sim resume` trains AdamW from its first step\n";
    place.fail("resume run --rounds 30", 1, &[message]);
    std::fs::remove_file(place.path("run/baseline.bin")).unwrap();

    let mut checkpoint = std::fs::read(place.path("run/checkpoint.bin")).unwrap();
    let middle = checkpoint.len() / 2;
    checkpoint[middle] ^= 1;
    std::fs::write(place.path("run/checkpoint.bin"), checkpoint).unwrap();
    let message = "error: run/checkpoint.bin: its digest does not match: it is damaged; restore the file, or remove \
                   checkpoint.bin: then `sim resume` starts from the first round; the newest model that is whole, after \
                   20 rounds, is run/checkpoints/round-000020: `--set model.init=run/checkpoints/round-000020` starts a \
                   new run from it\n";
    place.fail("resume run --rounds 30", 1, &[message]);
    // The way on that it names.
    std::fs::remove_file(place.path("run/checkpoint.bin")).unwrap();
    let output = place.sim("resume run --rounds 30 --quiet");
    assert_eq!(told(&output), "run: no checkpoint in it; starting from the first round\n");
    place.succeed("run net.toml --rounds 30 --set training.schedule_rounds=20 --out again --quiet");
    for (file, _) in CSV {
        assert_eq!(lines(&place, "run", file), lines(&place, "again", file), "{file}");
    }

    let manifest = whole("manifest.json");
    write("manifest.json", &manifest[..manifest.len() / 2]);
    for words in ["plot run", "resume run", "verify run"] {
        place.fail(words, 1, &["run/manifest.json: ", "; restore the file, or run the scenario again\n"]);
    }
}

#[test]
fn the_same_corpus_by_another_name_is_the_same_run() {
    let place = Place::new();
    let text: String = (0..4000).map(|line| format!("line {line} of a text that repeats itself\n")).collect();
    std::fs::write(place.path("text.txt"), &text).unwrap();
    let settings = "--set corpus.kind=text --no-baseline --quiet --rounds 30 --set corpus.path";
    let mut child = start(&place, &format!("run net.toml {settings}=text.txt --out run --threads 1"));
    wait_until(&mut child, || place.path("run/checkpoint.bin").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::create_dir(place.path("folder")).unwrap();
    let resume = format!("run net.toml {settings}=folder/../text.txt --out run --resume");
    std::fs::write(place.path("text.txt"), text.replace("line", "LINE")).unwrap();
    let other = "its run has other data: corpus.path, corpus.tokenizer or model.init names other bytes than when it was \
                 started";
    place.fail(&resume, 2, &[&format!("error: run: {other}\n")]);
    std::fs::write(place.path("text.txt"), &text).unwrap();
    place.succeed(&resume);
    place.succeed(&format!("run net.toml {settings}=text.txt --out whole"));
    place.assert_same_whole("run", "whole");
}

#[test]
fn a_run_that_has_diverged_says_so_and_ends_with_a_code_of_its_own() {
    let place = Place::new();
    let run = |words: &str| {
        let output = place.sim(&format!("run net.toml --rounds 12 --set training.eval_every=3 {words}"));
        assert_eq!(output.status.code(), Some(3), "{words}: {}", told(&output));
        (told(&output), String::from_utf8(output.stdout).unwrap())
    };
    let (told, printed) = run("--no-baseline --set training.lr=1e3 --out network");
    let said = "the network has diverged: its loss ";
    assert!(told.starts_with(&format!("error: {said}")), "{told}");
    assert!(told.ends_with("; try a smaller training.lr than 1000\n") && printed.contains(said), "{told}{printed}");
    assert!(place.read("network/plots/loss.svg").contains("diverged in round"));
    assert!(place.read("network/report.html").contains(said));
    let (told, printed) = run("--set baseline.lr=1e4 --quiet --out baseline");
    let message = "AdamW has diverged: its loss is NaN from round 5 on; try a smaller baseline.lr than 10000\n";
    assert_eq!((told, printed), (format!("error: {message}"), String::new()));
    let (told, _) =
        run("--no-baseline --set scheme=sparseloco --set scheme.inner_steps=4 --set training.lr=1e3 --out idle");
    let message = "error: the network has diverged: nothing is aggregated from round 2 on, as 47 of 47 uploads are \
                   malformed; values that are not finite make them so; try a smaller training.lr than 1000\n";
    assert_eq!(told, message);
}
