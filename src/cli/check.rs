//! `sim check`: shows what `sim run` will do with the same options, or why it will refuse.

use std::collections::BTreeMap;

use anyhow::bail;
use gauntlet::corpus::{Assignment, Corpus};
use gauntlet::model::LlamaConfig;
use gauntlet::node::OpenError;
use gauntlet::report::{self, ReportError};
use gauntlet::scenario::Scenario;
use gauntlet::training::scheme::Scheme;
use gauntlet::transport::wire;
use gauntlet::words::counted;
use serde_json::{Value, json};

use super::json::say_json;
use super::{open, run, say};

/// The options of `sim run`. Whatever it would refuse is refused here with the same message.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    run: run::Args,
}

/// Shows what a scenario will run.
pub fn check(args: Args) -> anyhow::Result<()> {
    let args = args.run;
    let scenario = args.scenario.load()?;
    let root = args.root(&scenario);
    let exists = root.join("manifest.json").exists() && !args.resume;
    if args.resume {
        run::check_resumable(&root, &report::load_manifest(&root)?, &scenario, &args.device, false)?;
    } else if exists && args.out.is_some() {
        bail!(ReportError::Exists(root));
    }
    open::device(&args.device, format_args!("--device {}", args.device))?;
    // The whole network is not built, so a small machine can check a model of any size.
    let config = LlamaConfig::from_settings(&scenario.model).map_err(OpenError::from)?;
    let corpus = Corpus::open(&scenario.corpus, scenario.seed, config.vocab_size, config.sequence_length)
        .map_err(OpenError::from)?;
    let scheme = open::examine(&scenario, &config)?;
    let amounts = Amounts::of(&scenario, &config, &*scheme);
    let shortage = assignment(&scenario, &corpus).shortage(scenario.protocol.most_pages);
    let mut warnings: Vec<String> = shortage.iter().map(ToString::to_string).collect();
    warnings.extend(exists.then(|| ReportError::Exists(root).to_string()));
    if args.json.json {
        say_json("check", figures(&scenario, &amounts, &corpus, &warnings));
        return Ok(());
    }
    say(peers(&scenario).trim_end());
    say(amounts.text(&scenario, &corpus));
    warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
    say(format_args!("# resolved settings\n{}", scenario.to_toml()));
    Ok(())
}

/// Which pages belong to which peer.
fn assignment(scenario: &Scenario, corpus: &Corpus) -> Assignment {
    let pages = scenario.training.pages_per_round;
    Assignment::new(scenario.seed, scenario.chain.slots, pages, corpus.train_pages())
}

/// Number of peers by behaviour; the slots of an operator are under its name.
fn counts(scenario: &Scenario) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for operator in scenario.each_operator() {
        *counts.entry(operator.label()).or_default() += operator.uids;
    }
    counts
}

/// What will run, for programs.
fn figures(scenario: &Scenario, amounts: &Amounts, corpus: &Corpus, warnings: &[String]) -> Value {
    json!({
        "name": scenario.name,
        "rounds": scenario.rounds,
        "peers": scenario.peers_total(),
        "peers_by_behaviour": counts(scenario),
        "validators": scenario.validators.len(),
        "scheme": scenario.scheme_kind(),
        "mechanism": scenario.registry.mechanisms.kind_of(&scenario.mechanism),
        "parameters": amounts.parameters,
        "tokens_per_peer": amounts.tokens,
        "flops_per_peer": amounts.flops,
        "upload_bytes": amounts.upload,
        "round_bytes_up": amounts.up,
        "round_bytes_down": amounts.down,
        "memory_bytes": amounts.memory,
        "tokens_aggregated": amounts.aggregated,
        "flops": amounts.all_flops,
        "train_pages": corpus.train_pages(),
        "held_out_pages": corpus.held_out().len(),
        "corpus_tokens": corpus.size().map(|size| size.tokens),
        "entropy_floor": corpus.entropy_floor(),
        "bigram": corpus.bigram_entropy(),
        "warnings": warnings,
        "scenario": scenario,
    })
}

fn peers(scenario: &Scenario) -> String {
    let counts = counts(scenario);
    let lines = counts.iter().map(|(behaviour, count)| format!("{count:>6}  {behaviour}\n"));
    format!(
        "{}: {}, {}, {}\n{}",
        scenario.name,
        counted(scenario.rounds, "round"),
        counted(scenario.peers_total(), "peer"),
        counted(scenario.validators.len(), "validator"),
        lines.collect::<String>()
    )
}

