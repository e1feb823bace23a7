//! Rules for the number of slots of peers and operators, and for operators' names.

use std::collections::BTreeMap;

use super::super::sections::Scenario;
use crate::settings::Findings;
use crate::words::counted;

/// Maximum number of slots that peers and operators register, including those that join later. It bounds the cost of
/// starting them.
const MAX_PEERS: usize = 10_000;
/// Most keys that a group registers one after the other: each is an account that a node keeps.
const MAX_KEYS: u64 = 10_000;
/// Maximum length of an operator's name.
const LONGEST_NAME: usize = 32;

pub fn check(found: &mut Findings, s: &Scenario) {
    let somebody = !s.peers.is_empty() || !s.operators.is_empty();
    found.require(somebody, "peers", "empty", "at least one group of peers or operators");
    let total = s.peers_total();
    let expected = format!("{MAX_PEERS} at most");
    if total > MAX_PEERS {
        return found.require(false, largest(s), format!("{total} peers in all"), expected);
    }
    // Operators without slots escape the bound above, so their names are not checked.
    if s.operators.iter().all(|group| group.uids > 0) {
        names(found, s);
    }
    from_the_start(found, s);
    keys(found, s);
}

/// Those that register anew need a key each time.
fn keys(found: &mut Findings, s: &Scenario) {
    let groups = s.peers.iter().map(|group| &group.behaviour).enumerate();
    let peers = groups.map(|(index, behaviour)| (format!("peers.{index}.behaviour"), behaviour));
    let groups = s.operators.iter().map(|group| &group.behaviour).enumerate();
    let operators = groups.map(|(index, behaviour)| (format!("operators.{index}.behaviour"), behaviour));
    for (path, behaviour) in peers.chain(operators).filter(|(_, behaviour)| s.behaviour(behaviour).renews().is_some()) {
        let of_group = s.each_operator().filter(|operator| std::ptr::eq(operator.behaviour, behaviour));
        let keys = of_group
            .fold(0u64, |keys, operator| keys.saturating_add(operator.keys().saturating_mul(operator.uids as u64)));
        let expected = format!("{MAX_KEYS} keys at most: leave less often");
        found.require(keys <= MAX_KEYS, path, format!("a behaviour with {keys} keys in {} rounds", s.rounds), expected);
    }
}

/// The setting that accounts for the most slots.
fn largest(s: &Scenario) -> &'static str {
    let of_peers: usize = s.peers.iter().fold(0, |total, group| total.saturating_add(group.count));
    if of_peers >= s.peers_total() - of_peers { "peers" } else { "operators" }
}

/// Names must differ, because tables tell operators apart by them.
fn names(found: &mut Findings, s: &Scenario) {
    for (index, group) in s.operators.iter().enumerate() {
        let Some(name) = &group.name else { continue };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain);
        let expected = format!("1 to {LONGEST_NAME} letters, digits, `-`, `_` or `.`");
        found.require(fits, format!("operators.{index}.name"), format!("{name:?}"), expected);
    }
    let groups = s.operators.iter().enumerate().flat_map(|(index, group)| (0..group.count).map(move |_| index));
    let operators = s.each_operator().filter_map(|operator| operator.name);
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (index, name) in groups.zip(operators) {
        let path = format!("operators.{index}.name");
        if let Some(other) = taken.get(&name) {
            let expected = format!("another name than that of operators.{other}");
            return found.require(false, path, format!("{name:?}"), expected);
        }
        taken.insert(name, index);
    }
}

/// Parties that are there from the start must have slots.
fn from_the_start(found: &mut Findings, s: &Scenario) {
    let peers = s.peers.iter().enumerate().map(|(index, group)| {
        let path = format!("peers.{index}.count");
        (group.joins, path, group.count, group.count)
    });
    let operators = s.operators.iter().enumerate().map(|(index, group)| {
        let path = format!("operators.{index}.uids");
        (group.joins, path, group.uids, group.count.saturating_mul(group.uids))
    });
    let mut registered: usize = 0;
    for (_, path, got, slots) in peers.chain(operators).filter(|(joins, ..)| *joins == 0) {
        registered = registered.saturating_add(slots);
        if registered > s.chain.slots {
            let slots = s.chain.slots;
            let expected = format!(
                "{} at most from the start (chain.slots), not {registered}; others can join later (`joins`)",
                counted(slots, "peer")
            );
            return found.require_with(false, path, got, expected, Some("chain.slots"));
        }
    }
}
