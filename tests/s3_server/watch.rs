//! The page of a network that meets in an S3 bucket.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::commands::{Place, told};
use super::s3::{BUCKET, S3Server};
use super::served::Served;

const ROUNDS: usize = 4;
/// A machine with other work needs most of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The losses in a table of a run folder, by round.
fn losses(table: &str) -> Vec<Option<f64>> {
    let at = table.lines().next().unwrap().split(',').position(|column| column == "loss").unwrap();
    table.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse().ok()).collect()
}

#[test]
fn a_page_follows_a_network_in_a_bucket_and_outlives_an_outage() {
    let (place, server) = (Place::new(), S3Server::start(1));
    let url = format!("s3://{BUCKET}/net");
    let set = "--set protocol.put_window_seconds=1 --set chain.block_seconds=1 --set chain.blocks_per_round=2";
    let words = format!("launch net.toml {set} --bucket {url} --out run --quiet");
    let network = place.on(&server, &words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    server.bucket().wait_for(PATIENCE, |objects| objects.contains_key("net/genesis").then_some(())).unwrap();
    let page = Served::start(place.on(&server, &format!("watch {url} --at 127.0.0.1:0")));
    let output = network.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", told(&output).1);

    let shown = |data: &Value| -> Vec<Option<f64>> {
        data["rounds"]["loss"].as_array().unwrap().iter().map(Value::as_f64).collect()
    };
    let started = Instant::now();
    let data = loop {
        let data = page.json("/data");
        if data["about"]["finished"] == true {
            break data;
        }
        assert!(started.elapsed() < PATIENCE, "{}", data["about"]);
        std::thread::sleep(Duration::from_millis(50));
    };
    let table = losses(&std::fs::read_to_string(place.path("run/rounds.csv")).unwrap());
    assert_eq!(table.len(), ROUNDS);
    let near = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6 * b,
        (a, b) => a == b,
    };
    assert!(shown(&data).iter().zip(&table).all(near), "{:?} {table:?}", shown(&data));

    // What is there stays there, whatever becomes of the store.
    server.go_down();
    assert_eq!(shown(&page.json("/data")), shown(&data));
    assert_eq!(page.end(), Some(0));
}
