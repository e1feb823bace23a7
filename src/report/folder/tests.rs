//! Tests of run folders: write, read, resume, damage.

use super::*;
use crate::report::sample;

fn written(root: &Path, run: &RunData) -> RunFolder {
    let mut folder = RunFolder::create(root, &run.manifest.columns).unwrap();
    folder.write_manifest(&run.manifest).unwrap();
    for round in &run.rounds {
        let peers: Vec<_> = run.peers.iter().filter(|row| row.round == round.round).cloned().collect();
        folder.append_round(round, &peers).unwrap();
    }
    run.baseline.iter().for_each(|row| folder.append_baseline(row).unwrap());
    folder
}

#[test]
fn a_run_reads_back_to_the_last_bit() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = sample::copycat();
    let root = dir.path().join("copycat-1");
    let folder = written(&root, &run);
    folder.write_leaderboard(&run.leaderboard).unwrap();
    run.name = "copycat-1".into();
    let back = load(&root).unwrap();
    assert_eq!(back.manifest, run.manifest);
    assert_eq!(back.rounds, run.rounds);
    assert_eq!(back.leaderboard, run.leaderboard);
    run.peers.iter_mut().for_each(|row| row.owner = 0);
    assert_eq!(back, run);
}

#[test]
fn an_existing_run_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    drop(RunFolder::create(dir.path(), &[]).unwrap());
    let message = RunFolder::create(dir.path(), &[]).unwrap_err().to_string();
    assert!(message.contains("--out DIR") && message.contains("--resume"), "{message}");
    let file = dir.path().join("rounds.csv");
    let told = |path: &std::path::Path| RunFolder::create(path, &[]).unwrap_err().to_string();
    for path in [file.join("run"), file] {
        assert_eq!(told(&path), format!("{}: it is no folder; choose another with --out DIR", path.display()));
    }
}

#[test]
fn resuming_drops_unfinished_rounds() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = sample::copycat();
    run.manifest.finished = false;
    drop(written(dir.path(), &run));
    let (mut folder, manifest) = RunFolder::open(dir.path()).unwrap();
    assert_eq!(manifest, run.manifest);
    folder.truncate_to(100).unwrap();
    folder.truncate_baseline_to(120).unwrap();
    let cut = load(dir.path()).unwrap();
    assert_eq!((cut.rounds.len(), cut.peers.len(), cut.baseline.len()), (100, 1600, 120));
    assert_eq!(cut.leaderboard, Leaderboard::of(&cut.manifest.columns, &cut.peers).rows());
    folder.append_round(&run.rounds[100], &run.peers[1600..1616]).unwrap();
    assert_eq!(load(dir.path()).unwrap().rounds[100], run.rounds[100]);
}

#[test]
fn a_folder_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(MANIFEST), r#"{"format": 9, "version": "3.1.0", "unknown": []}"#).unwrap();
    let message = RunFolder::open(dir.path()).unwrap_err().to_string();
    assert!(message.contains("written by gauntlet 3.1.0") && message.contains("format 9"), "{message}");
    std::fs::write(dir.path().join(MANIFEST), "{\"format\": 2,\n \"version\": }").unwrap();
    let message = load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("manifest.json: ") && message.contains("line 2"), "{message}");
    let message = load(&dir.path().join("nothing")).unwrap_err().to_string();
    assert!(message.contains("is no run folder"), "{message}");
}

#[test]
fn a_byte_order_mark_before_a_manifest_is_no_damage_and_an_empty_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let run = sample::copycat();
    drop(written(dir.path(), &run));
    let path = dir.path().join(MANIFEST);
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, [b"\xef\xbb\xbf", &text[..]].concat()).unwrap();
    assert_eq!(load(dir.path()).unwrap().manifest, run.manifest);
    for (text, expected) in [("", "empty"), ("{\"format\": 1,", "not JSON: it ends within a")] {
        std::fs::write(&path, text).unwrap();
        let message = load(dir.path()).unwrap_err().to_string();
        assert!(message.contains(&format!("manifest.json: {expected}")), "{message}");
        assert!(message.ends_with("; restore the file, or run the scenario again"), "{message}");
    }
}

#[test]
fn a_manifest_without_columns_has_those_of_its_mechanism() {
    let dir = tempfile::tempdir().unwrap();
    let run = sample::copycat();
    drop(written(dir.path(), &run));
    let path = dir.path().join(MANIFEST);
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("columns");
    std::fs::write(&path, json.to_string()).unwrap();
    assert_eq!(load(dir.path()).unwrap().manifest, run.manifest);
    json["scenario"]["mechanism"] = "mine".into();
    std::fs::write(&path, json.to_string()).unwrap();
    let message = load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("manifest.json: ") && message.contains("`mine`"), "{message}");
    json["columns"] = serde_json::json!([{"name": "status", "label": "", "kind": "standing"}]);
    std::fs::write(&path, json.to_string()).unwrap();
    let message = load(dir.path()).unwrap_err().to_string();
    assert!(message.contains("\"status\" has the name of another column"), "{message}");
}

#[test]
fn other_files_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(dir.path(), &[]).unwrap();
    assert_eq!(folder.read("checkpoint.bin").unwrap(), None);
    folder.write("checkpoint.bin", &[1, 2, 3]).unwrap();
    assert_eq!(folder.read("checkpoint.bin").unwrap(), Some(vec![1, 2, 3]));
}
