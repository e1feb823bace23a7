//! Sealed uploads: they change no model, nobody can use them before their keys are out, and whoever's key is missing,
//! late or wrong loses its own round.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gauntlet::mechanism::Status;
use gauntlet::model::Device;
use gauntlet::node::RoundReport;
use gauntlet::node::behaviour::{Behaviour, BehaviourSettings, Surroundings};
use gauntlet::scenario::{Registry, Scenario, World};
use gauntlet::training::PseudoGradient;
use gauntlet::transport::keys;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::common::finished;
use super::strategies::beside_five;
use super::{HONEST, SMALL, ZOO, assert_in_sync, assert_same_reports, goes_on, small};

const SEALED: &str = "protocol.sealed=true";

/// The model after a round, and each peer's status, pay, numbers and whether it was aggregated. Times are left out: a
/// sealed round is judged later.
fn outcome(report: &RoundReport) -> String {
    serde_json::to_string(&(&report.model, &report.loss, report.uploads, &report.peers)).unwrap()
}

fn outcomes(peers: &str, overrides: &[&str]) -> Vec<String> {
    finished(&small(peers, overrides)).reports.iter().map(outcome).collect()
}

#[test]
fn sealing_changes_nothing_for_honest_peers() {
    let validators = "[[validators]]\n[[validators]]\nstake = 10\n";
    let comes_and_goes = "[[peers]]\nleaves = 6\n[[peers]]\njoins = 4\n[[peers]]\nlink = { loss = 0.05 }\n";
    let peers = format!("{validators}{HONEST}{comes_and_goes}");
    for scheme in ["scheme=demo", "scheme={kind='sparseloco', inner_steps=3, topk=8}"] {
        let plain = outcomes(&peers, &[scheme]);
        assert_eq!(outcomes(&peers, &[scheme, SEALED]), plain, "{scheme}");
        assert!(plain.iter().all(|round| round.contains("\"passed\"")));
    }
}

#[test]
fn a_sealed_run_has_one_digest_and_goes_on() {
    let zoo = small(ZOO, &[SEALED]);
    let expected = goes_on(&zoo);
    for node in 2..5 {
        assert_in_sync(&expected, node, 1..=14);
    }
    // The bucket in a checkpoint, after round 9: a key is removed with its upload.
    let honest = keys::upload_key(&zoo.scenario.peer_identity(0).hotkey(), 0).to_string();
    let has = |round: u64| {
        let key = honest.replace("00000000", &format!("{round:08}"));
        expected.checkpoints[1].0.windows(key.len()).any(|part| part == key.as_bytes())
    };
    assert!(has(9) && has(8) && !has(6) && !has(0), "keys are kept as long as uploads");
}

#[test]
fn who_copies_inside_the_window_has_nothing_to_send() {
    let wait = "wait = 0.5";
    for thief in ["\"copycat\"", "\"mimic\"", &format!("{{ kind = \"ipm\", {wait} }}"), "\"alie\""] {
        for (overrides, expected) in [(&[][..], Status::Passed), (&[SEALED], Status::Absent)] {
            let (network, told) = beside_five(thief, overrides);
            for round in 3..14 {
                assert_eq!(told.peer(&network, 5, round).unwrap().status, expected, "{thief} in round {round}");
            }
            assert!((0..14).all(|round| told.peer(&network, 0, round).unwrap().status == Status::Passed));
        }
    }
}

#[test]
fn who_mixes_inside_the_window_is_left_with_its_own_work() {
    let thief = "{ kind = \"strategy\", mix = \"now\", samples = \"copied\" }";
    let [honest, sealed] = ["\"honest\"", thief].map(|behaviour| beside_five(behaviour, &[SEALED]).1);
    assert_same_reports(&sealed.reports, &honest.reports);
    let (_, open) = beside_five(thief, &[]);
    assert_ne!(outcome(&open.reports[13]), outcome(&honest.reports[13]), "without seals it does mix");
}

/// Uploads of the round before are open to all, sealed or not.
#[test]
fn who_mixes_afterwards_is_not_disturbed() {
    for mix in ["past", "average", "aggregate"] {
        let thief = format!("{{ kind = \"strategy\", mix = \"{mix}\", own = 0.3 }}");
        let [plain, sealed] = [&[][..], &[SEALED]].map(|overrides| beside_five(&thief, overrides).1);
        let [plain, sealed] = [plain, sealed].map(|told| told.reports.iter().map(outcome).collect::<Vec<_>>());
        assert_eq!(plain, sealed, "{mix}");
        assert_ne!(plain[13], outcome(&beside_five("\"honest\"", &[]).1.reports[13]), "{mix} does mix");
    }
}

/// What it does with the key of its upload.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// None.
    Withheld,
    /// Puts it just after the reveal window.
    Late,
    /// Puts it when the round has been judged.
    Later,
    /// Puts one that opens nothing.
    Wrong,
    /// Puts something that is no key.
    Garbage,
    /// Puts far more bytes than a key has.
    Long,
    /// Puts the key of its previous upload.
    Previous,
    /// Puts it as soon as the upload is there.
    Early,
    /// Looks at others' uploads before the window closes and once all keys are out.
    Spy,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    how: How,
}

impl Default for Keys {
    fn default() -> Self {
        Self { how: How::Withheld }
    }
}

impl BehaviourSettings for Keys {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Keeper { how: self.how, previous: Mutex::default() })
    }
}

struct Keeper {
    how: How,
    previous: Mutex<Option<Bytes>>,
}

