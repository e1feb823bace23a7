//! Validators that misbehave in a small network, by each of the answers that a behaviour can change.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::{ValidatorBehaviour, ValidatorBehaviourSettings, ValidatorSurroundings};
use crate::Uid;
use crate::digest::Digest;
use crate::engine::{Checkpoint, Observer, ObserverError, Outcome, RunOptions, Traffic, simulate};
use crate::mechanism::Measurement;
use crate::model::Device;
use crate::node::RoundReport;
use crate::scenario::{Registry, Scenario, World};
use crate::settings::Findings;
use crate::transport::record::{Included, RoundRecord};
use crate::transport::{bundle, keys};

const NETWORK: &str = r#"
name = "odd"
rounds = 11
model = { preset = "nano", sequence_length = 16 }
corpus = { held_out_pages = 8 }
training = { lr = 3e-3, warmup_rounds = 2, pages_per_round = 4, micro_batch = 4, checkpoint_every = 5 }
scheme = { kind = "demo", topk = 4 }
protocol = { top_peers = 4, min_peers = 2, list_every = 2, list_delay = 1 }
mechanism = { evaluated_per_round = 3, evaluated_fraction = 0.5, bins = 2 }
chain = { weights_every = 2 }
peers = [{ count = 4 }, { joins = 4 }]
"#;

/// What a peer without a slot sends. It decodes for nobody.
const STRANGER: &[u8] = b"stranger";

fn with_a_stranger(bundle: Bytes) -> Bytes {
    let uploads = bundle::decode(&bundle, usize::MAX).unwrap().into_iter().map(|(_, upload)| upload);
    let uploads: Vec<Bytes> = uploads.chain([STRANGER.into()]).collect();
    bundle::encode(&uploads)
}

/// Misbehaves in one way.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OddSettings {
    what: String,
    most: f64,
}

impl ValidatorBehaviourSettings for OddSettings {
    fn check(&self, found: &mut Findings) {
        found.fraction("most", self.most);
    }

    fn build(&self) -> Box<dyn ValidatorBehaviour> {
        Box::new(Odd { what: self.what.clone(), asked: 0 })
    }
}

struct Odd {
    what: String,
    /// How often weights have been asked for.
    asked: u16,
}

#[async_trait]
impl ValidatorBehaviour for Odd {
    fn decides_at(&self, turn: Duration, around: &ValidatorSurroundings) -> Option<Duration> {
        (self.what != "silent" || around.round < 2).then_some(turn)
    }

    fn included(&self, judged: Vec<Uid>, valid: &[Uid], _around: &ValidatorSurroundings) -> Vec<Uid> {
        assert!(judged.iter().all(|uid| valid.contains(uid)));
        // Twice the last peer, one that is absent, and never the first.
        match self.what.as_str() {
            "partial" => vec![3, 2, 3, 99, 1],
            "strangers" => judged.into_iter().take(2).collect(),
            _ => judged,
        }
    }

    fn bundle(&self, honest: Bytes, _around: &ValidatorSurroundings) -> Bytes {
        assert!(!honest.is_empty());
        match self.what.as_str() {
            "withholding" => Bytes::new(),
            "strangers" => with_a_stranger(honest),
            _ => honest,
        }
    }

    fn record(&self, mut honest: RoundRecord, around: &ValidatorSurroundings) -> RoundRecord {
        if self.what == "strangers" {
            let (hotkey, payload) = (around.ports.identity.hotkey(), Digest::of(STRANGER));
            honest.included.push(Included { uid: 99, hotkey, payload });
        }
        honest
    }

    fn measured(&mut self, wanted: Vec<Measurement>, _around: &ValidatorSurroundings) -> Vec<Measurement> {
        if self.what == "blind" { Vec::new() } else { wanted }
    }

    fn weights(&mut self, judged: Vec<(Uid, f64)>, around: &ValidatorSurroundings) -> Vec<(Uid, f64)> {
        assert!(!around.chain.validators().is_empty());
        self.asked += 1;
        // A different favourite each time.
        if self.what == "partial" { vec![(self.asked, 1.0)] } else { judged }
    }

