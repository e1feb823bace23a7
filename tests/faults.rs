//! A network of real processes to which everything happens that a network has to bear with.
//!
//! Two validators and five peers meet in the tests' S3 server, each with an account of its own and no more rights than
//! `deploy/s3` gives it. Then, as a seed says (`faults/schedule.rs`): processes
//! are killed and come back, the store fails, breaks connections, goes away, garbles what it sends and what it keeps,
//! and a disk is full. What must hold all the same: what was agreed stays, nobody panics, everybody has the same model
//! in the end, and it has learned.
//!
//! Nothing is timed: all live by a clock that stands still while anybody works (`faults/time.rs`), the store stamps by
//! it, and what happens is triggered by what is seen in the bucket, while time is held. So a round takes as long as its
//! work, and a slow machine makes no peer late. `GAUNTLET_FAULT_SEED=7 cargo test --test faults` makes another
//! schedule; a failing test prints the one that it had.
//!
//! Another network lives by real clocks, of which one is half a minute off, on a store that is slow.

#![cfg(target_os = "linux")]

#[path = "common/s3/mod.rs"]
mod s3;

#[path = "faults/audits.rs"]
mod audits;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/nodes.rs"]
mod nodes;
#[path = "faults/schedule.rs"]
mod schedule;
#[path = "faults/sealed.rs"]
mod sealed_uploads;
#[path = "faults/time.rs"]
mod time;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gauntlet::digest::Digest;
use gauntlet::transport::record::RoundRecord;
use gauntlet::transport::sealed;
use nodes::{Clock, Node, NodeSettings, new_key, sim};
use s3::{ACCESS_KEY, BUCKET, Object, Policy, Rates, S3Server, SECRET_KEY};
use schedule::{Damaged, Event, Harm, Moment, More, PEERS, Planned, Schedule};
use time::Time;

/// On the shared clock. Long enough for the tries of a request that fails a few times.
const ROUND: Duration = Duration::from_secs(12);
/// On real clocks, where stamps have whole seconds and a round takes as long as it is.
const REAL_ROUND: Duration = Duration::from_secs(8);
/// With sealed uploads: the parts of a round in which uploads and keys count.
const SEALED_WINDOW: f64 = 0.5;
const SEALED_REVEAL: f64 = 0.25;
/// Nothing takes longer, however slow the machine: after that the network hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// What lies where a record belongs.
const SQUATTED: &str = "no record";

/// Two validators and five peers, and what they meet in.
struct Network {
    schedule: Schedule,
    time: Time,
    server: S3Server,
    /// By falling stake: the first leads.
    validators: Vec<Node>,
    peers: Vec<Node>,
    _folder: tempfile::TempDir,
}

#[test]
fn a_network_bears_with_everything_at_once() {
    let seed = std::env::var("GAUNTLET_FAULT_SEED").map_or(1, |seed| seed.parse().expect("a whole number"));
    let schedule = Schedule::new(seed);
    println!("{schedule}");
    let mut network = Network::start(schedule);
    network.live();
    network.check();
}

#[test]
fn a_peer_that_may_not_register_says_so_and_fails() {
    let (server, folder) = (S3Server::start(1), tempfile::tempdir().unwrap());
    let (place, bucket) = (folder.path(), format!("s3://{BUCKET}"));
    let validator = new_key(place, "validator-0");
    let peer = new_key(place, "peer-0");
    std::fs::write(
        place.join("faults.toml"),
        scenario(30, REAL_ROUND, More::Nothing, std::slice::from_ref(&validator)),
    )
    .unwrap();
    sim(place, &["genesis", "faults.toml", "--bucket", &bucket], &server.environment(ACCESS_KEY, SECRET_KEY));
    server.accounts().admit("validator-0", "its secret", Some(policy("validator.json", &validator)));
    // It may do what a validator may, which does not register.
    server.accounts().admit("peer-0", "its secret", Some(policy("validator.json", &peer)));
    let node = |name: &str, role: &str, hotkey: &str| {
        let (access_key, secret, bucket, clock) = (name, "its secret", &bucket, Clock::Right);
        Node::new(place, hotkey, &NodeSettings { name, role, bucket, access_key, secret, clock }, &server)
    };
    let (mut validator, mut peer) = (node("validator-0", "validator", &validator), node("peer-0", "peer", &peer));
    validator.start();
    peer.start();
    let ended = peer.wait(PATIENCE);
    let said = peer.said();
    assert_eq!(ended.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("got no slot") && said.contains("the same command tries again"), "{said}");
}

