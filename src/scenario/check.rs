//! Rules for a scenario beyond the type of each key.

mod aggregation;
mod slots;

use toml::Value;

use crate::transport::Hotkey;

use super::sections::Scenario;
use crate::model::LlamaConfig;
use crate::node::Hardware;
use crate::settings::{Finding, Findings, Kinded, MOST_SECONDS};
use crate::transport::simulated::Link;

/// Checks all settings. If the result is empty, the scenario can be run.
pub fn check(scenario: &Scenario) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Ok(value) = Value::try_from(scenario) {
        findings.finite("", &value);
    }
    if findings.is_empty() {
        let pages = scenario.training.pages_per_round;
        general(&mut findings, scenario);
        findings.within("model", |found| scenario.model.check(found));
        findings.within("corpus", |found| scenario.corpus.check(found));
        findings.within("training", |found| scenario.training.check(found));
        findings.within("baseline", |found| scenario.baseline.check(found, scenario.baseline_pages()));
        findings.within("scheme", |found| scenario.scheme_settings().check(found, pages));
        aggregation::check(&mut findings, scenario);
        findings.within("protocol", |found| scenario.protocol.check(found));
        rounds(&mut findings, scenario);
        findings.within("mechanism", |found| scenario.judge().check(found));
        findings.within("chain", |found| scenario.chain.check(found));
        nodes(&mut findings, scenario);
        slots::check(&mut findings, scenario);
    }
    findings.into_vec()
}

fn general(found: &mut Findings, s: &Scenario) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_folder_name =
        (1..=64).contains(&s.name.len()) && s.name.chars().all(plain) && !s.name.starts_with(['.', '-']);
    let expected = "1 to 64 letters, digits, `-`, `_` or `.`, the first a letter or digit: it names the run's folder";
    found.require(is_folder_name, "name", format!("{:?}", s.name), expected);
    found.require(s.seed <= i64::MAX as u64, "seed", s.seed, format!("{} at most, what TOML can write", i64::MAX));
    found.at_least_one("rounds", s.rounds);
}

/// A round cannot aggregate more peers than there are, and the put window must fit into the round.
fn rounds(found: &mut Findings, s: &Scenario) {
    let (peers, top) = (s.peers_total(), s.protocol.top_peers);
    let expected = format!("{peers} at most, the number of peers");
    found.require_with(top <= peers || peers == 0, "protocol.top_peers", top, expected, Some("peers"));
    let (most, pages) = (s.protocol.most_pages, s.training.pages_per_round);
    let fits = s.protocol.pages_that_count(pages) <= usize::from(u16::MAX);
    let expected = format!("{} pages at most, times training.pages_per_round", u16::MAX);
    found.require_with(!s.protocol.says_pages() || fits, "protocol.most_pages", most, expected, Some("training"));
    let (window, round) = (s.protocol.put_window_seconds, s.round_seconds());
    let expected = format!("{round} at most, the seconds of a round (chain.block_seconds * chain.blocks_per_round)");
    let fits = window <= round || round <= 0.0;
    found.require_with(fits, "protocol.put_window_seconds", window, expected, Some("chain"));
    let (reveal, left) = (s.protocol.reveal_seconds(), round - window);
    let expected = format!("{left} at most, the seconds of a round that protocol.put_window_seconds leaves");
    let fits = reveal <= left || left < 0.0;
    found.require_with(fits, "protocol.reveal_window_seconds", reveal, expected, Some("protocol.put_window_seconds"));
}