    async fn afterwards(&mut self, _own: Option<&RoundRecord>, around: &ValidatorSurroundings<'_>) {
        let (bucket, own) = (&around.ports.bucket, around.ports.identity.hotkey());
        // More than a node tries, of rounds whose records vouch for a checkpoint.
        for round in (1..=around.round + 1).filter(|_| self.what == "littering") {
            bucket.put(&keys::checkpoint(&own, round), "no checkpoint".into()).await.unwrap();
        }
    }

    fn save(&self) -> Vec<u8> {
        self.asked.to_le_bytes().to_vec()
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), String> {
        self.asked = u16::from_le_bytes(saved.try_into().map_err(|_| "not a state of `odd`".to_string())?);
        Ok(())
    }
}

#[derive(Default)]
struct Told {
    reports: Vec<RoundReport>,
    events: Vec<String>,
    checkpoints: Vec<Vec<u8>>,
}

impl Observer for Told {
    fn round(&mut self, report: &RoundReport, _traffic: Traffic) -> Result<(), ObserverError> {
        self.reports.push(report.clone());
        Ok(())
    }

    fn event(&mut self, _node: usize, _at: Duration, event: &str) {
        self.events.push(event.to_string());
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), ObserverError> {
        self.checkpoints.push(checkpoint.to_bytes());
        Ok(())
    }
}

fn world(validators: &str) -> Result<World, String> {
    let mut registry = Registry::default();
    registry.validator_behaviours = registry.validator_behaviours.with::<OddSettings>("odd", |odd| Box::new(odd));
    let text = format!("{NETWORK}validators = {validators}\n");
    let scenario = Scenario::from_toml_with(registry, &text, "odd.toml", &[]).map_err(|error| error.to_string())?;
    Ok(World::open(scenario, Device::Cpu).unwrap())
}

fn odd(what: &str) -> Arc<World> {
    Arc::new(world(&format!("[{{ behaviour = {{ kind = \"odd\", what = \"{what}\" }} }}]")).unwrap())
}

fn run(world: &Arc<World>, resume: Option<&[u8]>) -> (Outcome, Told) {
    let resume = resume.map(|bytes| Checkpoint::from_bytes(bytes).unwrap());
    let interrupt = Arc::new(AtomicBool::new(false));
    let options = RunOptions { threads: 2, baseline: false, resume, resume_baseline: None, interrupt };
    let told = Arc::new(Mutex::new(Told::default()));
    let outcome = simulate(world.clone(), options, told.clone()).unwrap();
    let told = std::mem::take(&mut *told.lock().unwrap());
    (outcome, told)
}

#[test]
fn answers_that_are_the_honest_ones_change_nothing_but_the_name() {
    let honest = Arc::new(world("[{ behaviour = \"honest\" }]").unwrap());
    let models = |told: Told| told.reports.into_iter().map(|report| report.model).collect::<Vec<_>>();
    assert_eq!(models(run(&odd("nothing"), None).1), models(run(&honest, None).1));
    let unnamed = Arc::new(world("[{}]").unwrap());
    assert_eq!(honest.scenario, unnamed.scenario);
    assert_eq!(honest.scenario.canonical(), unnamed.scenario.canonical());
    let read: Scenario = toml::from_str(&honest.scenario.canonical()).unwrap();
    assert_eq!(read, honest.scenario, "as a manifest is read");
    assert!(odd("nothing").scenario.canonical().contains("kind = \"odd\""));
}

#[test]
fn a_silent_lead_leaves_the_decision_to_the_next() {
    let silent = world("[{ stake = 9, behaviour = { kind = \"odd\", what = \"silent\" } }, { stake = 1 }]");
    let world = Arc::new(silent.unwrap());
    let decided: Vec<_> = run(&world, None).1.reports.iter().map(|report| report.validator).collect();
    let keys = [0, 1].map(|index| world.scenario.validator_identity(index).hotkey());
    assert_eq!(decided[..2], [keys[0]; 2]);
    assert_eq!(decided[2..], [keys[1]; 9]);
}