/// Waits for as many rounds as it takes: that a machine is too slow for some of them does not matter.
#[test]
fn a_wrong_clock_and_a_slow_store_keep_nobody_out() {
    let (server, folder) = (S3Server::start(1), tempfile::tempdir().unwrap());
    let (place, bucket) = (folder.path(), format!("s3://{BUCKET}"));
    let validators: Vec<String> = (0..2).map(|nth| new_key(place, &format!("validator-{nth}"))).collect();
    std::fs::write(place.join("faults.toml"), scenario(1000, REAL_ROUND, More::Nothing, &validators)).unwrap();
    sim(place, &["genesis", "faults.toml", "--bucket", &bucket], &server.environment(ACCESS_KEY, SECRET_KEY));
    server.faults().set(Rates { delay: Duration::from_millis(60), ..Rates::default() });
    let node = |role: &str, nth: usize, hotkey: &str, clock: Clock| {
        let (name, access_key, secret, bucket) = (&format!("{role}-{nth}"), ACCESS_KEY, SECRET_KEY, &bucket);
        let settings = NodeSettings { name, role, bucket, access_key, secret, clock };
        let mut node = Node::new(place, hotkey, &settings, &server);
        node.start();
        node
    };
    let lead_and_standby = validators.iter().enumerate();
    let validators: Vec<Node> =
        lead_and_standby.map(|(nth, hotkey)| node("validator", nth, hotkey, Clock::Right)).collect();
    let peers = (0..PEERS).map(|nth| {
        let clock = if nth == 0 { Clock::Wrong } else { Clock::Right };
        node("peer", nth, &new_key(place, &format!("peer-{nth}")), clock)
    });
    let peers: Vec<Node> = peers.collect();
    let everybody_is_in = server.bucket().wait_for(PATIENCE, |objects| {
        let records = objects.iter().filter(|(key, _)| key.starts_with("rounds/") && key.ends_with("/record"));
        let included: Vec<String> = records
            .map(|(_, object)| sealed::open::<RoundRecord>("record", &object.bytes, 1 << 20).unwrap().0)
            .flat_map(|record| record.included.into_iter().map(|by| by.hotkey.to_string()))
            .collect();
        let times = |hotkey: &String| included.iter().filter(|by| *by == hotkey).count();
        peers.iter().all(|peer| times(&peer.hotkey) >= 2).then_some(())
    });
    let said: String =
        validators.iter().chain(&peers).map(|node| format!("--- {}\n{}", node.name, node.said())).collect();
    assert!(everybody_is_in.is_some() && !said.contains("panicked"), "{said}");
}