fn nodes(found: &mut Findings, s: &Scenario) {
    found.require(!s.validators.is_empty(), "validators", "empty", "at least one validator");
    let all_leave = s.validators.iter().all(|validator| validator.leaves.is_some_and(|leaves| leaves < s.rounds));
    let expected = "at least one validator that stays: without any the network waits for ever";
    found.require(s.validators.is_empty() || !all_leave, "validators", "all of them leave", expected);
    for (index, validator) in s.validators.iter().enumerate() {
        let path = format!("validators.{index}");
        found.positive(format!("{path}.stake"), validator.stake);
        let behaviour = s.validator_behaviour(&validator.behaviour);
        found.within(&format!("{path}.behaviour"), |found| behaviour.check(found));
        machine(found, &path, &validator.hardware, &validator.link);
        found.at_least_one(&format!("{path}.leaves"), validator.leaves.unwrap_or(1));
        let hotkey = validator.hotkey.as_deref().unwrap_or_default();
        let is_key = validator.hotkey.is_none() || hotkey.parse::<Hotkey>().is_ok();
        let expected = "64 lower-case hexadecimal digits, as `sim key show` prints";
        found.require(is_key, format!("{path}.hotkey"), format!("{hotkey:?}"), expected);
    }
    for (index, group) in s.peers.iter().enumerate() {
        let path = format!("peers.{index}");
        found.at_least_one(&format!("{path}.count"), group.count as u64);
        machine(found, &path, &group.hardware, &group.link);
        found.within(&format!("{path}.behaviour"), |found| s.behaviour(&group.behaviour).check(found));
        backdoor(found, s, &path, &group.behaviour);
        steps(found, s, &path, group.inner_steps);
        stay(found, &path, group.joins, group.leaves);
    }
    for (index, group) in s.operators.iter().enumerate() {
        let path = format!("operators.{index}");
        found.at_least_one(&format!("{path}.count"), group.count as u64);
        found.at_least_one(&format!("{path}.uids"), group.uids as u64);
        machine(found, &path, &group.hardware, &group.link);
        found.within(&format!("{path}.behaviour"), |found| s.behaviour(&group.behaviour).check(found));
        backdoor(found, s, &path, &group.behaviour);
        steps(found, s, &path, group.inner_steps);
        stay(found, &path, group.joins, group.leaves);
    }
}

/// The trigger of a backdoor is text that the model can read.
fn backdoor(found: &mut Findings, s: &Scenario, path: &str, behaviour: &Kinded) {
    let (Some(trigger), Ok(config)) = (s.behaviour(behaviour).trigger(), LlamaConfig::from_settings(&s.model)) else {
        return;
    };
    let vocabulary = config.vocab_size;
    let tokens = trigger.tokens.iter().map(|token| ("trigger", token)).chain([("target", &trigger.target)]);
    let expected = format!("tokens below {vocabulary}, the size of the model's vocabulary");
    if let Some((key, token)) = tokens.into_iter().find(|(_, token)| **token as usize >= vocabulary) {
        found.require_with(false, format!("{path}.behaviour.{key}"), token, expected, Some("model"));
    }
    let (length, longest) = (trigger.tokens.len(), config.sequence_length);
    let expected = format!("{longest} tokens at most, the length of a sequence");
    let got = format!("{length} tokens");
    found.require_with(length <= longest, format!("{path}.behaviour.trigger"), got, expected, Some("model"));
}

fn steps(found: &mut Findings, s: &Scenario, path: &str, steps: Option<usize>) {
    if let Some((steps, expected)) = steps.and_then(|steps| Some((steps, s.expected_steps(steps)?))) {
        found.require(false, format!("{path}.inner_steps"), steps, expected);
    }
}

/// A party must join before it leaves.
fn stay(found: &mut Findings, path: &str, joins: u64, leaves: Option<u64>) {
    if let Some(leaves) = leaves {
        let expected = format!("more than {path}.joins, {joins}");
        found.require(leaves > joins, format!("{path}.leaves"), leaves, expected);
    }
}

fn machine(found: &mut Findings, path: &str, hardware: &Hardware, link: &Link) {
    found.positive(format!("{path}.hardware.tokens_per_second"), hardware.tokens_per_second.unwrap_or(1.0));
    let (devices, most) = (hardware.devices, Hardware::MOST_DEVICES);
    found.require((1..=most).contains(&devices), format!("{path}.hardware.devices"), devices, format!("1 to {most}"));
    found.not_negative(format!("{path}.link.latency_ms"), link.latency_ms);
    found.at_most(format!("{path}.link.latency_ms"), link.latency_ms, MOST_SECONDS * 1e3);
    found.positive(format!("{path}.link.bandwidth_mbps"), link.bandwidth_mbps);
    found.below_one(format!("{path}.link.loss"), link.loss);
}