#[test]
fn a_partial_validator_aggregates_and_pays_whom_it_likes() {
    let (_, told) = run(&odd("partial"), None);
    for report in &told.reports {
        let aggregated: Vec<Uid> = report.peers.iter().filter(|peer| peer.aggregated).map(|peer| peer.uid).collect();
        assert_eq!(aggregated, [1, 2, 3], "round {}", report.round);
    }
    let peers = || told.reports.iter().flat_map(|report| &report.peers);
    let favourites: BTreeSet<Uid> = peers().filter(|peer| peer.incentive > 0.5).map(|peer| peer.uid).collect();
    assert!(favourites.len() >= 2, "one after the other: {favourites:?}");
    assert!(peers().all(|peer| peer.uid > 0 || peer.incentive == 0.0), "whoever is the best");
}

/// The others see on the chain that it holds no slot, long before the choice could count as unfair.
#[test]
fn a_lead_that_includes_a_stranger_loses_its_turn() {
    let lead = "{ stake = 4, behaviour = { kind = \"odd\", what = \"strangers\" } }";
    let world = Arc::new(world(&format!("[{lead}, {{ stake = 3 }}, {{ stake = 3 }}]")).unwrap());
    let decided: Vec<_> = run(&world, None).1.reports.iter().map(|report| report.validator).collect();
    let keys = [0, 1].map(|index| world.scenario.validator_identity(index).hotkey());
    assert_eq!(decided[0], keys[0]);
    assert_eq!(decided[4..], [keys[1]; 7]);
}

#[test]
fn without_bundles_a_peer_that_joins_waits_for_a_checkpoint() {
    let waits = |what: &str| run(&odd(what), None).1.events.iter().any(|event| event.starts_with("checkpoint 5 "));
    assert!(waits("withholding"));
    assert!(!waits("nothing"));
}

#[test]
fn a_validator_that_litters_hides_no_checkpoint_of_another() {
    let validators = "[{ stake = 9 }, { stake = 1, behaviour = { kind = \"odd\", what = \"littering\" } }]\n";
    let world = Arc::new(world(&format!("{validators}operators = [{{ uids = 1, joins = 8 }}]")).unwrap());
    let (_, told) = run(&world, None);
    assert!(told.events.iter().any(|event| event.starts_with("checkpoint 5 ")), "{:?}", told.events);
}

#[test]
fn a_blind_validator_measures_nothing() {
    let passes = |what: &str| run(&odd(what), None).1.reports.iter().map(|report| report.forward_passes).sum::<u64>();
    assert_eq!(passes("blind"), 0);
    assert!(passes("nothing") > 0);
}

#[test]
fn what_it_remembers_is_in_the_checkpoint() {
    let world = odd("partial");
    let (whole, told) = run(&world, None);
    assert!(told.checkpoints.len() >= 2);
    for checkpoint in &told.checkpoints {
        assert_eq!(run(&world, Some(checkpoint)).0, whole);
    }
}

#[test]
fn settings_are_checked_where_they_stand() {
    let refused = |behaviour: &str| world(&format!("[{{}}, {{ behaviour = {behaviour} }}]")).err().unwrap();
    for (behaviour, expected) in [
        (
            "\"od\"",
            "validators.1.behaviour is `od`; expected one of honest, copy-weights, equivocate, false-model, favour, out-of-turn, silent, withhold, odd; did you mean `odd`?",
        ),
        ("{ kind = \"odd\", most = 2 }", "validators.1.behaviour.most is 2; expected a fraction, 0 to 1"),
        (
            "{ kind = \"odd\", mst = 1 }",
            "`mst` is not a setting of the validator's behaviour `odd`; did you mean `most`?",
        ),
        ("{ kind = \"odd\", most = \"a\" }", "validators.1.behaviour.most is \"a\"; expected a number"),
        ("{ most = 1 }", "`most` is not a setting of the validator's behaviour `honest`, which has none"),
    ] {
        let message = refused(behaviour);
        assert!(message.starts_with("odd.toml:12:") && message.contains(expected), "{message}\nlacks\n{expected}");
    }
}