/// Of each round: others' objects in the bucket near the end of the put window, how many of them the spy can read by
/// then, and how many after the reveal window.
static FOUND: Mutex<Vec<[usize; 3]>> = Mutex::new(Vec::new());

async fn read(around: &Surroundings<'_>) -> usize {
    let mut found = 0;
    for (uid, hotkey) in around.others(&*around.ports.chain.view().await) {
        let claim = around.claim_of(around.round, uid, hotkey).await;
        let upload = around.upload_of(around.round, uid, hotkey).await;
        assert_eq!(claim.is_some(), upload.is_some());
        found += usize::from(upload.is_some());
    }
    found
}

#[async_trait::async_trait]
impl Behaviour for Keeper {
    async fn pseudo_gradient(&self, own: Option<PseudoGradient>, around: &Surroundings<'_>) -> Option<PseudoGradient> {
        if self.how == How::Spy {
            around.ports.clock.sleep_until(around.part_of_window(0.6)).await;
            let mut there = 0;
            for (_, hotkey) in around.others(&*around.ports.chain.view().await) {
                there += usize::from(around.ports.bucket.head(&keys::upload(&hotkey, around.round)).await.is_ok());
            }
            let readable = read(around).await;
            assert!(around.ports.clock.now() < around.window.closes);
            FOUND.lock().unwrap().push([there, readable, 0]);
        }
        own
    }

    async fn key(&self, own: Bytes, around: &Surroundings<'_>) -> Option<Bytes> {
        let mut changed = own.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        match self.how {
            How::Withheld => None,
            How::Late | How::Later | How::Early => Some(own),
            How::Wrong => Some(changed.into()),
            How::Garbage => Some(Bytes::from_static(b"no key")),
            How::Long => Some(vec![7; 1 << 20].into()),
            How::Previous => Some(self.previous.lock().unwrap().replace(own.clone()).unwrap_or(own)),
            How::Spy => {
                let closes = around.ports.clock.reveal_window(around.round).closes;
                around.ports.clock.sleep_until(closes).await;
                let readable = read(around).await;
                FOUND.lock().unwrap().last_mut().unwrap()[2] = readable;
                None
            }
        }
    }

    fn reveal_at(&self, around: &Surroundings) -> std::time::Duration {
        match self.how {
            How::Late => around.ports.clock.reveal_window(around.round).closes,
            How::Later => around.ports.clock.reveal_window(around.round).closes + std::time::Duration::from_secs(1),
            How::Early => around.window.opens,
            _ => around.reveal_spread(),
        }
    }
}

fn keepers(how: &[&str]) -> Arc<World> {
    let mut registry = Registry::default();
    registry.behaviours = registry.behaviours.with::<Keys>("keys", |settings| Box::new(settings));
    let peers = how.iter().map(|how| format!("[[peers]]\nbehaviour = {{ kind = \"keys\", how = \"{how}\" }}\n"));
    let validators = "[[validators]]\n[[validators]]\nstake = 10\n";
    let scenario = format!("{SMALL}{validators}[[peers]]\ncount = 4\n{}", peers.collect::<String>());
    let scenario = Scenario::from_toml_with(registry, &scenario, "keys.toml", &[SEALED.to_string()]).unwrap();
    Arc::new(World::open(scenario, Device::Cpu).unwrap())
}

#[test]
fn every_fault_of_a_key_has_its_status_and_costs_nobody_else() {
    let how = ["withheld", "late", "later", "wrong", "garbage", "long", "previous", "early"];
    let network = keepers(&how);
    let told = finished(&network);
    let status = |peer, round| told.peer(&network, peer, round).unwrap().status;
    use Status::{Absent, LateKey, MisplacedKey, Passed, WrongKey};
    for round in 0..14 {
        assert!((0..4).all(|peer| status(peer, round) == Passed), "round {round}");
        let first = round == 0;
        let expected = [
            Absent,
            LateKey,
            // When a round is judged, there is no key; that it came late is seen a round later.
            if first { Absent } else { LateKey },
            WrongKey,
            WrongKey,
            WrongKey,
            if first { Passed } else { MisplacedKey },
            Passed,
        ];
        let found: Vec<Status> = (4..12).map(|peer| status(peer, round)).collect();
        assert_eq!(found, expected, "round {round}");
        let aggregated = |peer| told.peer(&network, peer, round).unwrap().aggregated;
        assert!((4..12).all(|peer| !aggregated(peer) || status(peer, round) == Passed));
    }
    for node in 1..14 {
        assert_in_sync(&told, node, 1..=14);
    }
}

#[test]
fn nobody_reads_a_sealed_upload_before_its_key_is_out() {
    finished(&keepers(&["spy"]));
    let found = FOUND.lock().unwrap();
    assert_eq!(found.len(), 14);
    assert!(found.iter().all(|found| *found == [4, 0, 4]), "{found:?}");
}

#[test]
fn malformed_uploads_stay_malformed_under_seal() {
    let hows = ["shape", "index", "nan", "oversized", "truncated"];
    let peer = |how| format!("[[peers]]\nbehaviour = {{ kind = \"malformed\", how = \"{how}\" }}\n");
    let network = small(&format!("[[peers]]\ncount = 3\n{}", hows.map(peer).concat()), &[SEALED]);
    let told = finished(&network);
    for round in 0..14 {
        for peer in 3..8 {
            let how = hows[peer - 3];
            assert_eq!(told.peer(&network, peer, round).unwrap().status, Status::Malformed, "{how} in round {round}");
        }
    }
}
