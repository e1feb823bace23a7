//! What must hold of every run: it can be repeated and taken up to the last bit, replicas stay in sync, and no peer
//! blocks the others.

#[path = "engine/attacks.rs"]
mod attacks;
#[path = "engine/audits.rs"]
mod audits;
#[path = "engine/averages.rs"]
mod averages;
mod common;
#[path = "engine/contrast.rs"]
mod contrast;
#[path = "engine/costs.rs"]
mod costs;
#[path = "engine/knowledge.rs"]
mod knowledge;
#[path = "engine/operators.rs"]
mod operators;
#[path = "engine/sealed.rs"]
mod sealed;
#[path = "engine/steps.rs"]
mod steps;
#[path = "engine/strategies.rs"]
mod strategies;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Event, Run, Stop, Told, finished, network};
use gauntlet::digest::Digest;
use gauntlet::engine::{Checkpoint, Outcome, RunError};
use gauntlet::mechanism::Status;
use gauntlet::node::RoundReport;
use gauntlet::scenario::World;

/// A small model, short sequences, and everything that happens every so many rounds happening often.
const SMALL: &str = r#"
name = "small"
seed = 7
rounds = 14
[model]
preset = "nano"
sequence_length = 16
[corpus]
held_out_pages = 8
[training]
lr = 3e-3
warmup_rounds = 2
pages_per_round = 4
micro_batch = 4
eval_every = 4
checkpoint_every = 5
[scheme]
topk = 4
[protocol]
top_peers = 4
min_peers = 2
list_every = 2
list_delay = 1
[mechanism]
evaluated_per_round = 3
evaluated_fraction = 0.5
bins = 2
[chain]
weights_every = 2
[baseline]
pages_per_round = 4
"#;

const HONEST: &str = "[[peers]]\ncount = 6\n";

/// All that makes the state of a run hard to save: old replicas, memory in behaviours, losses, several validators,
/// peers that come and go.
const ZOO: &str = r#"
[[validators]]
stake = 1000
link = { loss = 0.05 }
[[validators]]
stake = 400
link = { loss = 0.05, latency_ms = 180 }
[[peers]]
count = 3
link = { loss = 0.05 }
[[peers]]
behaviour = { kind = "offline", leave = 0.3, return = 0.5 }
[[peers]]
behaviour = { kind = "stale", rounds = 4 }
[[peers]]
behaviour = { kind = "copycat", noise = 0.1 }
link = { loss = 0.05 }
[[peers]]
behaviour = { kind = "desync", at = 3, pause = 3 }
[[peers]]
behaviour = "late"
[[peers]]
behaviour = "malformed"
[[peers]]
leaves = 6
[[peers]]
joins = 3
link = { loss = 0.05 }
[[peers]]
joins = 9
[[peers]]
hardware = { tokens_per_second = 0.3 }
"#;

fn small(peers: &str, overrides: &[&str]) -> Arc<World> {
    network(&format!("{SMALL}{peers}"), overrides)
}

fn digest(outcome: Outcome) -> Digest {
    match outcome {
        Outcome::Finished(digest) => digest,
        Outcome::Interrupted(rounds) => panic!("interrupted after {rounds} rounds"),
    }
}

/// Each node's events in its own order: nodes that wake in the same millisecond do so in any order.
fn by_node(events: &[Event]) -> BTreeMap<usize, Vec<String>> {
    let mut nodes: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (node, at, event) in events {
        nodes.entry(*node).or_default().push(format!("{:.3} {event}", at.as_secs_f64()));
    }
    nodes
}

/// Appends the events of a resumed run. What nodes did after they had left their state, they do again: that is counted
/// once.
fn append(events: &mut Vec<Event>, resumed: Vec<Event>) {
    for node in 0..32 {
        let again = resumed
            .iter()
            .find(|event| event.0 == node)
            .and_then(|first| events.iter().position(|event| event == first));
        if let Some(again) = again {
            let mut at = 0..;
            events.retain(|event| at.next().is_none_or(|at| at < again) || event.0 != node);
        }
    }
    events.extend(resumed);
}

