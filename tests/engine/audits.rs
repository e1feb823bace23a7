//! Audits: honest work comes out the same when a validator does it again, under every scheme; nothing else does.

use std::sync::Arc;

use bytes::Bytes;
use gauntlet::mechanism::Status;
use gauntlet::model::Device;
use gauntlet::node::behaviour::{Behaviour, BehaviourSettings, Surroundings};
use gauntlet::scenario::{Registry, Scenario, World};
use gauntlet::transport::keys;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::common::{Told, finished};
use super::strategies::beside_five;
use super::{SMALL, ZOO, assert_in_sync, goes_on, small};

/// All peers are audited in each round but the last one, after which nobody is there to answer.
const AUDIT: &str = "mechanism={kind='audit', audited_per_round=20.0}";
const SCHEMES: [&str; 5] = [
    "scheme=demo",
    "scheme={kind='sparseloco', inner_steps=2, topk=64}",
    "scheme={kind='sparseloco', inner='muon', inner_steps=4, topk=64}",
    "scheme={kind='dense', update='adamw'}",
    "scheme={kind='dense', update='steps', inner_steps=2}",
];

/// What came of a peer's audits: 1 the same, 0 not shown, -1 something else.
fn audits(told: &Told, network: &World, peer: usize) -> Vec<f64> {
    let of_round = |round| {
        let found = told.peer(network, peer, round)?;
        let at = told.reports[round as usize].columns.iter().position(|column| column.name == "audit")?;
        found.numbers[at]
    };
    (0..told.reports.len() as u64).filter_map(of_round).collect()
}

fn statuses(told: &Told, network: &World, peer: usize) -> Vec<Status> {
    (0..14).map(|round| told.peer(network, peer, round).unwrap().status).collect()
}

#[test]
fn honest_work_comes_out_the_same_under_every_scheme() {
    let peers = "[[peers]]\ncount = 3\n[[peers]]\njoins = 4\n[[operators]]\nuids = 2\n";
    for scheme in SCHEMES {
        for sealed in ["protocol.sealed=false", "protocol.sealed=true"] {
            let network = small(peers, &[scheme, AUDIT, sealed]);
            let told = finished(&network);
            for peer in 0..6 {
                let found = audits(&told, &network, peer);
                assert!(found.len() >= 8 && found.iter().all(|audit| *audit == 1.0), "{scheme}, {peer}: {found:?}");
            }
            assert!(told.reports.last().unwrap().peers.iter().all(|peer| peer.incentive > 0.0), "{scheme}");
            assert_in_sync(&told, 1, 1..=14);
        }
    }
}

#[test]
fn so_does_more_and_less_work_that_is_said() {
    let peers = "[[peers]]\n[[peers]]\nbehaviour = { kind = 'honest', data = 2.0 }\nhardware = { tokens_per_second = 9.0 }\n\
                 [[peers]]\nbehaviour = { kind = 'honest', data = 0.5 }\n[[peers]]\ninner_steps = 1\n[[peers]]\ninner_steps = 4\n";
    let network = small(peers, &[SCHEMES[1], AUDIT, "protocol.most_pages=2"]);
    let told = finished(&network);
    for peer in 0..5 {
        let found = audits(&told, &network, peer);
        assert!(found.len() == 13 && found.iter().all(|audit| *audit == 1.0), "{peer}: {found:?}");
    }
    // Pages that the audited say they trained on, and pieces of a page each; a gradient is three forward passes.
    let (core, pages) = (&network.network.core, 4 + 8 + 2 + 2 + 8);
    let steps = 3 * core.inner_steps(None, 4) + core.inner_steps(Some(1), 4) + core.inner_steps(Some(4), 4);
    let tokens = pages * core.config.sequence_length + core.tokens_to_take_up(steps);
    let expected = (3 * tokens).div_ceil(core.config.sequence_length) as u64;
    assert!(told.reports[..13].iter().all(|report| report.forward_passes == expected));
}

/// Two pages in each step instead of one, of as many pages as others.
#[test]
fn fewer_inner_steps_for_the_same_pages_are_other_work() {
    let peers = "[[peers]]\ncount = 3\n[[peers]]\ninner_steps = 1\n\
                 behaviour = { kind = 'honest', data = 2.0 }\nhardware = { tokens_per_second = 9.0 }\n";
    let network = small(peers, &[SCHEMES[1], AUDIT, "protocol.most_pages=2"]);
    let told = finished(&network);
    assert_eq!(audits(&told, &network, 3), [-1.0; 13]);
    assert!((0..3).all(|peer| audits(&told, &network, peer) == [1.0; 13]));
}

#[test]
fn nothing_else_comes_out_the_same() {
    for (behaviour, expected) in [
        ("{ kind = 'strategy', pages = 0.75 }", [-1.0; 13]),
        ("{ kind = 'strategy', tokens = 0.9 }", [-1.0; 13]),
        ("{ kind = 'strategy', width = 0.75 }", [-1.0; 13]),
        ("{ kind = 'strategy', power = 2.0 }", [-1.0; 13]),
        ("{ kind = 'strategy', scale = 2.0 }", [-1.0; 13]),
        ("'label-flip'", [-1.0; 13]),
        // They commit to no state, and show none.
        ("'noise'", [0.0; 13]),
        ("{ kind = 'copycat', of = 'random' }", [0.0; 13]),
    ] {
        let (network, told) = beside_five(behaviour, &["scheme.topk=64", AUDIT]);
        let found = audits(&told, &network, 5);
        assert!(found.len() >= 12 && found.iter().all(|audit| expected.contains(audit)), "{behaviour}: {found:?}");
        assert!((0..5).all(|peer| audits(&told, &network, peer) == [1.0; 13]), "{behaviour}");
        let paid: f64 = told.reports.iter().flat_map(|report| report.peers.last()).map(|peer| peer.incentive).sum();
        assert_eq!(paid, 0.0, "{behaviour}");
    }
}

