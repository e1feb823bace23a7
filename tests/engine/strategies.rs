//! Strategies: what their parts do, and that older behaviours are names for some of them.

use gauntlet::mechanism::Status;
use gauntlet::scenario::World;

use super::common::{Told, finished};
use super::{assert_in_sync, assert_same_reports, goes_on, small};

/// Five honest peers and one with this behaviour, which is number 5.
pub fn beside_five(behaviour: &str, overrides: &[&str]) -> (std::sync::Arc<World>, Told) {
    let network = small(&format!("[[peers]]\ncount = 5\n[[peers]]\nbehaviour = {behaviour}\n"), overrides);
    let told = finished(&network);
    (network, told)
}

/// Models, statuses and pay are those of the strategy; only the name of the run, and so signatures, differ.
#[test]
fn older_behaviours_are_names_for_strategies() {
    let sparse = "scheme={kind='sparseloco', inner_steps=2, topk=8}";
    for (name, settings) in [
        ("\"honest\"", ""),
        ("{ kind = \"lazy\", fraction = 0.25 }", "pages = 0.25"),
        ("\"free-rider\"", "pages = 0.0, extra = 1.0"),
        ("{ kind = \"honest\", data = 2.0 }", "extra = 1.0"),
        ("{ kind = \"stale\", rounds = 3 }", "stale = 3"),
        ("\"sign-flip\"", "scale = -1.0"),
        ("{ kind = \"rescaled\", factor = 7.0 }", "scale = 7.0"),
    ] {
        let strategy = format!("{{ kind = \"strategy\", {settings} }}").replace(",  }", " }");
        let settings = [sparse, "rounds=6"];
        let [(_, named), (_, told)] = [name, &strategy].map(|behaviour| beside_five(behaviour, &settings));
        assert_same_reports(&named.reports, &told.reports);
    }
}

/// The distance that validators see of peer 5 from round 6 on, and whether it passes.
fn distances(told: &Told, network: &World) -> Vec<(f64, Status)> {
    let reports = (6..14).map(|round| told.peer(network, 5, round).unwrap());
    reports.map(|report| (report.steps_behind.unwrap(), report.status)).collect()
}

#[test]
fn copied_samples_hide_an_old_model() {
    let strict = ["mechanism.max_steps_behind=0.5"];
    let (network, told) = beside_five("{ kind = \"strategy\", stale = 6 }", &strict);
    let own = distances(&told, &network);
    assert!(own.iter().all(|(steps, status)| *steps > 0.5 && *status == Status::OutOfSync), "{own:?}");
    let (network, told) = beside_five("{ kind = \"strategy\", stale = 6, samples = \"copied\" }", &strict);
    let copied = distances(&told, &network);
    assert!(copied.iter().all(|found| *found == (0.0, Status::Passed)), "{copied:?}");
}

/// Without work of its own it has something to send from the second round on: what was aggregated in the one before.
#[test]
fn what_was_aggregated_can_be_sent_again() {
    let idle = "works = { every = 100 }, idle = \"mix\", mix = \"aggregate\"";
    let (network, told) = beside_five(&format!("{{ kind = \"strategy\", {idle} }}"), &[]);
    for round in 0..14 {
        assert_eq!(told.peer(&network, 5, round).unwrap().status, Status::Passed, "round {round}");
    }
    let trained = |told: &Told| told.events.iter().filter(|(node, ..)| *node == 6).count();
    let (_, honest) = beside_five("\"honest\"", &[]);
    assert_eq!(trained(&told), trained(&honest), "it does in every round what an honest peer does");
    let (network, alone) = beside_five("{ kind = \"strategy\", works = { every = 100 } }", &[]);
    assert_eq!(alone.peer(&network, 5, 3).unwrap().status, Status::Absent);
}

/// An operator of three with the work of one.
#[test]
fn one_slot_works_for_all() {
    let cartel = "works = { slots = 1 }, idle = \"mix\", mix = \"operator\", own = 1.0";
    let peers = format!("[[peers]]\ncount = 3\n[[operators]]\nbehaviour = {{ kind = \"strategy\", {cartel} }}\n");
    let network = small(&peers, &[]);
    let told = finished(&network);
    let passed = (3..6).filter(|&peer| told.peer(&network, peer, 3).unwrap().status == Status::Passed).count();
    assert_eq!(passed, 3, "all of them send");
    let sparse = small(&peers.replace("idle = \"mix\", mix = \"operator\",", ""), &[]);
    let told = finished(&sparse);
    let statuses = [3, 4, 5].map(|peer| told.peer(&sparse, peer, 3).unwrap().status);
    assert_eq!(statuses, [Status::Passed, Status::Absent, Status::Absent]);
}

/// Two slots that get new keys in rounds 5 and 10.
const RENEWING: &str = r#"
[[peers]]
count = 3
link = { loss = 0.05 }
[[operators]]
uids = 2
behaviour = { kind = "strategy", leaves = { after = 5 }, idle = "last", works = { every = 2 } }
link = { loss = 0.05 }
"#;

#[test]
fn who_leaves_comes_back_under_new_keys() {
    let network = small(RENEWING, &["chain.slots=6", "chain.immunity_rounds=2"]);
    let told = finished(&network);
    let hotkeys = |key| [3, 4].map(|slot| network.scenario.peer_identity(slot).successor(key).hotkey());
    let status = |hotkey, round: usize| {
        let peers = &told.reports[round].peers;
        peers.iter().find(|peer| peer.hotkey == hotkey).map(|peer| peer.status)
    };
    for round in 0..14 {
        // A newcomer's first round is spent on its registration.
        let key = round as u64 / 5;
        for hotkey in hotkeys(key) {
            assert_eq!(status(hotkey, round), Some(Status::Passed), "key {key} in round {round}");
        }
        for hotkey in (0..3).filter(|other| *other != key).flat_map(hotkeys) {
            let found = status(hotkey, round);
            assert!(matches!(found, None | Some(Status::Absent)), "not key {key} in round {round}: {found:?}");
        }
    }
    assert!(hotkeys(0).iter().any(|hotkey| status(*hotkey, 13).is_none()), "slots that it has left are taken");
    assert_in_sync(&told, 4, 1..=14);
}

#[test]
fn who_leaves_goes_on_from_any_checkpoint() {
    let told = goes_on(&small(RENEWING, &["training.checkpoint_every=3"]));
    assert!(told.checkpoints.len() >= 4);
}
