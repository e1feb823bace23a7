//! What must hold of a scenario beyond the type of each key.

mod aggregation;
mod slots;

use toml::Value;

use crate::transport::Hotkey;

use super::sections::Scenario;
use crate::chain::MAX_SLOTS;
use crate::corpus::CorpusKind;
use crate::node::Hardware;
use crate::settings::{Finding, Findings};
use crate::transport::simulated::Link;

/// Longest time that a setting can state, in seconds: some days.
const MOST_SECONDS: f64 = 1e6;

/// Checks all settings; empty: the scenario can be run.
pub fn check(scenario: &Scenario) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Ok(value) = Value::try_from(scenario) {
        findings.finite("", &value);
    }
    if findings.is_empty() {
        general(&mut findings, scenario);
        training(&mut findings, scenario);
        let pages = scenario.training.pages_per_round;
        findings.within("scheme", |found| scenario.scheme_settings().check(found, pages));
        aggregation::check(&mut findings, scenario);
        protocol(&mut findings, scenario);
        findings.within("mechanism", |found| scenario.judge().check(found));
        chain(&mut findings, scenario);
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
    let sizes = [
        ("model.vocab_size", s.model.vocab_size),
        ("model.hidden_size", s.model.hidden_size),
        ("model.num_layers", s.model.num_layers),
        ("model.num_heads", s.model.num_heads),
        ("model.num_kv_heads", s.model.num_kv_heads),
        ("model.intermediate_size", s.model.intermediate_size),
        ("model.sequence_length", s.model.sequence_length),
    ];
    for (path, size) in sizes {
        found.at_least_one(path, size.unwrap_or(1) as u64);
    }
    let corpus = &s.corpus;
    found.at_least_one("corpus.held_out_pages", corpus.held_out_pages as u64);
    let files = corpus.kind != CorpusKind::Synthetic;
    let text = "corpus.kind is \"synthetic\"; or set corpus.kind to \"text\"";
    set_if(found, "corpus.path", &corpus.path, files, files, "a path, a folder, a pattern or a URL", text);
    let kind = corpus.kind;
    let documents = matches!(kind, CorpusKind::Parquet | CorpusKind::Jsonl);
    let tokenizer = documents || kind == CorpusKind::Text;
    let others =
        if kind == CorpusKind::Synthetic { text } else { "corpus.kind is \"tokens\": the tokenizer has done its work" };
    set_if(found, "corpus.tokenizer", &corpus.tokenizer, tokenizer, documents, "the path of a tokenizer.json", others);
    if let Some(bytes) = corpus.token_bytes {
        let expected = if kind == CorpusKind::Tokens { "2 or 4" } else { "none: only corpus.kind = \"tokens\" has it" };
        let fits = kind == CorpusKind::Tokens && [2, 4].contains(&bytes);
        found.require_with(fits, "corpus.token_bytes", bytes, expected, Some("corpus.kind"));
    }
}

/// A file is named where it is needed, and only where it may be.
fn set_if(found: &mut Findings, path: &str, file: &Option<String>, may: bool, must: bool, what: &str, otherwise: &str) {
    let fits = match file.as_deref() {
        Some(name) => may && !name.is_empty(),
        None => !must,
    };
    let got = file.as_ref().map_or("missing".to_string(), |file| format!("{file:?}"));
    let expected = if may { what.to_string() } else { format!("none, as {otherwise}") };
    found.require_with(fits, path, got, expected, Some("corpus.kind"));
}

fn training(found: &mut Findings, s: &Scenario) {
    let t = &s.training;
    found.positive("training.lr", t.lr);
    found.fraction("training.warmup_from", t.warmup_from);
    found.fraction("training.final_fraction", t.final_fraction);
    found.at_least_one("training.schedule_rounds", t.schedule_rounds.unwrap_or(1));
    found.at_least_one("training.pages_per_round", t.pages_per_round as u64);
    found.at_least_one("training.micro_batch", t.micro_batch as u64);
    found.at_least_one("training.eval_every", t.eval_every);
    found.at_least_one("training.checkpoint_every", t.checkpoint_every);
    let least = t.checkpoint_every.saturating_mul(2);
    let expected = format!("{least} or more, twice training.checkpoint_every: nodes that join need them");
    let kept = s.keep_rounds();
    found.require_with(kept >= least, "training.keep_rounds", kept, expected, Some("training.checkpoint_every"));

    let b = &s.baseline;
    found.positive("baseline.lr", b.lr);
    found.fraction("baseline.final_fraction", b.final_fraction);
    found.below_one("baseline.beta1", b.beta1);
    found.below_one("baseline.beta2", b.beta2);
    found.not_negative("baseline.weight_decay", b.weight_decay);
    found.positive("baseline.clip_norm", b.clip_norm);
    found.at_least_one("baseline.pages_per_round", b.pages_per_round.unwrap_or(1) as u64);
}