fn assert_same_events(told: &[Event], expected: &[Event]) {
    for (node, expected) in by_node(expected) {
        let told = by_node(told).remove(&node).unwrap_or_default();
        let differs = (0..told.len().max(expected.len())).find(|&at| told.get(at) != expected.get(at));
        if let Some(at) = differs {
            panic!("node {node}, event {at}: {:?}; expected {:?}", told.get(at), expected.get(at));
        }
    }
}

fn assert_same_reports(told: &[RoundReport], expected: &[RoundReport]) {
    assert_eq!(serde_json::to_string(told).unwrap(), serde_json::to_string(expected).unwrap());
}

/// Asserts that threads change nothing, and that a run goes on from any of its checkpoints as if it had not been killed. Returns what the
/// whole run told.
fn goes_on(network: &Arc<World>) -> Told {
    let (whole, expected) = Run { threads: 2, ..Run::default() }.of(network).unwrap();
    let (again, told) = Run { threads: 1, ..Run::default() }.of(network).unwrap();
    let whole = digest(whole);
    assert_same_events(&told.events, &expected.events);
    assert_eq!(digest(again), whole);
    assert!(expected.checkpoints.len() >= 2);
    for (bytes, rounds) in &expected.checkpoints {
        let (resumed, told) = Run { threads: 3, resume: Some(bytes.clone()), ..Run::default() }.of(network).unwrap();
        assert_same_reports(&told.reports, &expected.reports[*rounds..]);
        assert_eq!(told.traffic, expected.traffic[*rounds..], "from round {rounds}");
        assert_eq!(digest(resumed), whole, "from round {rounds}");
    }
    expected
}

/// The models that a node had, by the round they are for.
fn models(told: &Told, node: usize) -> BTreeMap<u64, String> {
    let events = told.events.iter().filter(|(of, _, _)| *of == node);
    let models = events.filter_map(|(_, _, event)| {
        let words: Vec<&str> = event.split(' ').collect();
        let ["model" | "checkpoint", round, digest] = words.as_slice() else { return None };
        Some((round.parse().unwrap(), digest.to_string()))
    });
    models.collect()
}

/// A node had the lead's model before each of these rounds.
fn assert_in_sync(told: &Told, node: usize, rounds: impl Iterator<Item = u64>) {
    let models = models(told, node);
    for round in rounds {
        let lead = told.reports[round as usize - 1].model.to_string();
        assert_eq!(models.get(&round), Some(&lead), "node {node} before round {round}");
    }
}

#[test]
fn a_seed_has_one_digest() {
    let zoo = small(ZOO, &[]);
    let (first, told) = Run { threads: 1, ..Run::default() }.of(&zoo).unwrap();
    for threads in [2, 2] {
        let (again, told_again) = Run { threads, ..Run::default() }.of(&zoo).unwrap();
        assert_same_events(&told_again.events, &told.events);
        assert_same_reports(&told_again.reports, &told.reports);
        assert_eq!(told_again.traffic, told.traffic);
        assert_eq!(digest(again), digest(first));
    }
    // What is built anew from the scenario is the same too.
    let (anew, _) = Run { threads: 3, ..Run::default() }.of(&small(ZOO, &[])).unwrap();
    assert_eq!(digest(anew), digest(first));
    let (other, _) = Run { threads: 2, ..Run::default() }.of(&small(ZOO, &["seed=8"])).unwrap();
    assert_ne!(digest(other), digest(first));
}

#[test]
fn settings_that_judge_nobody_change_no_ones_pay() {
    let pay = |overrides: &[&str]| {
        let reports = finished(&small(ZOO, overrides)).reports;
        let peers = reports.iter().map(|report| serde_json::to_string(&report.peers).unwrap());
        peers.collect::<Vec<_>>()
    };
    let expected = pay(&[]);
    for change in ["name=\"other\"", "summary=\"other\"", "training.eval_every=3", "baseline.lr=0.009"] {
        assert_eq!(pay(&[change]), expected, "{change}");
    }
}

