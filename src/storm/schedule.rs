//! Which faults a storm has: a function of the scenario and the seed.

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};

use toml::{Table, Value};

use super::fault::{Fault, Left, Moment, Nodes, What};
use crate::random::{self, ChaCha8Rng};
use crate::scenario::Scenario;
use crate::settings::Kinded;

/// Faults of a storm, besides adversaries and dishonest validators.
const FAULTS: std::ops::RangeInclusive<usize> = 4..=16;
/// A fault lasts this many rounds at most.
const LONGEST_ROUNDS: f64 = 5.0;
/// Behaviours of the peers that turn against the network.
const ADVERSARIES: [&str; 11] = [
    "noise",
    "malformed",
    "sign-flip",
    "rescaled",
    "copycat",
    "stale",
    "desync",
    "late",
    "free-rider",
    "lazy",
    "offline",
];

/// Behaviours of the validators that turn against the network.
const DISHONEST: [&str; 7] =
    ["copy-weights", "equivocate", "false-model", "favour", "out-of-turn", "silent", "withhold"];
/// So many storms have dishonest validators, unless the scenario names some.
const SHARE_DISHONEST: f64 = 0.4;
/// In so many storms validators, or all nodes, are killed at once.
const SHARE_TOGETHER: f64 = 0.3;
/// In so many of those it is only the validators.
const SHARE_ONLY_VALIDATORS: f64 = 0.6;

/// Rounds at the end of a storm without any fault, in which all nodes have to find together again.
pub fn calm_rounds(scenario: &Scenario) -> u64 {
    (scenario.rounds / 4).max(4).min(scenario.rounds)
}

/// When the last fault ends, in milliseconds since genesis.
pub fn calm_from(scenario: &Scenario) -> u64 {
    round_ms(scenario) * (scenario.rounds - calm_rounds(scenario))
}

/// Milliseconds of a round.
pub fn round_ms(scenario: &Scenario) -> u64 {
    (scenario.chain.block_seconds * 1e3) as u64 * scenario.chain.blocks_per_round
}

/// Whether a node that is told to behave so is honest.
pub fn is_honest(behaviour: &Kinded) -> bool {
    matches!(behaviour.kind.as_deref(), None | Some("honest"))
}

/// The faults of a seed.
pub fn draw(scenario: &Scenario, seed: u64) -> Vec<Fault> {
    let mut rng = random::rng(seed, "storm", 0, 0);
    let (validators, peers) = (scenario.validators.len(), scenario.each_operator().count());
    let mut drawn: Vec<(u64, u64, What)> = Vec::new();
    let whole = round_ms(scenario) * scenario.rounds;
    for (node, validator) in scenario.validators.iter().enumerate() {
        if !is_honest(&validator.behaviour) {
            drawn.push((0, whole, What::Dishonest { node, behaviour: validator.behaviour.clone() }));
        }
    }
    // Enough peers stay honest to fill an aggregation.
    let operators = scenario.each_operator().enumerate();
    let could_turn = operators.filter(|(_, operator)| operator.uids == 1 && is_honest(operator.behaviour));
    let mut could_turn: Vec<usize> = could_turn.map(|(number, _)| number).collect();
    could_turn.shuffle(&mut rng);
    let most = could_turn.len().saturating_sub(scenario.protocol.top_peers);
    for peer in could_turn.into_iter().take(rng.random_range(0..=most)) {
        let behaviour = ADVERSARIES.choose(&mut rng).expect("not empty");
        drawn.push((0, whole, What::Adversary { node: validators + peer, behaviour }));
    }
    let (first, last) = (round_ms(scenario) / 4, calm_from(scenario));
    for _ in 0..rng.random_range(FAULTS) {
        let from = rng.random_range(first..last.max(first + 1));
        let longest = (LONGEST_ROUNDS * round_ms(scenario) as f64) as u64;
        let what = draw_one(&mut rng, validators, peers, round_ms(scenario));
        // Half of those who are killed are back in the same round, to do again what they were at.
        let is_short = matches!(what, What::Kill { .. }) && rng.random_bool(0.5);
        let longest = if is_short { round_ms(scenario) / 2 } else { longest };
        let until = (from + rng.random_range(1000..longest.max(1001))).min(last.max(from + 1));
        drawn.push((from, until, what));
    }
    // These have draws of their own, and come last: a seed keeps the other faults, and their numbers.
    drawn.extend(draw_dishonest(scenario, seed).into_iter().map(|what| (0, whole, what)));
    drawn.extend(draw_together(scenario, seed));
    let faults = drawn.into_iter().enumerate();
    faults.map(|(index, (from_ms, until_ms, what))| Fault { index, from_ms, until_ms, what }).collect()
}