fn protocol(found: &mut Findings, s: &Scenario) {
    let p = &s.protocol;
    found.at_least_one("protocol.top_peers", p.top_peers as u64);
    let (peers, top) = (s.peers_total(), p.top_peers);
    let expected = format!("{peers} at most, the number of peers");
    found.require_with(top <= peers || peers == 0, "protocol.top_peers", top, expected, Some("peers"));
    let expected = format!("{top} at most, as protocol.top_peers");
    found.require_with(p.min_peers <= top, "protocol.min_peers", p.min_peers, expected, Some("protocol.top_peers"));
    found.positive("protocol.put_window_seconds", p.put_window_seconds);
    let round = s.round_seconds();
    let expected = format!("{round} at most, the seconds of a round (chain.block_seconds * chain.blocks_per_round)");
    let window = p.put_window_seconds;
    let fits = window <= round || round <= 0.0;
    found.require_with(fits, "protocol.put_window_seconds", window, expected, Some("chain"));
    found.at_least_one("protocol.list_every", p.list_every);
}

fn chain(found: &mut Findings, s: &Scenario) {
    let c = &s.chain;
    found.require((1..=MAX_SLOTS).contains(&c.slots), "chain.slots", c.slots, format!("1 to {MAX_SLOTS}"));
    found.positive("chain.block_seconds", c.block_seconds);
    found.at_most("chain.block_seconds", c.block_seconds, MOST_SECONDS);
    found.at_least_one("chain.blocks_per_round", c.blocks_per_round);
    found.at_least_one("chain.weights_every", c.weights_every);
    found.positive_fraction("chain.kappa", c.kappa);
    for (index, prefix) in c.peer_buckets.iter().enumerate() {
        let is_whole = prefix.contains("://") && prefix.ends_with('/');
        let expected = "the beginning of a URL that ends with `/`, such as \"s3://uploads/\"";
        found.require(is_whole, format!("chain.peer_buckets.{index}"), format!("{prefix:?}"), expected);
    }
    found.positive_fraction("chain.bond_alpha", c.bond_alpha);
    found.fraction("chain.bond_penalty", c.bond_penalty);
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
        stay(found, &path, group.joins, group.leaves);
    }
    for (index, group) in s.operators.iter().enumerate() {
        let path = format!("operators.{index}");
        found.at_least_one(&format!("{path}.count"), group.count as u64);
        found.at_least_one(&format!("{path}.uids"), group.uids as u64);
        machine(found, &path, &group.hardware, &group.link);
        found.within(&format!("{path}.behaviour"), |found| s.behaviour(&group.behaviour).check(found));
        stay(found, &path, group.joins, group.leaves);
    }
}

/// Nobody leaves before it has joined.
fn stay(found: &mut Findings, path: &str, joins: u64, leaves: Option<u64>) {
    if let Some(leaves) = leaves {
        let expected = format!("more than {path}.joins, {joins}");
        found.require(leaves > joins, format!("{path}.leaves"), leaves, expected);
    }
}

fn machine(found: &mut Findings, path: &str, hardware: &Hardware, link: &Link) {
    found.positive(format!("{path}.hardware.tokens_per_second"), hardware.tokens_per_second.unwrap_or(1.0));
    found.not_negative(format!("{path}.link.latency_ms"), link.latency_ms);
    found.at_most(format!("{path}.link.latency_ms"), link.latency_ms, MOST_SECONDS * 1e3);
    found.positive(format!("{path}.link.bandwidth_mbps"), link.bandwidth_mbps);
    found.below_one(format!("{path}.link.loss"), link.loss);
}