#[test]
fn the_order_of_keys_does_not_name_a_run() {
    let run = |link: &str| small(&format!("{HONEST}{link}\n"), &[]).network.run;
    assert_eq!(run("link = { loss = 0.05, latency_ms = 180 }"), run("link = { latency_ms = 180, loss = 0.05 }"));
    assert_ne!(run("link = { loss = 0.05 }"), run("link = { loss = 0.06 }"));
}

#[test]
fn honest_replicas_stay_in_sync_while_requests_fail() {
    let validators = "[[validators]]\n[[validators]]\nstake = 10\n";
    let lossy = ["validators.0.link.loss=0.05", "validators.1.link.loss=0.05", "peers.0.link.loss=0.05"];
    let network = small(&format!("{validators}{HONEST}"), &lossy);
    let told = finished(&network);
    for node in 1..8 {
        assert_in_sync(&told, node, 1..=14);
    }
    for report in &told.reports {
        let passed = report.peers.iter().filter(|peer| peer.status == Status::Passed).count();
        assert_eq!((passed, report.uploads), (6, 6), "round {}", report.round);
    }
    // Requests did fail: nodes were held up.
    let times =
        |told: &Told| told.events.iter().map(|(node, at, _)| (*node, *at)).collect::<std::collections::BTreeSet<_>>();
    let without = finished(&small(&format!("{validators}{HONEST}"), &[]));
    assert_ne!(times(&told), times(&without));
}

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    let zoo = small(ZOO, &[]);
    let (whole, expected) = Run { threads: 2, ..Run::default() }.of(&zoo).unwrap();
    for stops in [[1, 4], [5, 7], [8, 12], [9, 13]] {
        let (mut reports, mut traffic, mut events, mut resume) = (Vec::new(), Vec::new(), Vec::new(), None);
        for stop in stops.map(Stop::Round).into_iter().chain([Stop::Never]) {
            let (outcome, told) = Run { threads: 2, resume, stop, ..Run::default() }.of(&zoo).unwrap();
            reports.extend(told.reports);
            traffic.extend(told.traffic);
            append(&mut events, told.events);
            resume = told.checkpoints.last().map(|(bytes, _)| bytes.clone());
            match outcome {
                // Those rounds are saved; others that were told will be told again.
                Outcome::Interrupted(rounds) => {
                    assert!(rounds as usize <= reports.len(), "{rounds} of {} rounds", reports.len());
                    reports.truncate(rounds as usize);
                    traffic.truncate(rounds as usize);
                }
                Outcome::Finished(digest_) => {
                    assert_same_events(&events, &expected.events);
                    assert_same_reports(&reports, &expected.reports);
                    assert_eq!(traffic, expected.traffic);
                    assert_eq!(digest_, digest(whole), "interrupted at {stops:?}");
                    break;
                }
            }
        }
        assert_eq!(reports.len(), 14);
    }
}

#[test]
fn a_killed_run_goes_on_from_any_checkpoint() {
    let rounds: Vec<usize> = goes_on(&small(ZOO, &[])).checkpoints.iter().map(|(_, rounds)| *rounds).collect();
    assert!(rounds.starts_with(&[5, 10]) && rounds.ends_with(&[14]), "{rounds:?}");
}

/// Whatever the scheme, honest replicas stay in sync, threads change nothing, and a run can be taken up again.
#[test]
fn every_scheme_has_one_digest_and_goes_on() {
    for scheme in [
        "scheme={kind='demo', topk=4, bits=2}",
        "scheme={kind='sparseloco', inner_steps=3, topk=8}",
        "scheme={kind='sparseloco', inner='muon', inner_steps=3, topk=8}",
        "scheme={kind='dense', inner_steps=2}",
        "scheme={kind='dense', inner='muon', inner_steps=2}",
        "scheme={kind='dense', update='gradient'}",
    ] {
        println!("{scheme}");
        let zoo = small(ZOO, &[scheme]);
        let expected = goes_on(&zoo);
        for node in 2..5 {
            assert_in_sync(&expected, node, 1..=14);
        }
    }
}