/// Validators with strictly less than half of the stake, in some of the storms.
fn draw_dishonest(scenario: &Scenario, seed: u64) -> Vec<What> {
    let mut rng = random::rng(seed, "storm dishonest", 0, 0);
    let names_some = scenario.validators.iter().any(|validator| !is_honest(&validator.behaviour));
    if names_some || !rng.random_bool(SHARE_DISHONEST) {
        return Vec::new();
    }
    let total: f64 = scenario.validators.iter().map(|validator| validator.stake).sum();
    let mut order: Vec<usize> = (0..scenario.validators.len()).collect();
    order.shuffle(&mut rng);
    let (mut turned, mut stake) = (Vec::new(), 0.0);
    for node in order {
        if stake + scenario.validators[node].stake < total / 2.0 {
            stake += scenario.validators[node].stake;
            turned.push(node);
        }
    }
    turned.truncate(rng.random_range(1..=turned.len().max(1)));
    turned.sort_unstable();
    turned.into_iter().map(|node| What::Dishonest { node, behaviour: draw_behaviour(scenario, &mut rng) }).collect()
}

fn draw_behaviour(scenario: &Scenario, rng: &mut ChaCha8Rng) -> Kinded {
    let kind = *DISHONEST.choose(rng).expect("not empty");
    let from = rng.random_range(0..scenario.rounds - calm_rounds(scenario)) as i64;
    let (uid, is_worse) = (rng.random_range(0..scenario.peers_total().max(1)) as i64, rng.random_bool(0.5));
    let settings = match kind {
        "false-model" => vec![("before", Value::Boolean(is_worse))],
        "favour" => vec![("uids", Value::Array(vec![Value::Integer(uid)]))],
        "silent" => vec![("from", Value::Integer(from))],
        "withhold" => vec![("from", Value::Integer(from)), ("invents", Value::Boolean(is_worse))],
        _ => Vec::new(),
    };
    let settings: Table = settings.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
    Kinded { kind: Some(kind.to_string()), settings }
}

/// All validators, or all nodes, are killed at once in some of the storms.
fn draw_together(scenario: &Scenario, seed: u64) -> Option<(u64, u64, What)> {
    let mut rng = random::rng(seed, "storm together", 0, 0);
    if !rng.random_bool(SHARE_TOGETHER) {
        return None;
    }
    let (validators, peers) = (scenario.validators.len(), scenario.each_operator().count());
    let nodes = if rng.random_bool(SHARE_ONLY_VALIDATORS) { validators } else { validators + peers };
    let (first, last) = (round_ms(scenario) / 4, calm_from(scenario));
    let from = rng.random_range(first..last.max(first + 1));
    let longest = (LONGEST_ROUNDS * round_ms(scenario) as f64) as u64;
    let until = (from + rng.random_range(1000..longest.max(1001))).min(last.max(from + 1));
    Some((from, until, What::KillTogether { nodes: Nodes((0..nodes).collect()) }))
}

fn draw_one(rng: &mut ChaCha8Rng, validators: usize, peers: usize, round_ms: u64) -> What {
    let all = validators + peers;
    // Half of what happens to one node happens to a validator: there are few, and they decide.
    let node = if rng.random_bool(0.5) { rng.random_range(0..validators) } else { rng.random_range(0..all) };
    let nodes = draw_nodes(rng, validators, all, node);
    match rng.random_range(0..16) {
        0..=4 => {
            use Moment::{AfterPut, AfterRequest, AtOnce, BeforePut, BeforeRequest};
            let moments = [AtOnce, BeforeRequest, AfterRequest, BeforePut, AfterPut, AfterPut];
            let moment = *moments.choose(rng).expect("not empty");
            let age_ms = rng.random_range(1..6 * round_ms);
            let left = [Left::State, Left::State, Left::OldState { age_ms }, Left::Nothing];
            What::Kill { node, moment, left: *left.choose(rng).expect("not empty") }
        }
        5 => What::Errors { nodes, share: rng.random_range(0.02..0.9) },
        6 => What::Lossy { nodes, share: rng.random_range(0.02..0.7) },
        7 => What::Garbled { nodes, share: rng.random_range(0.02..0.9) },
        8 => What::Outage { nodes },
        9 | 10 => What::Behind { nodes, lag_ms: rng.random_range(500..round_ms * 3 / 2) },
        11 => What::Slow { nodes, delay_ms: rng.random_range(200..round_ms / 2) },
        12 => What::Partition { nodes: draw_group(rng, all) },
        13 => {
            let furthest = 2 * round_ms as i64;
            What::Clock { node, off_ms: rng.random_range(-furthest..=furthest) }
        }
        14 => What::DiskFull { node },
        _ => What::Litter { node: validators + rng.random_range(0..peers) },
    }
}

/// One node, all validators, some nodes, or all.
fn draw_nodes(rng: &mut ChaCha8Rng, validators: usize, all: usize, node: usize) -> Nodes {
    match rng.random_range(0..6) {
        0..=2 => Nodes(vec![node]),
        3 => Nodes((0..validators).collect()),
        4 => Nodes((0..all).collect()),
        _ => draw_group(rng, all),
    }
}

fn draw_group(rng: &mut ChaCha8Rng, all: usize) -> Nodes {
    Nodes((0..all).filter(|_| rng.random_bool(0.4)).collect())
}
