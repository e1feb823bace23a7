//! The network of a storm: its scenario in a bucket, an account and a place for each node, and nobody who runs yet.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use gauntlet::scenario::{self, Scenario};
use gauntlet::storm::Field;
use gauntlet::storm::fault::{Fault, What};
use gauntlet::storm::records::Records;
use gauntlet::storm::schedule::draw;
use gauntlet::storm::weather::{Weather, prefixes};
use gauntlet::transport::Identity;
use gauntlet::transport::simulated::SimClock;
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStore, ObjectStoreExt};

use super::nodes::{Clock, Node, NodeSettings};
use super::s3::{ACCESS_KEY, BUCKET, Policy, S3Server, SECRET_KEY};
use super::seat::Seat;
use super::skew::Skew;
use super::sky::{Processes, StormSky};
use super::storm::{PATIENCE, Storm};
use super::time::Time;

/// The network of all storms, smaller than that of simulated ones: each node is a process.
const ROUNDS: u64 = 16;
const PEERS: usize = 5;
const TOP_PEERS: usize = 3;
/// What all accounts are opened with.
const SECRET: &str = "its secret";

/// The scenario, with the peers that turn against the network.
fn network(faults: &[Fault]) -> Scenario {
    let rules = [format!("rounds={ROUNDS}"), format!("protocol.top_peers={TOP_PEERS}"), "peers.0.count=1".into()];
    let more = (1..PEERS).map(|_| "peers.+.count=1".to_string());
    let turned = faults.iter().filter_map(|fault| match fault.what {
        // Validators come first.
        What::Adversary { node, behaviour } => Some(format!("peers.{}.behaviour=\"{behaviour}\"", node - 3)),
        _ => None,
    });
    let settings: Vec<String> = rules.into_iter().chain(more).chain(turned).collect();
    scenario::load("scenarios/storm.toml", &settings).unwrap_or_else(|error| panic!("{error}"))
}

/// The faults of a seed. All validators are honest: what dishonest ones can cost takes more to judge than is seen from outside.
pub fn faults(seed: u64) -> Vec<Fault> {
    let mut faults = draw(&network(&[]), seed);
    faults.retain(|fault| !matches!(fault.what, What::Dishonest { .. }));
    faults
}

impl Storm {
    /// A network that has not begun.
    pub fn new(seed: u64, faults: Vec<Fault>) -> Self {
        let (time, folder) = (Time::start(PATIENCE), tempfile::tempdir().unwrap());
        let server = S3Server::start_with_clock(seed, time.stamps());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let field = Field::open(network(&faults)).unwrap();
        let run = field.run.clone();
        runtime.block_on(async {
            let starter = run.scenario.validator_identity(0);
            run.write_start(SimClock::stamp(0).timestamp_millis(), &starter).await.unwrap();
            let store = &run.bucket.store;
            let all = store.list(None).try_collect::<Vec<_>>().await.unwrap();
            for meta in all {
                let bytes = store.get(&meta.location).await.unwrap().bytes().await;
                server.bucket().put(meta.location.as_ref(), bytes.unwrap());
            }
        });

        let validators = field.scenario.validators.len();
        let names = (0..field.nodes()).map(|node| match node.checked_sub(validators) {
            None => ("validator", node),
            Some(peer) => ("peer", peer),
        });
        let names: Vec<(&str, usize)> = names.collect();
        let plans: Vec<_> = (0..field.nodes()).map(|node| field.plan(node, &faults)).collect();
        let owners = plans.iter().map(|plan| {
            let hotkeys: Vec<_> = plan.identities.iter().map(|identity| identity.hotkey()).collect();
            prefixes(&hotkeys)
        });
        let weather = Arc::new(Weather::new(seed, faults, owners.collect()));
        let processes: Processes = Arc::new(plans.iter().map(|_| Default::default()).collect());
        let now_ms = time.milliseconds();
        let accounts = names.iter().map(|(role, part)| format!("{role}-{part}"));
        let sky = Arc::new(StormSky::new(weather.clone(), now_ms, accounts, processes.clone()));
        server.faults().follow(sky.clone());
        let seats = plans.iter().enumerate().map(|(number, plan)| {
            let (role, part) = names[number];
            let (name, hotkey) = (format!("{role}-{part}"), plan.identities[0].hotkey().to_string());
            server.accounts().admit(&name, SECRET, Some(policy(role, &plan.identities)));
            let (weather, now_ms) = (weather.clone(), time.milliseconds());
            let skew = Skew::new(time.address(), move || weather.clock_off_ms(number, now_ms()));
            let settings = NodeSettings {
                name: &name,
                role,
                bucket: &format!("s3://{BUCKET}"),
                access_key: &name,
                secret: SECRET,
                clock: Clock::Shared(skew.address),
            };
            let node = Node::of_scenario(folder.path(), &hotkey, &settings, part, &server);
            Seat::new(number, node, plan.is_honest, skew, processes.clone())
        });
        let seats = seats.collect();
        // Every client of a store wants one, though this one speaks plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let reader = AmazonS3Builder::new().with_endpoint(server.endpoint()).with_allow_http(true);
        let reader = reader.with_region("us-east-1").with_bucket_name(BUCKET);
        let reader = reader.with_access_key_id(ACCESS_KEY).with_secret_access_key(SECRET_KEY).build().unwrap();
        let (records, broken) = (Records::new(run), Vec::new());
        let (reader, newcomer) = (Arc::new(reader), None);
        Self { seed, seats, field, records, broken, reader, server, runtime, folder, sky, time, newcomer }
    }
}

/// What the rules of `deploy/s3` allow a node.
fn policy(role: &str, identities: &[Identity]) -> Policy {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/s3").join(format!("{role}.json"));
    let hotkey = identities[0].hotkey().to_string();
    let json = std::fs::read_to_string(file).unwrap();
    Policy::from_json(&json.replace("BUCKET", BUCKET).replace("HOTKEY", &hotkey))
}