/// The scenario, with the validators' hotkeys.
fn scenario(rounds: u64, round: Duration, more: More, validators: &[String]) -> String {
    let seconds = |part: f64| round.as_secs_f64() * part;
    let window = if more == More::Nothing { 0.8 } else { SEALED_WINDOW };
    let audits = "kind = \"audit\"\naudited_per_round = 9.0";
    let mechanism = if more == More::Audits { audits } else { "evaluated_per_round = 2" };
    let sealing = if more == More::Seals {
        format!("sealed = true\nreveal_window_seconds = {}", seconds(SEALED_REVEAL))
    } else {
        String::new()
    };
    let mut text = format!(
        r#"name = "faults"
seed = 3
rounds = {rounds}
model = {{ preset = "nano", sequence_length = 16 }}
corpus = {{ held_out_pages = 16 }}
scheme = {{ kind = "demo", topk = 8 }}

[training]
lr = 3e-3
warmup_rounds = 5
pages_per_round = 4
micro_batch = 4
eval_every = 1
checkpoint_every = 4

[protocol]
top_peers = {PEERS}
min_peers = 3
put_window_seconds = {}
{sealing}

[mechanism]
{mechanism}

[chain]
block_seconds = {}
blocks_per_round = 2
weights_every = 2

[[peers]]
count = {PEERS}
"#,
        seconds(window),
        seconds(0.5)
    );
    for (nth, hotkey) in validators.iter().enumerate() {
        text += &format!("\n[[validators]]\nstake = {}\nhotkey = \"{hotkey}\"\n", 1000 - nth);
    }
    text
}

impl Network {
    /// Writes the run and starts all nodes.
    fn start(schedule: Schedule) -> Self {
        let (time, folder) = (Time::start(PATIENCE), tempfile::tempdir().unwrap());
        let server = S3Server::start_with_clock(schedule.seed, time.stamps());
        let (place, bucket) = (folder.path(), format!("s3://{BUCKET}"));
        let hotkeys: Vec<String> = (0..2).map(|nth| new_key(place, &format!("validator-{nth}"))).collect();
        std::fs::write(place.join("faults.toml"), scenario(schedule.rounds, ROUND, schedule.more, &hotkeys)).unwrap();
        sim(place, &["genesis", "faults.toml", "--bucket", &bucket], &server.environment(ACCESS_KEY, SECRET_KEY));

        let clock = Clock::Shared(time.address());
        let node = |role: &str, nth: usize, hotkey: &str| {
            let name = format!("{role}-{nth}");
            let policy = policy(&format!("{role}.json"), hotkey);
            server.accounts().admit(&name, "its secret", Some(policy));
            let (access_key, secret) = (&name, "its secret");
            let settings = NodeSettings { name: &name, role, bucket: &bucket, access_key, secret, clock };
            Node::new(place, hotkey, &settings, &server)
        };
        let validators = hotkeys.iter().enumerate().map(|(nth, hotkey)| node("validator", nth, hotkey)).collect();
        let peers = (0..PEERS).map(|nth| node("peer", nth, &new_key(place, &format!("peer-{nth}")))).collect();
        let mut network = Self { schedule, time, server, validators, peers, _folder: folder };
        (0..network.validators.len() + PEERS).for_each(|nth| network.start_node(nth));
        network
    }

    fn nodes(&mut self) -> impl Iterator<Item = &mut Node> {
        self.validators.iter_mut().chain(&mut self.peers)
    }

