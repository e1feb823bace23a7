//! Sweeps and searches whose parts meet in a bucket.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use super::commands::{Place, told};
use super::s3::{BUCKET, S3Server};

const SWEEP: &str = "sweep net.toml --quiet --grid rounds=2,3 --seeds 2";
const ATTACK: &str = "attack net.toml --quiet --budget 6";

/// Runs it against the server; it must succeed. What it printed.
fn succeed(place: &Place, server: &S3Server, words: &str) -> String {
    let output = place.on(server, words).output().unwrap();
    assert!(output.status.success(), "sim {words}: {}", told(&output).1);
    String::from_utf8(output.stdout).unwrap()
}

/// Runs both parts of a command at the same time.
fn in_two_parts(place: &Place, server: &S3Server, words: &str) {
    let start = |nth: usize| {
        let words = format!("{words} --shard {nth}/2 --threads 1");
        place.on(server, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for part in [start(1), start(2)] {
        let output = part.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", told(&output).1);
    }
}

/// The objects below a prefix, without the prefix.
fn objects(server: &S3Server, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = |key: &str| server.bucket().bytes(key).unwrap().to_vec();
    server.bucket().keys(prefix).iter().map(|key| (key[prefix.len()..].to_string(), bytes(key))).collect()
}

/// The files below a folder.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn parts_of_a_sweep_meet_in_a_bucket_and_what_is_wrong_there_is_told() {
    let (place, server) = (Place::new(), S3Server::start(1));
    let url = format!("s3://{BUCKET}/sweep");
    in_two_parts(&place, &server, &format!("{SWEEP} --out {url}"));
    succeed(&place, &server, &format!("{SWEEP} --out whole"));
    let whole = files(&place.path("whole"));
    assert_eq!(objects(&server, "sweep/"), whole, "the same bytes as in a folder");
    let results: Vec<&String> = whole.keys().filter(|name| name.starts_with("results/")).collect();
    assert_eq!(results.len(), 4);

    let printed = succeed(&place, &server, &format!("compare {url} --out drawn"));
    assert!(printed.contains(&format!("1: {url}: rounds=2")), "{printed}");

    // One result is damaged, and in place of another lies that of a third network.
    let key = |nth: usize| format!("sweep/{}", results[nth]);
    assert!(server.bucket().damage(&key(0), |bytes| bytes.truncate(40)));
    server.bucket().put(&key(1), server.bucket().bytes(&key(2)).unwrap());
    let part = place.on(&server, &format!("compare {url} --out drawn")).output().unwrap();
    let finish = "2 of 4 networks are there; finish the sweep with the command that began it";
    assert_eq!(told(&part), (Some(1), format!("error: {url}: {finish}\n")));
    let output = place.on(&server, &format!("{SWEEP} --threads 1 --out {url}")).output().unwrap();
    let (code, said) = told(&output);
    assert_eq!((code, said.lines().count()), (Some(0), 2), "{said}");
    let damaged = format!("warning: {url}/{} is damaged (", results[0]);
    let foreign = format!("warning: {url}/{} is damaged (it is of the network ", results[1]);
    assert!(said.contains(&damaged) && said.contains(&foreign), "{said}");
    assert_eq!(objects(&server, "sweep/"), whole, "both are made anew");

    // What says which sweep it is.
    assert!(server.bucket().damage("sweep/sweep.json", |bytes| bytes.truncate(10)));
    let output = place.on(&server, &format!("{SWEEP} --out {url}")).output().unwrap();
    let (code, said) = told(&output);
    assert!(
        code == Some(1) && said.starts_with(&format!("error: {url}/sweep.json: not JSON: it ends within")),
        "{said}"
    );
    server.bucket().put("run/manifest.json", "{}");
    for words in [SWEEP, ATTACK] {
        let output = place.on(&server, &format!("{words} --out s3://{BUCKET}/run")).output().unwrap();
        let taken = format!("error: s3://{BUCKET}/run is the folder of a run; take another place with --out\n");
        assert_eq!(told(&output), (Some(2), taken));
    }
    assert_eq!(server.bucket().keys("run/"), ["run/manifest.json"]);

    server.go_down();
    let output = place.on(&server, &format!("{SWEEP} --out {url}")).output().unwrap();
    let (code, said) = told(&output);
    assert!(code == Some(1) && said.contains("nothing answers at the store's address"), "{said}");
}

#[test]
fn parts_of_a_search_meet_in_a_bucket() {
    let (place, server) = (Place::new(), S3Server::start(1));
    let url = format!("s3://{BUCKET}/found");
    in_two_parts(&place, &server, &format!("{ATTACK} --out {url}"));
    succeed(&place, &server, &format!("{ATTACK} --out found"));
    let (mut meeting, mut alone) = (objects(&server, "found/"), files(&place.path("found")));
    // The report names the place.
    let report = String::from_utf8(meeting.remove("attack.md").unwrap()).unwrap();
    assert_eq!(report.replace(&url, "found").into_bytes(), alone.remove("attack.md").unwrap());
    assert_eq!(meeting, alone);

    assert!(server.bucket().damage("found/attack.json", |bytes| bytes.clear()));
    let output = place.on(&server, &format!("{ATTACK} --out {url}")).output().unwrap();
    let (code, said) = told(&output);
    let expected = format!("error: {url}/attack.json: empty");
    assert!(code == Some(1) && said.starts_with(&expected), "{said}");
    let output = place.on(&server, &format!("{SWEEP} --out {url}")).output().unwrap();
    let taken = format!("error: {url} is the folder of a search for attacks; take another place with --out\n");
    assert_eq!(told(&output), (Some(2), taken));
}
