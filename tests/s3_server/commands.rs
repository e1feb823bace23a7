//! What commands say of a store that does not keep its word, is busy or does not answer.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use super::s3::{ACCESS_KEY, BUCKET, Policy, Rates, S3Server, SECRET_KEY};

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

/// A request that gets no answer ends.
#[test]
fn a_store_that_answers_too_slowly_is_not_waited_for() {
    let (place, server) = (Place::new(), S3Server::start(1));
    server.faults().set(Rates { delay: Duration::from_secs(5), ..Rates::default() });
    let mut command = place.on(&server, &format!("status --bucket s3://{BUCKET}/run"));
    let began = std::time::Instant::now();
    let output = command.env("GAUNTLET_STORE_TIMEOUT", "0.2").env("GAUNTLET_STORE_GIVE_UP", "0").output().unwrap();
    assert!(told(&output).0 == Some(1) && began.elapsed() < Duration::from_secs(4), "{}", told(&output).1);
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

/// The line of a doctor's table about something: what was found, the verdict, what to do.
fn line(output: &Output, what: &str) -> String {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = printed.lines().find(|line| line.starts_with(&format!("| {what} ")));
    found.unwrap_or_else(|| panic!("{what} is not in {printed}{}", told(output).1)).to_string()
}

#[test]
fn the_doctor_finds_out_what_a_store_does() {
    let (place, server) = (Place::new(), S3Server::start(1));
    let words = format!("doctor --bucket s3://{BUCKET}/run");
    let output = place.on(&server, &words).output().unwrap();
    assert!(output.status.success(), "{}", told(&output).1);
    for what in
        ["run", "list", "write", "read", "put if absent", "replace if unchanged", "list order", "clock", "delete"]
    {
        assert!(line(&output, what).contains("| ok "), "{}", line(&output, what));
    }
    assert!(line(&output, "stamps").contains("in whole seconds"));
    assert!(line(&output, "others' objects").contains("| warning |"));
    assert_eq!(server.bucket().keys(""), [""; 0], "nothing is left");

    server.bucket().ignore_conditions(true);
    let output = place.on(&server, &words).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for what in ["put if absent", "replace if unchanged"] {
        assert!(line(&output, what).contains("| PROBLEM | take a store"), "{}", line(&output, what));
    }
    assert!(told(&output).1.contains("2 problems"), "{}", told(&output).1);
    server.bucket().ignore_conditions(false);

    let output = place.command(&words).envs(server.environment(ACCESS_KEY, "guessed")).output().unwrap();
    assert!(output.status.code() == Some(1) && line(&output, "list").contains("| PROBLEM |"));
}

#[test]
fn the_doctor_knows_what_a_policy_must_allow_a_node() {
    let (place, server) = (Place::new(), S3Server::start(1));
    assert!(place.on(&server, &place.genesis()).output().unwrap().status.success());
    let made = place.command("key new peer").output().unwrap();
    let hotkey = String::from_utf8(made.stdout).unwrap().trim().to_string();
    let policy = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/s3/peer.json")).unwrap();
    let policy = policy.replace("BUCKET", &format!("{BUCKET}/run")).replace("HOTKEY", &hotkey);
    // Lists are of the bucket itself.
    let policy = policy.replacen(&format!("{BUCKET}/run\""), &format!("{BUCKET}\""), 1);
    server.accounts().admit("peer", "its secret", Some(Policy::from_json(&policy)));
    let examine = |more: &str| {
        let mut command = place.command(&format!("doctor --bucket s3://{BUCKET}/run {more}"));
        command.envs(server.environment("peer", "its secret")).output().unwrap()
    };
    let unnamed = examine("");
    assert_eq!(unnamed.status.code(), Some(1));
    assert!(line(&unnamed, "write").contains("name the node's key with --key"), "{}", line(&unnamed, "write"));
    let output = examine("--key peer");
    assert!(output.status.success(), "{}", told(&output).1);
    assert!(line(&output, "others' objects").contains("out of this key's reach"));
    assert!(line(&output, "register").contains("not tried"));
    server.bucket().put("run/chain/slots/00000/00000000", "somebody's");
    assert!(line(&examine("--key peer"), "register").contains("allowed below chain/slots/"));
    assert_eq!(server.bucket().bytes("run/chain/slots/00000/00000000").unwrap(), "somebody's");
    // With a validator's key it would have to put records, which this policy does not let it do.
    server.bucket().put("run/rounds/00000000/record", "a record");
    let validator = examine("--key key");
    assert!(line(&validator, "write").contains("| PROBLEM |"), "{}", line(&validator, "write"));
}