    /// Starts a node, validators first, and holds time until it lives by the clock, or cannot start because the store
    /// fails.
    fn start_node(&mut self, nth: usize) {
        let before = self.time.connections();
        self.nodes().nth(nth).unwrap().start();
        let start = Instant::now();
        while self.time.connections() == before && !self.nodes().nth(nth).unwrap().has_failed() {
            assert!(start.elapsed() < PATIENCE, "a node does not start\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets everything happen, and waits until the run is over.
    fn live(&mut self) {
        let planned = self.schedule.planned.clone();
        for round in 1..self.schedule.rounds {
            for planned in planned.iter().filter(|planned| planned.round == round) {
                self.wait_until(round, planned.moment);
                self.happen(*planned);
            }
            self.wait_until(round, Moment::Decided);
        }
        self.finish();
    }

    /// Lets the network end by itself.
    fn finish(&mut self) {
        self.time.let_go();
        for node in self.nodes() {
            let ended = node.wait(PATIENCE);
            assert!(ended.is_some_and(|status| status.success()), "{}: {ended:?}\n{}", node.name, node.said());
        }
    }

    /// Waits for a moment of a round, or until the round is decided without it.
    fn wait_until(&mut self, round: u64, moment: Moment) {
        let record = |round: u64| format!("rounds/{round:08}/record");
        let key = match moment {
            Moment::Begun => record(round - 1),
            Moment::Uploaded(peer) => format!("nodes/{}/rounds/{round:08}/upload", self.peers[peer].hotkey),
            Moment::Decided => record(round),
        };
        let decided = record(round);
        let is_seen = |objects: &BTreeMap<String, Object>| {
            let is_there = |key: &str| objects.get(key).is_some_and(|object| object.bytes != SQUATTED);
            let mut later = objects.range(decided.clone()..).map(|(key, _)| key);
            is_there(&key) || later.any(|key| key.starts_with("rounds/") && is_there(key))
        };
        let enough = self.time.now() + 20 * ROUND;
        while !self.server.bucket().look(is_seen) {
            let goes_on = self.time.step() && self.time.now() < enough;
            assert!(goes_on, "nothing happens: {moment:?} of round {round} does not come\n{}", self.said());
        }
        // After the last round they end.
        if round < self.schedule.rounds - 1 {
            self.revive();
        }
    }

    /// Starts what has failed, as whoever keeps nodes running does. A node gives up only where it cannot even start,
    /// because the store fails.
    fn revive(&mut self) {
        for nth in 0..self.validators.len() + PEERS {
            let node = self.nodes().nth(nth).unwrap();
            if let Some(status) = node.ended() {
                assert_eq!(status.code(), Some(1), "{}: {status}\n{}", node.name, node.said());
                self.start_node(nth);
            }
        }
    }

    fn happen(&mut self, planned: Planned) {
        let Planned { round, event, .. } = planned;
        match event {
            Event::KillPeer(peer) => self.peers[peer].kill(),
            Event::StartPeer(peer) => self.start_node(self.validators.len() + peer),
            Event::KillLead => self.validators[0].kill(),
            Event::StartLead => self.start_node(0),
            Event::Faults(rates) => self.server.faults().set(rates),
            Event::Down(rounds) => {
                self.server.go_down();
                assert!(self.time.pass(ROUND * rounds), "time stands still without a store\n{}", self.said());
                self.server.come_back();
            }
            Event::Squat => {
                self.server.bucket().create(&format!("rounds/{round:08}/record"), SQUATTED);
            }
            Event::Damage(what, harm) => self.damage(round, what, harm),
            Event::DiskFull(peer) => self.peers[peer].limit_files(Some(64 << 10)),
            Event::DiskFree(peer) => self.peers[peer].limit_files(None),
        }
    }

    fn damage(&self, round: u64, what: Damaged, harm: Harm) {
        let bucket = self.server.bucket();
        let found = match what {
            Damaged::Upload(peer) => {
                bucket.keys(&format!("nodes/{}/rounds/{round:08}/upload", self.peers[peer].hotkey))
            }
            Damaged::Bundle => {
                bucket.keys("nodes/").into_iter().filter(|key| key.ends_with(&format!("{round:08}/bundle"))).collect()
            }
            Damaged::Checkpoint => {
                bucket.keys("nodes/").into_iter().filter(|key| key.contains("/checkpoints/")).collect()
            }
        };
        for key in found {
            match harm {
                Harm::Delete => bucket.delete(&key),
                Harm::Flip(_) | Harm::Truncate(_) => drop(bucket.damage(&key, |bytes| harm.apply(bytes))),
            }
        }
    }

    /// What all of them said.
    fn said(&mut self) -> String {
        self.nodes().map(|node| format!("--- {}\n{}", node.name, node.said())).collect()
    }

    /// What must hold in the end.
    fn check(&mut self) {
        let records = self.records();
        let rounds = self.schedule.rounds;
        assert!(records.keys().copied().eq(0..rounds), "a record for every round: {:?}", records.keys());
        for (before, after) in records.values().zip(records.values().skip(1)) {
            assert_eq!(before.model_after, after.model_before, "round {} goes on from the one before", after.round);
        }
        let authors: BTreeSet<String> = records.values().map(|record| record.validator.to_string()).collect();
        assert_eq!(authors.len(), 2, "both validators have led");

        let last = records[&(rounds - 1)].model_after;
        for node in self.nodes() {
            assert_eq!(saved_model(&node.state()), (rounds, last), "{}\n{}", node.name, node.said());
            assert!(!node.said().contains("panicked"), "{}\n{}", node.name, node.said());
        }
        for peer in 0..PEERS {
            let hotkey = &self.peers[peer].hotkey;
            let included = |record: &&RoundRecord| record.included.iter().any(|by| by.hotkey.to_string() == *hotkey);
            assert!(records.values().filter(included).count() > 5, "peer {peer} was aggregated, now and then");
        }
        let losses = self.losses();
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..3]), mean(&losses[losses.len() - 3..]));
        println!("loss from {first:.3} to {last:.3}; {:?}", self.server.faults().injected());
        assert!(last < first - 0.3, "the loss falls: {losses:?}");
    }

