//! `sim watch` and `sim run --watch`: the server of the page, asked without a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Place;

/// A command that serves a page. It is killed with the test.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    /// Starts it and waits for the address that it prints.
    fn start(place: &Place, words: &str) -> Self {
        let mut command = place.command(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        printed.read_line(&mut line).unwrap();
        let (_, address) = line.split_once("http://").unwrap_or_else(|| panic!("sim {words} printed {line:?}"));
        let address = address.split('/').next().unwrap().to_string();
        // Nobody reads the rest, and a full pipe would hold the command up.
        std::thread::spawn(move || std::io::copy(&mut printed, &mut std::io::sink()));
        Self { child, address }
    }

    /// The head and the body of the answer to a request for a path.
    fn ask_as(&self, host: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_string())
    }

    fn ask(&self, path: &str) -> (String, String) {
        self.ask_as(&self.address, path)
    }

    fn json(&self, path: &str) -> Value {
        let (head, body) = self.ask(path);
        assert!(head.starts_with("http/1.1 200"), "{path}: {head}\n{body}");
        serde_json::from_str(&body).unwrap()
    }

    fn end(mut self) -> Option<i32> {
        // SAFETY: the child has not been waited for, so the number is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGINT) };
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const ANY: &str = "127.0.0.1:0";

#[test]
fn a_run_is_served_while_it_goes_on_and_until_its_user_ends_it() {
    let place = Place::new();
    let served = Served::start(&place, &format!("run net.toml --quiet --watch={ANY} --out run"));
    let started = Instant::now();
    let data = loop {
        let data = served.json("/data");
        if data["about"]["finished"] == true {
            break data;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "{}", data["about"]);
        std::thread::sleep(Duration::from_millis(50));
    };
    let lines = place.read("run/rounds.csv");
    let losses: Vec<Option<f64>> =
        lines.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().ok()).collect();
    let shown: Vec<Option<f64>> = data["rounds"]["loss"].as_array().unwrap().iter().map(Value::as_f64).collect();
    assert_eq!(shown.len(), 40);
    let near = |(a, b): (&Option<f64>, &Option<f64>)| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6 * b,
        (a, b) => a == b,
    };
    assert!(shown.iter().zip(&losses).all(near), "{shown:?}\n{losses:?}");
    assert_eq!(data["board"].as_array().unwrap().len(), 6);

    // A page that holds everything is told nothing, and one that holds less the rest.
    let held = |rounds: u64, kept: u64| {
        format!(
            "/data?generation={}&rounds={rounds}&baseline=40&backdoor=0&kept={kept}&finished=true",
            data["generation"]
        )
    };
    let (head, body) = served.ask(&held(40, 40));
    assert!(head.starts_with("http/1.1 204") && body.is_empty(), "{head}");
    let rest = served.json(&held(38, 39));
    assert_eq!(
        (&rest["anew"], &rest["rounds"]["round"], &rest["peers"]["round"]),
        (&false.into(), &vec![38, 39].into(), &vec![39].into())
    );

    let story = served.json("/peer?uid=4")["story"].as_str().unwrap().to_string();
    assert_eq!(story + "\n", place.succeed("explain run --peer 4"));
    assert_eq!(served.json("/span?from=3&to=7")["peers"]["round"], serde_json::json!([3, 4, 5, 6, 7]));
    assert_eq!(served.end(), Some(0), "Ctrl-C is the way to end it");
}

#[test]
fn requests_that_make_no_sense_and_browsers_that_go_away_do_no_harm() {
    let place = Place::new();
    place.succeed("run net.toml --rounds 6 --quiet --no-baseline --out run");
    let served = Served::start(&place, &format!("watch run --at {ANY}"));
    let (head, page) = served.ask("/");
    assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{head}");
    assert!(page.starts_with("<!DOCTYPE html>") && head.contains("x-content-type-options: nosniff"));
    for (path, code) in [
        ("/peer?uid=900", "404"),
        ("/peer?uid=99999", "400"),
        ("/peer?uid=-1", "400"),
        ("/peer", "400"),
        ("/span?from=1", "400"),
        ("/manifest.json", "404"),
        ("/../run/manifest.json", "404"),
        ("/span?from=18446744073709551615&to=0", "200"),
        ("/data?generation=0&rounds=99&baseline=0&backdoor=0&kept=0&finished=true", "200"),
    ] {
        let (head, body) = served.ask(path);
        assert!(head.starts_with(&format!("http/1.1 {code}")), "{path}: {head}\n{body}");
    }
    let (head, _) = served.ask_as("evil.example", "/data");
    assert!(head.starts_with("http/1.1 403"), "another site's name: {head}");
    for part in ["", "GET /data HT", "GET /data HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.write_all(part.as_bytes()).unwrap();
        drop(stream);
    }
    assert_eq!(served.json("/data")["rounds"]["round"].as_array().unwrap().len(), 6);

    place.fail(
        &format!("watch run --at {}", served.address),
        2,
        &["another program uses this port", "--at=127.0.0.1:0"],
    );
    place.fail(&format!("run net.toml --watch={} --out other", served.address), 2, &["--watch=127.0.0.1:0"]);
    assert!(!place.path("other").exists(), "nothing was begun");

    // The folder breaks while it is looked at, and is whole again.
    let (peers, manifest) = (place.read("run/peers.csv"), place.read("run/manifest.json"));
    std::fs::write(place.path("run/peers.csv"), peers.replace("\n3,1,", "\n3,one,")).unwrap();
    std::fs::write(place.path("run/manifest.json"), manifest.replace("\"seed\": 3", "\"seed\": 4")).unwrap();
    let (head, told) = served.ask("/data");
    assert!(head.starts_with("http/1.1 503") && told.contains("peers.csv, line "), "{head}\n{told}");
    std::fs::write(place.path("run/peers.csv"), peers).unwrap();
    std::fs::write(place.path("run/manifest.json"), &manifest).unwrap();
    assert_eq!(served.json("/data")["board"].as_array().unwrap().len(), 6);
    std::fs::remove_dir_all(place.path("run")).unwrap();
    let (head, told) = served.ask("/data");
    assert!(head.starts_with("http/1.1 503") && told.contains("no run folder"), "{head}\n{told}");
    drop(served);

    place.fail(&format!("watch run --at {ANY}"), 2, &["run: neither a run folder", "sim run SCENARIO --watch"]);
    std::fs::create_dir(place.path("old")).unwrap();
    std::fs::write(place.path("old/manifest.json"), manifest.replace("\"format\": 2", "\"format\": 1")).unwrap();
    place.fail(&format!("watch old --at {ANY}"), 1, &["was written by gauntlet", "use gauntlet"]);
    place.fail(&format!("watch file:///nowhere/at/all --at {ANY}"), 2, &["there is no such folder"]);
}
