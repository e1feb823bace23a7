//! What must hold of a scenario beyond the type of each key.

mod aggregation;

use std::fmt::Display;

use toml::Value;

use crate::transport::Hotkey;

use super::{Behaviour, Scenario};
use crate::chain::MAX_SLOTS;
use crate::corpus::CorpusKind;
use crate::node::Hardware;
use crate::training::scheme::{DenseUpdate, InnerSettings, SchemeSettings};
use crate::transport::simulated::Link;

/// Largest side of a chunk: sums over more products would no longer be exact in f64.
const MAX_CHUNK: usize = 64;
/// Widths of a value on the wire; 32 is the f32 itself.
const VALUE_BITS: [u32; 4] = [2, 4, 8, 32];

/// Longest time that a setting can state, in seconds: some days.
const MOST_SECONDS: f64 = 1e6;
/// Times its assigned pages that a peer can train on, at most.
const MOST_DATA: f64 = 100.0;
/// Most peers of a scenario, those that join later included: a bound on what starting them costs.
const MAX_PEERS: usize = 10_000;

/// A setting that cannot be run with.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path of the key.
    pub path: String,
    pub got: String,
    pub expected: String,
    /// A key that it does not fit together with, if any.
    pub related: Option<&'static str>,
}

/// Checks all settings; empty: the scenario can be run.
pub fn check(scenario: &Scenario) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Ok(value) = Value::try_from(scenario) {
        findings.finite("", &value);
    }
    if findings.0.is_empty() {
        findings.general(scenario);
        findings.training(scenario);
        findings.scheme(scenario);
        findings.aggregation(scenario);
        findings.gauntlet(scenario);
        findings.chain(scenario);
        findings.nodes(scenario);
        findings.numbers_of_peers(scenario);
    }
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn require(&mut self, holds: bool, path: impl Into<String>, got: impl Display, expected: impl Display) {
        self.require_with(holds, path, got, expected, None);
    }

    fn require_with(
        &mut self,
        holds: bool,
        path: impl Into<String>,
        got: impl Display,
        expected: impl Display,
        related: Option<&'static str>,
    ) {
        if !holds {
            let (got, expected) = (got.to_string(), expected.to_string());
            self.0.push(Finding { path: path.into(), got, expected, related });
        }
    }

    fn at_least_one(&mut self, path: &str, got: impl Into<u128> + Copy) {
        self.require(got.into() >= 1, path, got.into(), "1 or more");
    }

    fn positive(&mut self, path: impl Into<String>, got: f64) {
        self.require(got > 0.0, path, got, "more than 0");
    }

    fn not_negative(&mut self, path: impl Into<String>, got: f64) {
        self.require(got >= 0.0, path, got, "0 or more");
    }

    fn at_most(&mut self, path: impl Into<String>, got: f64, most: f64) {
        self.require(got <= most, path, got, format!("{most} at most"));
    }

    fn fraction(&mut self, path: impl Into<String>, got: f64) {
        self.require((0.0..=1.0).contains(&got), path, got, "a fraction, 0 to 1");
    }

    fn positive_fraction(&mut self, path: impl Into<String>, got: f64) {
        self.require(got > 0.0 && got <= 1.0, path, got, "a fraction above 0, 1 at most");
    }

    fn below_one(&mut self, path: impl Into<String>, got: f64) {
        self.require((0.0..1.0).contains(&got), path, got, "a fraction, 0 or more and below 1");
    }

    /// No number is infinite or not a number.
    fn finite(&mut self, path: &str, value: &Value) {
        let below = |key: &str| if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        match value {
            Value::Float(number) => self.require(number.is_finite(), path, number, "a finite number"),
            Value::Table(table) => table.iter().for_each(|(key, value)| self.finite(&below(key), value)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| self.finite(&below(&index.to_string()), item));
            }
            _ => {}
        }
    }

    fn general(&mut self, s: &Scenario) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_folder_name =
            (1..=64).contains(&s.name.len()) && s.name.chars().all(plain) && !s.name.starts_with(['.', '-']);
        let expected =
            "1 to 64 letters, digits, `-`, `_` or `.`, the first a letter or digit: it names the run's folder";
        self.require(is_folder_name, "name", format!("{:?}", s.name), expected);
        self.require(s.seed <= i64::MAX as u64, "seed", s.seed, format!("{} at most, what TOML can write", i64::MAX));
        self.at_least_one("rounds", s.rounds);
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
            self.at_least_one(path, size.unwrap_or(1) as u64);
        }
        let corpus = &s.corpus;
        self.at_least_one("corpus.held_out_pages", corpus.held_out_pages as u64);
        let files = corpus.kind != CorpusKind::Synthetic;
        let text = "corpus.kind is \"synthetic\"; or set corpus.kind to \"text\"";
        self.set_if("corpus.path", &corpus.path, files, files, "a path, a folder, a pattern or a URL", text);
        let kind = corpus.kind;
        let documents = matches!(kind, CorpusKind::Parquet | CorpusKind::Jsonl);
        let tokenizer = documents || kind == CorpusKind::Text;
        let others = if kind == CorpusKind::Synthetic {
            text
        } else {
            "corpus.kind is \"tokens\": the tokenizer has done its work"
        };
        self.set_if(
            "corpus.tokenizer",
            &corpus.tokenizer,
            tokenizer,
            documents,
            "the path of a tokenizer.json",
            others,
        );
        if let Some(bytes) = corpus.token_bytes {
            let expected =
                if kind == CorpusKind::Tokens { "2 or 4" } else { "none: only corpus.kind = \"tokens\" has it" };
            let fits = kind == CorpusKind::Tokens && [2, 4].contains(&bytes);
            self.require_with(fits, "corpus.token_bytes", bytes, expected, Some("corpus.kind"));
        }
    }

    /// A file is named where it is needed, and only where it may be.
    fn set_if(&mut self, path: &str, file: &Option<String>, may: bool, must: bool, what: &str, otherwise: &str) {
        let fits = match file.as_deref() {
            Some(name) => may && !name.is_empty(),
            None => !must,
        };
        let got = file.as_ref().map_or("missing".to_string(), |file| format!("{file:?}"));
        let expected = if may { what.to_string() } else { format!("none, as {otherwise}") };
        self.require_with(fits, path, got, expected, Some("corpus.kind"));
    }

    fn training(&mut self, s: &Scenario) {
        let t = &s.training;
        self.positive("training.lr", t.lr);
        self.fraction("training.warmup_from", t.warmup_from);
        self.fraction("training.final_fraction", t.final_fraction);
        self.at_least_one("training.schedule_rounds", t.schedule_rounds.unwrap_or(1));
        self.at_least_one("training.pages_per_round", t.pages_per_round as u64);
        self.at_least_one("training.micro_batch", t.micro_batch as u64);
        self.at_least_one("training.eval_every", t.eval_every);
        self.at_least_one("training.checkpoint_every", t.checkpoint_every);
        let least = t.checkpoint_every.saturating_mul(2);
        let expected = format!("{least} or more, twice training.checkpoint_every: nodes that join need them");
        let kept = s.keep_rounds();
        self.require_with(kept >= least, "training.keep_rounds", kept, expected, Some("training.checkpoint_every"));

        let b = &s.baseline;
        self.positive("baseline.lr", b.lr);
        self.fraction("baseline.final_fraction", b.final_fraction);
        self.below_one("baseline.beta1", b.beta1);
        self.below_one("baseline.beta2", b.beta2);
        self.not_negative("baseline.weight_decay", b.weight_decay);
        self.positive("baseline.clip_norm", b.clip_norm);
        self.at_least_one("baseline.pages_per_round", b.pages_per_round.unwrap_or(1) as u64);
    }

    fn scheme(&mut self, s: &Scenario) {
        match &s.scheme {
            SchemeSettings::Demo(demo) => {
                self.chunks(demo.chunk, demo.topk);
                self.fraction("scheme.decay", demo.decay);
                self.bits(demo.bits);
            }
            SchemeSettings::Sparseloco(sparseloco) => {
                self.chunks(sparseloco.chunk, sparseloco.topk);
                self.fraction("scheme.decay", sparseloco.decay);
                self.bits(sparseloco.bits);
                self.positive("scheme.outer_lr", sparseloco.outer_lr);
                self.inner(&sparseloco.inner, s);
            }
            SchemeSettings::Dense(dense) => {
                self.positive("scheme.outer_lr", dense.outer_lr);
                if dense.update == DenseUpdate::Adamw {
                    self.inner(&dense.inner, s);
                }
            }
        }
    }

    fn chunks(&mut self, chunk: usize, topk: usize) {
        self.require((1..=MAX_CHUNK).contains(&chunk), "scheme.chunk", chunk, format!("1 to {MAX_CHUNK}"));
        let most = chunk.saturating_mul(chunk);
        let expected = format!("1 to {most}, the coefficients of a chunk");
        self.require_with((1..=most).contains(&topk), "scheme.topk", topk, expected, Some("scheme.chunk"));
    }

    fn inner(&mut self, inner: &InnerSettings, s: &Scenario) {
        let (steps, pages) = (inner.inner_steps, s.training.pages_per_round);
        let expected = format!("1 to {pages}, the pages of a round");
        let related = Some("training.pages_per_round");
        self.require_with((1..=pages).contains(&steps), "scheme.inner_steps", steps, expected, related);
        self.below_one("scheme.beta1", inner.beta1);
        self.below_one("scheme.beta2", inner.beta2);
        self.not_negative("scheme.weight_decay", inner.weight_decay);
        self.positive("scheme.clip_norm", inner.clip_norm);
    }

    fn bits(&mut self, bits: u32) {
        self.require(VALUE_BITS.contains(&bits), "scheme.bits", bits, "2, 4, 8 or 32");
    }

    fn gauntlet(&mut self, s: &Scenario) {
        let g = &s.gauntlet;
        self.at_least_one("gauntlet.top_peers", g.top_peers as u64);
        let (peers, top) = (s.peers_total(), g.top_peers);
        let expected = format!("{peers} at most, the number of peers");
        self.require_with(top <= peers || peers == 0, "gauntlet.top_peers", top, expected, Some("peers"));
        let expected = format!("{top} at most, as gauntlet.top_peers");
        self.require_with(g.min_peers <= top, "gauntlet.min_peers", g.min_peers, expected, Some("gauntlet.top_peers"));
        self.positive("gauntlet.put_window_seconds", g.put_window_seconds);
        let round = s.round_seconds();
        let expected =
            format!("{round} at most, the seconds of a round (chain.block_seconds * chain.blocks_per_round)");
        let window = g.put_window_seconds;
        self.require_with(
            window <= round || round <= 0.0,
            "gauntlet.put_window_seconds",
            window,
            expected,
            Some("chain"),
        );
        self.at_least_one("gauntlet.list_every", g.list_every);
        self.not_negative("gauntlet.max_steps_behind", g.max_steps_behind);
        self.not_negative("gauntlet.sync_exponent", g.sync_exponent);
        self.fraction("gauntlet.failure_penalty", g.failure_penalty);
        self.fraction("gauntlet.inactivity_penalty", g.inactivity_penalty);
        self.at_least_one("gauntlet.inactivity_reset_rounds", g.inactivity_reset_rounds);
        self.at_least_one("gauntlet.evaluated_per_round", g.evaluated_per_round as u64);
        self.at_least_one("gauntlet.bins", g.bins as u64);
        self.positive_fraction("gauntlet.evaluated_fraction", g.evaluated_fraction);
        self.positive("gauntlet.beta_fraction", g.beta_fraction);
        self.below_one("gauntlet.proof_decay", g.proof_decay);
        self.positive("gauntlet.incentive_power", g.incentive_power);
        self.positive("gauntlet.copy_overlap_half", g.copy_overlap_half);
        let expected = format!("{} or more, as gauntlet.copy_overlap_half", g.copy_overlap_half);
        let zero = g.copy_overlap_zero;
        let related = Some("gauntlet.copy_overlap_half");
        self.require_with(zero >= g.copy_overlap_half, "gauntlet.copy_overlap_zero", zero, expected, related);
        self.positive("gauntlet.openskill.sigma", g.openskill.sigma);
        self.positive("gauntlet.openskill.beta", g.openskill.beta);
        self.not_negative("gauntlet.openskill.tau", g.openskill.tau);
        self.positive("gauntlet.openskill.kappa", g.openskill.kappa);
    }

    fn chain(&mut self, s: &Scenario) {
        let c = &s.chain;
        self.require((1..=MAX_SLOTS).contains(&c.slots), "chain.slots", c.slots, format!("1 to {MAX_SLOTS}"));
        self.positive("chain.block_seconds", c.block_seconds);
        self.at_most("chain.block_seconds", c.block_seconds, MOST_SECONDS);
        self.at_least_one("chain.blocks_per_round", c.blocks_per_round);
        self.at_least_one("chain.weights_every", c.weights_every);
        self.positive_fraction("chain.kappa", c.kappa);
        for (index, prefix) in c.peer_buckets.iter().enumerate() {
            let is_whole = prefix.contains("://") && prefix.ends_with('/');
            let expected = "the beginning of a URL that ends with `/`, such as \"s3://uploads/\"";
            self.require(is_whole, format!("chain.peer_buckets.{index}"), format!("{prefix:?}"), expected);
        }
        self.positive_fraction("chain.bond_alpha", c.bond_alpha);
        self.fraction("chain.bond_penalty", c.bond_penalty);
    }

    fn nodes(&mut self, s: &Scenario) {
        self.require(!s.validators.is_empty(), "validators", "empty", "at least one validator");
        let all_leave = s.validators.iter().all(|validator| validator.leaves.is_some_and(|leaves| leaves < s.rounds));
        let expected = "at least one validator that stays: without any the network waits for ever";
        self.require(s.validators.is_empty() || !all_leave, "validators", "all of them leave", expected);
        for (index, validator) in s.validators.iter().enumerate() {
            let path = format!("validators.{index}");
            self.positive(format!("{path}.stake"), validator.stake);
            self.machine(&path, &validator.hardware, &validator.link);
            self.at_least_one(&format!("{path}.leaves"), validator.leaves.unwrap_or(1));
            let hotkey = validator.hotkey.as_deref().unwrap_or_default();
            let is_key = validator.hotkey.is_none() || hotkey.parse::<Hotkey>().is_ok();
            let expected = "64 lower-case hexadecimal digits, as `sim key show` prints";
            self.require(is_key, format!("{path}.hotkey"), format!("{hotkey:?}"), expected);
        }
        for (index, group) in s.peers.iter().enumerate() {
            let path = format!("peers.{index}");
            self.at_least_one(&format!("{path}.count"), group.count as u64);
            self.machine(&path, &group.hardware, &group.link);
            self.behaviour(&format!("{path}.behaviour"), &group.behaviour);
            if let Some(leaves) = group.leaves {
                let expected = format!("more than {path}.joins, {}", group.joins);
                self.require(leaves > group.joins, format!("{path}.leaves"), leaves, expected);
            }
        }
    }

    fn machine(&mut self, path: &str, hardware: &Hardware, link: &Link) {
        self.positive(format!("{path}.hardware.tokens_per_second"), hardware.tokens_per_second.unwrap_or(1.0));
        self.not_negative(format!("{path}.link.latency_ms"), link.latency_ms);
        self.at_most(format!("{path}.link.latency_ms"), link.latency_ms, MOST_SECONDS * 1e3);
        self.positive(format!("{path}.link.bandwidth_mbps"), link.bandwidth_mbps);
        self.below_one(format!("{path}.link.loss"), link.loss);
    }

    fn behaviour(&mut self, path: &str, behaviour: &Behaviour) {
        match *behaviour {
            Behaviour::Honest { data } => {
                self.positive(format!("{path}.data"), data);
                self.at_most(format!("{path}.data"), data, MOST_DATA);
            }
            Behaviour::Lazy { fraction } => self.positive_fraction(format!("{path}.fraction"), fraction),
            Behaviour::Stale { rounds } => self.at_least_one(&format!("{path}.rounds"), rounds),
            Behaviour::Desync { pause, .. } => self.at_least_one(&format!("{path}.pause"), pause),
            Behaviour::Copycat { noise, .. } => self.not_negative(format!("{path}.noise"), noise),
            Behaviour::Offline { leave, come_back } => {
                self.fraction(format!("{path}.leave"), leave);
                self.fraction(format!("{path}.return"), come_back);
            }
            Behaviour::Late { seconds } => {
                self.positive(format!("{path}.seconds"), seconds);
                self.at_most(format!("{path}.seconds"), seconds, MOST_SECONDS);
            }
            Behaviour::FreeRider
            | Behaviour::Noise
            | Behaviour::SignFlip
            | Behaviour::Rescaled { .. }
            | Behaviour::Malformed { .. } => {}
        }
    }

    fn numbers_of_peers(&mut self, s: &Scenario) {
        self.require(!s.peers.is_empty(), "peers", "empty", "at least one group of peers");
        let total = s.peers_total();
        self.require(total <= MAX_PEERS, "peers", format!("{total} peers in all"), format!("{MAX_PEERS} at most"));
        let mut registered: usize = 0;
        for (index, group) in s.peers.iter().enumerate().filter(|(_, group)| group.joins == 0) {
            registered = registered.saturating_add(group.count);
            if registered > s.chain.slots {
                let slots = s.chain.slots;
                let expected = format!(
                    "{slots} peers at most from the start (chain.slots), not {registered}; others can join later (`joins`)"
                );
                return self.require_with(
                    false,
                    format!("peers.{index}.count"),
                    group.count,
                    expected,
                    Some("chain.slots"),
                );
            }
        }
    }
}