#[test]
fn a_checkpoint_of_another_run_or_a_damaged_one_is_refused() {
    let network = small(HONEST, &[]);
    let (_, told) = Run { stop: Stop::Round(1), ..Run::default() }.of(&network).unwrap();
    let bytes = told.checkpoints[0].0.clone();
    let other = small(HONEST, &["seed=8"]);
    let refused = Run { resume: Some(bytes.clone()), ..Run::default() }.of(&other).err().unwrap();
    assert!(matches!(&refused, RunError::Checkpoint(why) if why.contains("another scenario")), "{refused}");
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    assert!(Checkpoint::from_bytes(&damaged).err().unwrap().contains("damaged"));
    assert!(Checkpoint::from_bytes(&bytes[..20]).is_err());
}

#[test]
fn the_baseline_goes_on_too() {
    for settings in [&[][..], &["baseline.optimizer=muon", "baseline.steps_per_round=2"]] {
        the_baseline_goes_on(&small(HONEST, settings));
    }
}

fn the_baseline_goes_on(network: &Arc<World>) {
    let losses = |told: &Told| told.baseline.iter().map(|step| (step.round, step.lr, step.loss)).collect::<Vec<_>>();
    let run = |baseline| Run { threads: 2, baseline, ..Run::default() };
    let (whole, expected) = run(true).of(network).unwrap();
    assert_eq!(expected.baseline.len(), 14);
    let last = expected.baseline.last().unwrap().loss.unwrap();
    assert!(last < expected.baseline[3].loss.unwrap(), "it learns");
    assert_eq!(digest(whole), digest(run(false).of(network).unwrap().0), "it does not touch the network");

    // Interrupted by the baseline's step, wherever the network is by then.
    let (outcome, first) = Run { stop: Stop::BaselineStep(2), ..run(true) }.of(network).unwrap();
    assert!(matches!(outcome, Outcome::Interrupted(_)), "{outcome:?}");
    assert_eq!(first.baseline.len(), 3);
    let resume_baseline = first.baseline_states.last().cloned();
    let resume = first.checkpoints.last().map(|(bytes, _)| bytes.clone());
    let (outcome, second) = Run { resume, resume_baseline, ..run(true) }.of(network).unwrap();
    assert_eq!(digest(outcome), digest(whole));
    assert_eq!([losses(&first), losses(&second)].concat(), losses(&expected));

    // The network is done; the baseline is not.
    let (_, killed) = run(false).of(network).unwrap();
    let resume = killed.checkpoints.last().map(|(bytes, _)| bytes.clone());
    let stop = Stop::BaselineStep(6);
    let (outcome, first) = Run { resume, stop, ..run(true) }.of(network).unwrap();
    assert_eq!(outcome, Outcome::Interrupted(14));
    let resume_baseline = first.baseline_states.last().cloned();
    let resume = first.checkpoints.last().map(|(bytes, _)| bytes.clone());
    let (outcome, second) = Run { resume, resume_baseline, ..run(true) }.of(network).unwrap();
    assert_eq!(digest(outcome), digest(whole));
    assert_eq!([losses(&first), losses(&second)].concat(), losses(&expected));
}

#[test]
fn a_joiner_starts_from_the_newest_checkpoint() {
    let network = small("[[peers]]\ncount = 4\n[[peers]]\njoins = 8\n", &[]);
    let told = finished(&network);
    let joiner: Vec<&str> =
        told.events.iter().filter(|(node, _, _)| *node == 5).map(|(_, _, event)| event.as_str()).collect();
    assert_eq!(joiner[0], "slot Some(4)");
    assert!(joiner[1].starts_with("checkpoint 5 "), "{joiner:?}");
    assert!(joiner[2].starts_with("model 6 "), "{joiner:?}");
    assert_in_sync(&told, 5, 5..=14);
    for round in 8..14 {
        assert_eq!(told.peer(&network, 4, round).unwrap().status, Status::Passed, "round {round}");
    }
}