/// The amounts of a round and of the run.
struct Amounts {
    parameters: usize,
    /// Tokens and operations of a peer's round.
    tokens: usize,
    flops: f64,
    /// Bytes of an upload, and of a round's uploads and downloads of all peers.
    upload: usize,
    up: f64,
    down: f64,
    /// Bytes that a simulation takes, about.
    memory: f64,
    /// Tokens and operations of all rounds.
    aggregated: f64,
    all_flops: f64,
}

impl Amounts {
    fn of(scenario: &Scenario, config: &LlamaConfig, scheme: &dyn Scheme) -> Self {
        let parameters = config.layout().total();
        let upload = wire::encoded_len(scenario.form(scheme.shape()));
        let (peers, rounds) = (scenario.peers_total() as f64, scenario.rounds as f64);
        let included = scenario.protocol.top_peers as f64;
        let tokens = (scenario.mean_pages() * config.sequence_length as f64).round() as usize;
        let flops = tokens as f64 * config.flops_per_token() as f64 + scenario.mean_step_flops(scheme);
        let kept = 4.0 * scheme.kept_values() as f64 * peers;
        let up = upload as f64 * peers;
        Self {
            parameters,
            tokens,
            flops,
            upload,
            up,
            down: upload as f64 * (peers * (included + 1.0)),
            memory: kept + 4.0 * parameters as f64 * 4.0 + up * 4.0,
            aggregated: tokens as f64 * included * rounds,
            all_flops: peers * flops * rounds,
        }
    }

    /// The amounts, and the facts of the data.
    fn text(&self, scenario: &Scenario, corpus: &Corpus) -> String {
        let (peers, included) = (scenario.peers_total() as f64, scenario.protocol.top_peers as f64);
        let (parameters, tokens, upload) = (self.parameters as f64, self.tokens as f64, self.upload as f64);
        let mut lines = vec![
            format!("parameters          {}", si(parameters, "")),
            format!(
                "tokens a round      {} by one peer, {} by all, {} aggregated",
                si(tokens, ""),
                si(tokens * peers, ""),
                si(tokens * included, "")
            ),
            format!(
                "compute a round     {} by one peer, {} by all",
                si(self.flops, "FLOP"),
                si(peers * self.flops, "FLOP")
            ),
            format!(
                "an upload           {}, {:.2} bits a parameter: {:.1} times smaller than {} of f32 ({})",
                si(upload, "B"),
                8.0 * upload / parameters,
                4.0 * parameters / upload,
                si(4.0 * parameters, "B"),
                scenario.scheme_kind()
            ),
            format!("traffic a round     {} up, about {} down", si(self.up, "B"), si(self.down, "B")),
            format!("memory, simulated   about {}", si(self.memory, "B")),
            format!(
                "all rounds          {} tokens aggregated, {}",
                si(self.aggregated, ""),
                si(self.all_flops, "FLOP")
            ),
        ];
        let protocol = &scenario.protocol;
        lines.extend(protocol.sealed.then(|| {
            let (seconds, blocks) =
                (protocol.reveal_window_seconds, protocol.reveal_window_seconds / scenario.chain.block_seconds);
            format!(
                "sealed uploads      keys count for {seconds} s ({blocks:.2} blocks) from the end of the put window"
            )
        }));
        lines.extend(corpus.size().map(|size| {
            format!(
                "corpus              {} tokens in {} {}: {} pages to train on, {} held out",
                si(size.tokens as f64, ""),
                size.shards,
                if size.shards == 1 { "shard" } else { "shards" },
                corpus.train_pages(),
                corpus.held_out().len()
            )
        }));
        lines.extend(corpus.entropy_floor().map(|floor| format!("entropy floor       {floor:.4} nats a token")));
        lines.extend(corpus.bigram_entropy().map(|bigram| format!("best bigram model   {bigram:.4} nats a token")));
        lines.join("\n") + "\n"
    }
}

/// A number with an SI prefix.
pub fn si(value: f64, unit: &str) -> String {
    let prefixes = ["", "K", "M", "G", "T", "P", "E", "Z"];
    let step = if value < 1000.0 { 0 } else { ((value.log10() / 3.0) as usize).min(prefixes.len() - 1) };
    let scaled = value / 1000f64.powi(step as i32);
    let digits = if step == 0 || scaled >= 100.0 { 0 } else { 1 };
    format!("{scaled:.digits$} {}{unit}", prefixes[step]).trim_end().to_string()
}
