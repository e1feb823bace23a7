//! What commands say of a store that does not keep its word, is busy or does not answer.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use super::s3::{ACCESS_KEY, BUCKET, Rates, S3Server, SECRET_KEY};

const SCENARIO: &str = r#"name = "net"
rounds = 4
model = { preset = "nano", sequence_length = 16 }
corpus = { held_out_pages = 8 }
training = { lr = 3e-3, pages_per_round = 4, micro_batch = 4 }
scheme = { topk = 8 }
protocol = { top_peers = 2, min_peers = 2 }
peers = [{ count = 3 }]
"#;

/// A folder with a scenario and a validator's key.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.0.path().join("net.toml"), SCENARIO).unwrap();
        assert!(place.command("key new key").output().unwrap().status.success());
        place
    }

    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim"));
        command.args(words.split_whitespace()).current_dir(self.0.path()).env_remove("RUST_LOG");
        command
    }

    pub fn on(&self, server: &S3Server, words: &str) -> Command {
        let mut command = self.command(words);
        command.envs(server.environment(ACCESS_KEY, SECRET_KEY));
        command
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn genesis(&self) -> String {
        let shown = self.command("key show key").output().unwrap().stdout;
        let hotkey = String::from_utf8(shown).unwrap();
        format!("genesis net.toml --bucket s3://{BUCKET}/run --set validators.0.hotkey={}", hotkey.trim())
    }
}

pub fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_store_that_replaces_what_was_put_first_is_found_out() {
    let (place, server) = (Place::new(), S3Server::start(1));
    let refused = format!(
        "error: bucket s3://{BUCKET}/run: the store replaces an object that it was told to put only where none is \
         (If-None-Match): several validators could decide one round; take a store that refuses that, as S3, R2, MinIO, GCS \
         and Azure do\n"
    );
    server.bucket().ignore_conditions(true);
    for _ in 0..2 {
        let output = place.on(&server, &place.genesis()).output().unwrap();
        assert_eq!(told(&output), (Some(2), refused.clone()), "the second time too: the run was taken back");
    }
    server.bucket().ignore_conditions(false);
    let output = place.on(&server, &place.genesis()).output().unwrap();
    assert!(output.status.success(), "{}", told(&output).1);
    server.bucket().ignore_conditions(true);
    for role in ["validator", "peer"] {
        let words = format!("{role} --bucket s3://{BUCKET}/run --key key");
        let (code, said) = told(&place.on(&server, &words).output().unwrap());
        assert!(code == Some(2) && said.ends_with(&refused), "{said}");
    }
}

#[test]
fn a_busy_store_is_waited_for_as_long_as_is_asked_and_told_so() {
    let (place, server) = (Place::new(), S3Server::start(1));
    server.faults().set(Rates { errors: 1.0, ..Rates::default() });
    let words = format!("status --bucket s3://{BUCKET}/run");
    let output = place.on(&server, &words).env("GAUNTLET_STORE_GIVE_UP", "0").output().unwrap();
    let (code, said) = told(&output);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    let output = place.on(&server, &words).env("GAUNTLET_STORE_GIVE_UP", "1.5").output().unwrap();
    let (code, said) = told(&output);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("note: the store ") && said.contains("; trying again in 0."), "{said}");
    assert!(said.lines().last().unwrap().starts_with(&format!("error: bucket s3://{BUCKET}/run: ")), "{said}");

    let waiting = place.on(&server, &place.genesis()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    server.faults().stop();
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success() && told(&output).1.starts_with("note: the store "), "{}", told(&output).1);

    let output = place.on(&server, &words).env("GAUNTLET_STORE_GIVE_UP", "soon").output().unwrap();
    let expected = "error: GAUNTLET_STORE_GIVE_UP = \"soon\": expected seconds, 0 to 86400\n";
    assert_eq!(told(&output), (Some(2), expected.into()));
}

#[test]
fn an_address_that_nothing_answers_at_is_told_once() {
    let (place, server) = (Place::new(), S3Server::start(1));
    server.go_down();
    let words = format!("status --bucket s3://{BUCKET}/run");
    let output = place.on(&server, &words).env("GAUNTLET_STORE_GIVE_UP", "0").output().unwrap();
    let expected =
        format!("error: bucket s3://{BUCKET}/run: nothing answers at the store's address; check AWS_ENDPOINT_URL\n");
    assert_eq!(told(&output), (Some(1), expected));
}