    /// The record of every round that there ever was: exactly one, whatever happened.
    fn records(&self) -> BTreeMap<u64, RoundRecord> {
        let mut all: BTreeMap<String, BTreeSet<Bytes>> = BTreeMap::new();
        for (key, bytes) in self.server.bucket().history("rounds/").into_iter().filter(|(_, bytes)| bytes != SQUATTED) {
            all.entry(key).or_default().insert(bytes);
        }
        let read = all.into_iter().map(|(key, versions)| {
            assert_eq!(versions.len(), 1, "{key} was changed: {versions:?}");
            let (record, signer) = sealed::open::<RoundRecord>("record", versions.first().unwrap(), 1 << 20).unwrap();
            assert!(self.validators.iter().any(|validator| validator.hotkey == signer.to_string()));
            assert_eq!(key, format!("rounds/{:08}/record", record.round));
            (record.round, record)
        });
        read.collect()
    }

    /// Held-out losses, as validators reported them.
    fn losses(&self) -> Vec<f64> {
        let mut losses = BTreeMap::new();
        for (key, bytes) in self.server.bucket().history("nodes/") {
            if !key.contains("/reports/") {
                continue;
            }
            let (told, _) = sealed::open::<serde_json::Value>("report", &bytes, 1 << 20).unwrap();
            if let Some(loss) = told["report"]["loss"].as_f64() {
                losses.insert(told["report"]["round"].as_u64().unwrap(), loss);
            }
        }
        losses.into_values().collect()
    }
}

impl Harm {
    fn apply(self, bytes: &mut Vec<u8>) {
        let at = |share: u32, len: usize| ((u64::from(share) * len as u64) >> 32) as usize;
        match self {
            Self::Flip(share) => {
                let bit = at(share, 8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Self::Truncate(share) => bytes.truncate(at(share, bytes.len())),
            Self::Delete => unreachable!("what is deleted has no bytes"),
        }
    }
}

fn policy(file: &str, hotkey: &str) -> Policy {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/s3").join(file);
    let json = std::fs::read_to_string(file).unwrap();
    Policy::from_json(&json.replace("BUCKET", BUCKET).replace("HOTKEY", hotkey))
}

/// The round that a saved state is of, and the digest of its newest replica.
fn saved_model(folder: &Path) -> (u64, Digest) {
    let bytes = std::fs::read(folder.join("state.bin")).unwrap();
    // Magic, version, run, hotkey; round, number of replicas, the first replica's digest.
    let at = 4 + 2 + 32 + 32;
    let round = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    (round, Digest(bytes[at + 12..at + 44].try_into().unwrap()))
}