#[test]
fn the_lowest_paid_make_room_and_newcomers_are_immune() {
    let peers =
        "[[peers]]\nbehaviour = \"malformed\"\n[[peers]]\ncount = 3\n[[peers]]\njoins = 6\n[[peers]]\njoins = 8\n";
    let network = small(peers, &["chain.slots=4", "chain.immunity_rounds=5"]);
    let told = finished(&network);
    let there = |peer, round| told.peer(&network, peer, round).is_some();
    assert!((1..4).any(|peer| told.peer(&network, peer, 5).unwrap().incentive > 0.0), "honest work is paid by then");
    assert!(there(0, 5) && !there(0, 6), "the malformed peer earned least");
    assert!(there(4, 6), "the first newcomer has its slot");
    assert!(there(4, 8) && there(4, 10), "and keeps it although it has earned nothing yet");
    assert!(there(5, 8));
    let out: Vec<usize> = (1..4).filter(|&peer| !there(peer, 8)).collect();
    assert_eq!(out.len(), 1, "one of the others made room for the second");
    // Nobody inherits: the newcomer has the slot, not what its owner had earned.
    assert_eq!(told.peer(&network, 4, 6).unwrap().incentive, 0.0);
    for (peer, from) in [(4, 7), (5, 9)] {
        assert_in_sync(&told, 1 + peer, from..=14);
    }
}

#[test]
fn those_who_leave_or_are_slow_block_nobody() {
    let peers = r#"
[[validators]]
[[validators]]
stake = 10
hardware = { tokens_per_second = 0.004 }
[[peers]]
count = 3
[[peers]]
leaves = 3
[[peers]]
hardware = { tokens_per_second = 0.3 }
[[peers]]
hardware = { tokens_per_second = 0.05 }
[[peers]]
link = { bandwidth_mbps = 0.0005 }
"#;
    let network = small(peers, &["rounds=24"]);
    let told = finished(&network);
    for peer in 0..3 {
        assert_in_sync(&told, 2 + peer, 1..=24);
    }
    let status = |peer, round| told.peer(&network, peer, round).unwrap().status;
    assert_eq!((status(3, 2), status(3, 3), status(3, 23)), (Status::Passed, Status::Absent, Status::Absent));
    assert!((0..24).all(|round| status(4, round) == Status::Absent), "its work takes several rounds");
    let aggregated: Vec<usize> =
        told.reports.iter().map(|report| report.peers.iter().filter(|peer| peer.aggregated).count()).collect();
    assert_eq!(aggregated[0], 4, "while nobody has a score, as many as there are places");
    assert!(aggregated.iter().all(|&count| count >= 2), "{aggregated:?}");
}

#[test]
fn no_malformed_upload_gets_through_or_breaks_anything() {
    let validators = "[[validators]]\n[[validators]]\nstake = 10\n";
    let hows = ["shape", "index", "nan", "oversized", "truncated", "any"];
    let hostile: String = hows
        .iter()
        .map(|how| format!("[[peers]]\nbehaviour = {{ kind = \"malformed\", how = \"{how}\" }}\n"))
        .collect();
    let network = small(&format!("{validators}[[peers]]\ncount = 3\n{hostile}"), &[]);
    let told = finished(&network);
    for round in 0..14 {
        for (nth, how) in hows.iter().enumerate() {
            let peer = told.peer(&network, 3 + nth, round).unwrap();
            assert_eq!((peer.status, peer.aggregated), (Status::Malformed, false), "{how} in round {round}");
            assert_eq!(peer.incentive, 0.0);
        }
    }
    for node in 0..5 {
        assert_in_sync(&told, node, 1..=14);
    }
}