/// The next by stake writes a record when the time for asking is over.
#[test]
fn a_late_record_changes_no_audit() {
    let validators = "validators=[{stake=9, behaviour={kind='silent', from=4}}, {stake=5}, {stake=4}]";
    let network = small("[[peers]]\ncount = 4\n", &[AUDIT, validators]);
    let told = finished(&network);
    for peer in 0..4 {
        let found = audits(&told, &network, peer);
        // The first late record comes when its author has waited for the lead.
        assert!(found.len() >= 12 && found.iter().all(|audit| *audit == 1.0), "{peer}: {found:?}");
    }
}

#[test]
fn who_forgets_what_it_kept_does_not_go_on() {
    for forgets in ["true", "0.5"] {
        let behaviour = format!("{{ kind = 'strategy', fresh = {forgets} }}");
        let (network, told) = beside_five(&behaviour, &[SCHEMES[1], AUDIT]);
        let found = statuses(&told, &network, 5);
        assert!(
            found[0] == Status::Passed && found[1..].iter().all(|status| *status == Status::StartedOver),
            "{found:?}"
        );
        assert!(statuses(&told, &network, 0).iter().all(|status| *status == Status::Passed));
    }
}

/// It looks at what validators ask for, as anybody can.
#[test]
fn who_rests_after_an_audit_is_found_out() {
    let behaviour = "{ kind = 'strategy', works = { after-audit = 6 }, idle = 'last' }";
    let (network, told) = beside_five(behaviour, &["mechanism={kind='audit', audited_per_round=3.0}"]);
    let found = audits(&told, &network, 5);
    assert!(found.contains(&1.0) && found.contains(&0.0), "{found:?}");
    let tokens = told.traffic.iter().map(|round| round.peers[&network.scenario.peer_identity(5).hotkey()].tokens);
    let rested = tokens.filter(|tokens| *tokens == 0).count();
    assert!((2..13).contains(&rested), "{rested}");
    assert!(statuses(&told, &network, 5).iter().all(|status| *status == Status::Passed), "its state stays as it is");
}

#[test]
fn an_audited_run_has_one_digest_and_goes_on() {
    let audit = "mechanism={kind='audit', audited_per_round=4.0}";
    let zoo = small(ZOO, &[audit, "protocol.sealed=true"]);
    let expected = goes_on(&zoo);
    for peer in 0..3 {
        let found = audits(&expected, &zoo, peer);
        assert!(found.iter().all(|audit| *audit == 1.0), "{peer}: {found:?}");
    }
    // The bucket in a checkpoint, after round 9: states and requests are removed with the uploads.
    let (peer, validator) = (zoo.scenario.peer_identity(0).hotkey(), zoo.scenario.validator_identity(0).hotkey());
    let has = |key: &dyn Fn(u64) -> object_store::path::Path, round| {
        let key = key(round).to_string();
        expected.checkpoints[1].0.windows(key.len()).any(|part| part == key.as_bytes())
    };
    assert!((0..6).all(|round| !has(&|round| keys::state(&peer, round), round)));
    let requests = |round| has(&|round| keys::audits(&validator, round), round);
    assert!(requests(8) && (0..5).all(|round| !requests(round)));
}

/// Shows something else than what its work started from.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Shows {
    what: String,
}

struct Showing(String);

impl BehaviourSettings for Shows {
    fn build(&self) -> Box<dyn Behaviour> {
        Box::new(Showing(self.what.clone()))
    }
}

#[async_trait::async_trait]
impl Behaviour for Showing {
    async fn works(&mut self, around: &Surroundings<'_>) -> bool {
        let Some(before) = around.round.checked_sub(1) else { return true };
        let (ports, key) = (around.ports.clone(), keys::state(&around.ports.identity.hotkey(), before));
        let shown = match self.0.as_str() {
            "nothing" => Bytes::new(),
            "huge" => vec![0; 1 << 24].into(),
            "cut" => vec![0; 7].into(),
            _ => f32::NAN.to_le_bytes().repeat(4096).into(),
        };
        // After its own answer, and in time.
        let window = ports.clock.audit_window(before);
        tokio::spawn(async move {
            ports.clock.sleep_until(window.opens + (window.closes - window.opens) / 2).await;
            let _ = ports.own_uploads.put(&key, shown.into()).await;
        });
        true
    }
}

#[test]
fn a_state_that_was_not_committed_to_is_none() {
    let mut registry = Registry::default();
    registry.behaviours = registry.behaviours.with::<Shows>("shows", |settings| Box::new(settings));
    for what in ["nothing", "huge", "cut", "nan"] {
        let peers = format!("[[peers]]\ncount = 3\n[[peers]]\nbehaviour = {{ kind = 'shows', what = '{what}' }}\n");
        let text = format!("{SMALL}{peers}");
        let scenario = Scenario::from_toml_with(registry.clone(), &text, "shows.toml", &[AUDIT.to_string()]).unwrap();
        let network = Arc::new(World::open(scenario, Device::Cpu).unwrap());
        let told = finished(&network);
        let found = audits(&told, &network, 3);
        // Before its first work, it has nothing to show but nothing.
        let first = if what == "nothing" { 1.0 } else { 0.0 };
        assert!(found.len() == 13 && found[0] == first && found[1..] == [0.0; 12], "{what}: {found:?}");
        assert_eq!(audits(&told, &network, 0), [1.0; 13]);
    }
}
