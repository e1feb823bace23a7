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
    say(peers(&scenario).trim_end());
    say(amounts(&scenario, &config, &*scheme, &corpus));
    if let Some(shortage) = assignment(&scenario, &corpus).shortage(scenario.protocol.most_pages) {
        say(format_args!("warning: {shortage}"));
    }
    if exists {
        say(format_args!("warning: {}", ReportError::Exists(root)));
    }
    say(format_args!("# resolved settings\n{}", scenario.to_toml()));
    Ok(())
}

/// Which pages belong to which peer.
fn assignment(scenario: &Scenario, corpus: &Corpus) -> Assignment {
    let pages = scenario.training.pages_per_round;
    Assignment::new(scenario.seed, scenario.chain.slots, pages, corpus.train_pages())
}

/// Number of peers by behaviour; the slots of an operator are under its name.
fn peers(scenario: &Scenario) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for operator in scenario.each_operator() {
        *counts.entry(operator.label()).or_default() += operator.uids;
    }
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
fn amounts(scenario: &Scenario, config: &LlamaConfig, scheme: &dyn Scheme, corpus: &Corpus) -> String {
    let layout = config.layout();
    let upload =
        wire::encoded_len(wire::Form { shape: scheme.shape(), says_pages: scenario.protocol.says_pages() }) as f64;
    let parameters = layout.total() as f64;
    let peers = scenario.peers_total() as f64;
    let tokens = (scenario.training.pages_per_round * config.sequence_length) as f64;
    let steps = scheme.local_steps().map_or(0.0, |steps| steps.flops());
    let flops = tokens * config.flops_per_token() as f64 + steps;
    let included = scenario.protocol.top_peers as f64;
    let kept = 4.0 * scheme.kept_values() as f64 * peers;
    let shared = 4.0 * parameters * 4.0;
    let mut lines = vec![
        format!("parameters          {}", si(parameters, "")),
        format!(
            "tokens a round      {} by one peer, {} by all, {} aggregated",
            si(tokens, ""),
            si(tokens * peers, ""),
            si(tokens * included, "")
        ),
        format!("compute a round     {} by one peer, {} by all", si(flops, "FLOP"), si(peers * flops, "FLOP")),
        format!(
            "an upload           {}, {:.2} bits a parameter: {:.1} times smaller than {} of f32 ({})",
            si(upload, "B"),
            8.0 * upload / parameters,
            4.0 * parameters / upload,
            si(4.0 * parameters, "B"),
            scenario.scheme_kind()
        ),
        format!(
            "traffic a round     {} up, about {} down",
            si(upload * peers, "B"),
            si(upload * (peers * (included + 1.0)), "B")
        ),
        format!("memory, simulated   about {}", si(kept + shared + upload * peers * 4.0, "B")),
        format!(
            "all rounds          {} tokens aggregated, {}",
            si(tokens * included * scenario.rounds as f64, ""),
            si(peers * flops * scenario.rounds as f64, "FLOP")
        ),
    ];
    let protocol = &scenario.protocol;
    lines.extend(protocol.sealed.then(|| {
        let (seconds, blocks) =
            (protocol.reveal_window_seconds, protocol.reveal_window_seconds / scenario.chain.block_seconds);
        format!("sealed uploads      keys count for {seconds} s ({blocks:.2} blocks) from the end of the put window")
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

/// A number with an SI prefix.
pub fn si(value: f64, unit: &str) -> String {
    let prefixes = ["", "K", "M", "G", "T", "P", "E", "Z"];
    let step = if value < 1000.0 { 0 } else { ((value.log10() / 3.0) as usize).min(prefixes.len() - 1) };
    let scaled = value / 1000f64.powi(step as i32);
    let digits = if step == 0 || scaled >= 100.0 { 0 } else { 1 };
    format!("{scaled:.digits$} {}{unit}", prefixes[step]).trim_end().to_string()
}
