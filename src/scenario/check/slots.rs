//! Rules for the number of slots of peers and operators, and for operators' names.

use std::collections::BTreeMap;

use super::super::sections::Scenario;
use crate::settings::Findings;

/// Maximum number of slots that peers and operators register, including those that join later. It bounds the cost of
/// starting them.
const MAX_PEERS: usize = 10_000;
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
                "{slots} peers at most from the start (chain.slots), not {registered}; others can join later (`joins`)"
            );
            return found.require_with(false, path, got, expected, Some("chain.slots"));
        }
    }
}
