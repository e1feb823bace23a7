//! The command line: one file a subcommand.

mod baseline;
mod bench;
mod card;
mod check;
mod collect;
#[cfg(feature = "cuda")]
mod cuda;
mod eval;
mod export;
mod generate;
mod genesis;
mod import;
mod interrupt;
mod key;
mod launch;
mod limits;
mod log;
mod model;
mod node;
mod open;
mod plan;
mod plot;
mod progress;
mod publish;
mod resume;
mod run;
mod scenarios;
mod shared;
mod status;
mod tokenize;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gauntlet::node::OpenError;
use gauntlet::runtime::bucket::BucketError;
use gauntlet::runtime::process::ProcessError;
use gauntlet::runtime::run::RunError;
use gauntlet::scenario::ScenarioError;
use gauntlet::words::plain;
use shared::{DivergedError, UsageError, block_on, say};

/// Permissionless distributed training of language models: simulate a network of honest and adversarial peers, and see
/// who gets paid.
#[derive(Parser)]
#[command(
    name = "sim",
    version,
    max_term_width = 120,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong command line or scenario, 3 a run is done and its model has diverged.\n\
                  Environment: GAUNTLET_STORE_GIVE_UP, seconds for which commands try again where a store is busy or does \
                  not answer (30); GAUNTLET_STORE_TIMEOUT, seconds without an answer after which a request has failed (60)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How to log; what, RUST_LOG says
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human)]
    log: LogFormat,
}

/// A line for people, or one for programs.
#[derive(Clone, Copy, clap::ValueEnum)]
enum LogFormat {
    Human,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scenario: train, evaluate, rate, pay; AdamW beside it; pictures at the end
    Run(run::Args),
    /// Go on with a run by its folder: one that was stopped, or for longer than was asked
    Resume(resume::Args),
    /// Say what a scenario will run, without running it
    Check(check::Args),
    /// Say what a scenario takes on real devices: operations, memory, bytes, time, cost
    Plan(plan::Args),
    /// Train the central AdamW of a scenario alone, on one or more devices
    Baseline(baseline::Args),
    /// Draw the pictures of a run again, or compare several runs on one set of axes
    Plot(plot::Args),
    /// Copy of a run's folder what is worth keeping: manifest, tables, pictures; of long runs every Nth round of the peers
    Publish(publish::Args),
    /// Run a finished run again and compare the digests
    Verify(verify::Args),
    /// Write a run for real nodes into a bucket: settings, the model to start from, an empty ledger. Validators need
    /// hotkeys (--set validators.0.hotkey=...)
    Genesis(genesis::Args),
    /// Make or show a node's key
    #[command(subcommand)]
    Key(key::Key),
    /// Train in a real network, as one peer or several
    Peer(node::PeerArgs),
    /// Validate a real network
    Validator(node::ValidatorArgs),
    /// Run a scenario with real processes on this machine
    Launch(launch::Args),
    /// Say how a real run is doing: round, who is in, standings, loss
    Status(status::Args),
    /// Write a real run's folder: tables and pictures, as `sim run` does
    Collect(collect::Args),
    /// Make shards of tokens of Parquet, JSONL or text files, for `corpus.kind = "tokens"`
    Tokenize(tokenize::Args),
    /// Write a run's model as a Hugging Face folder: configuration, weights, tokenizer, card
    Export(export::Args),
    /// Take the weights of a Hugging Face Llama, to start a run from them
    Import(import::Args),
    /// Go on with a text
    Generate(generate::Args),
    /// Ask a model the questions of zero-shot tasks: hellaswag, piqa, arc_easy
    Eval(eval::Args),
    /// List the scenarios that come with this program
    Scenarios,
    /// Measure a model on a device: gradient, DeMo encode, aggregation, evaluation, memory; or this machine
    Bench(bench::Args),
}

/// What happens goes to standard error: of nodes every round, of other commands what is wrong.
fn start_log(cli: &Cli) {
    let default = if matches!(cli.command, Command::Peer(_) | Command::Validator(_)) { "info" } else { "warn" };
    let usual = || format!("{default},{}=info", self::log::RETRIES).into();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()));
    match cli.log {
        // Only nodes keep a log; others warn a person.
        LogFormat::Human if default == "warn" => log.event_format(self::log::Warnings::default()).init(),
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Parses the command line and does what it says; 0, 1 for a failure, 2 for a wrong command line or scenario, 3 for a
/// run that is done and has diverged.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli);
    limits::raise_open_files();
    let done = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Resume(args) => resume::resume(args),
        Command::Check(args) => check::check(args),
        Command::Plan(args) => plan::plan(args),
        Command::Baseline(args) => baseline::baseline(args),
        Command::Plot(args) => plot::plot(args),
        Command::Publish(args) => publish::publish(args),
        Command::Verify(args) => verify::verify(args),
        Command::Genesis(args) => genesis::genesis(args),
        Command::Key(args) => key::key(args),
        Command::Peer(args) => node::peer(args),
        Command::Validator(args) => node::validator(args),
        Command::Launch(args) => launch::launch(args),
        Command::Status(args) => status::status(args),
        Command::Collect(args) => collect::collect(args),
        Command::Tokenize(args) => tokenize::tokenize(args),
        Command::Export(args) => export::export(args),
        Command::Import(args) => import::import(args),
        Command::Generate(args) => generate::run(args),
        Command::Eval(args) => eval::eval(args),
        Command::Scenarios => scenarios::list(),
        Command::Bench(args) => bench::bench(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", plain(&told(&error)));
            ExitCode::from(match () {
                () if is_usage(&error) => 2,
                () if error.is::<DivergedError>() => 3,
                () => 1,
            })
        }
    }
}

/// An error and its causes, each once; of a store's error what it means, and not what each layer calls it.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if let Some(store) = cause.downcast_ref::<object_store::Error>() {
            let meaning = gauntlet::runtime::bucket::words::explain(store);
            return if told.contains(&text) { told.replace(&text, &meaning) } else { join(told, &meaning) };
        }
        if !told.contains(&text) {
            told = join(told, &text);
        }
    }
    told
}

fn join(told: String, more: &str) -> String {
    if told.is_empty() { more.to_string() } else { format!("{told}: {more}") }
}

/// Whether the same command would fail again, whatever happens meanwhile: what starts nodes goes by that.
fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<UsageError>()
        || error.is::<ScenarioError>()
        || error.is::<OpenError>()
        || error.downcast_ref::<BucketError>().is_some_and(BucketError::is_usage)
        || error.downcast_ref::<RunError>().is_some_and(RunError::is_usage)
        || error.downcast_ref::<ProcessError>().is_some_and(ProcessError::is_usage)
}
