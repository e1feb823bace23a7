//! The command line: one file per subcommand.

mod attack;
mod baseline;
mod bench;
mod card;
mod check;
mod collect;
mod compare;
mod complete;
#[cfg(feature = "cuda")]
mod cuda;
mod doctor;
#[cfg(all(test, unix))]
mod documented;
mod eval;
mod explain;
mod export;
mod generate;
mod genesis;
mod glossary;
mod import;
mod interrupt;
mod json;
#[cfg(feature = "cuda")]
mod kernels;
mod key;
mod launch;
mod leash;
mod limits;
mod log;
mod man;
mod model;
mod networks;
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
mod shortage;
mod show;
mod status;
mod storm;
mod sweep;
mod targets;
mod terminal;
mod tokenize;
mod verify;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;
use gauntlet::lab::LabError;
use gauntlet::lab::sweep::SweepError;
use gauntlet::node::OpenError;
use gauntlet::runtime::bucket::BucketError;
use gauntlet::runtime::process::ProcessError;
use gauntlet::runtime::run::RunError;
use gauntlet::scenario::ScenarioError;
use gauntlet::words::plain;
use interrupt::StoppedError;
use shared::{DivergedError, UsageError, block_on, say, told};
pub use shortage::Allocator;

/// What the help of the whole program ends with.
const AFTER: &str = "\
Exit codes:
  0  done
  1  failed
  2  wrong command line or scenario
  3  a run is done and its model has diverged
  130, 143  stopped by Ctrl-C, or by a signal, and saved

Environment:
  GAUNTLET_STORE_GIVE_UP  seconds for which commands retry a busy or silent
                          store (30)
  GAUNTLET_STORE_TIMEOUT  seconds after which a request without an answer fails
                          (60)
  GAUNTLET_KERNELS        folder where the kernels of a GPU are kept between
                          starts (none)";

/// Permissionless distributed training of language models: simulates a network of honest and adversarial peers, and
/// shows what each is paid.
#[derive(Parser)]
#[command(
    name = "sim",
    version,
    max_term_width = 120,
    after_help = AFTER,
    after_long_help = format!("{}

{AFTER}", glossary::lines())
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Format of the log; RUST_LOG sets what is logged
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
    /// Run a scenario: train, evaluate, rate, pay, with AdamW as baseline; draw pictures at the end
    Run(run::Args),
    /// Resume a stopped run by its folder, or continue a finished one for more rounds
    Resume(resume::Args),
    /// Show what a scenario will run, without running it
    Check(check::Args),
    /// Estimate what a scenario needs on real devices: operations, memory, bytes, time, cost
    Plan(plan::Args),
    /// Run all combinations of some settings with several seeds each: means, 95 % intervals, pictures
    Sweep(sweep::Args),
    /// Run a network under kills, failing stores, wrong clocks, hostile peers and dishonest validators, drawn from seeds, and
    /// check what must hold afterwards; RUST_LOG=warn shows what its nodes warn of
    Storm(storm::Args),
    /// Compare runs and sweeps: the settings that differ, loss and pay with 95 % intervals
    Compare(compare::Args),
    /// Train only the central AdamW of a scenario, on one or more devices
    Baseline(baseline::Args),
    /// Print the tables of a run again: who was paid, the losses, the digest
    Show(show::Args),
    /// Draw the pictures of a run again, or compare several runs on one set of axes
    Plot(plot::Args),
    /// Say why a peer was or was not paid: its uploads, evaluations, ranks and pay, in order
    Explain(explain::Args),
    /// Copy the parts of a run's folder that are worth keeping: manifest, tables, pictures; of long runs every Nth
    /// round of the peers
    Publish(publish::Args),
    /// Search for strategies that are paid for less than honest work
    Attack(attack::Args),
    /// Repeat a finished run and compare the digests
    Verify(verify::Args),
    /// Write a run for real nodes into a bucket: settings, initial model, empty ledger. Validators need hotkeys (--set
    /// validators.0.hotkey=...)
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
    /// Show the state of a real run: round, validators, peers, loss
    Status(status::Args),
    /// Serve a page that draws a run as it goes on: of a simulation, a launched network or a real one
    Watch(watch::Args),
    /// Write a real run's folder: tables and pictures, as `sim run` does
    Collect(collect::Args),
    /// Turn Parquet, JSONL or text files into shards of tokens, for `corpus.kind = "tokens"`
    Tokenize(tokenize::Args),
    /// Write a run's model as a Hugging Face folder: configuration, weights, tokenizer, card
    Export(export::Args),
    /// Import the weights of a Hugging Face Llama, to start a run from them
    Import(import::Args),
    /// Continue a text
    Generate(generate::Args),
    /// Evaluate a model on zero-shot tasks: hellaswag, piqa, arc_easy
    Eval(eval::Args),
    /// Try what a node needs of its store, its machine and its device, before it costs anything
    Doctor(doctor::Args),
    /// List the scenarios that come with this program
    Scenarios(scenarios::Args),
    /// Measure a model on a device: gradient, DeMo encode, aggregation, evaluation, memory; or this machine
    Bench(bench::Args),
    /// Print the completions of a shell, such as `source <(sim completions bash)`
    Completions(complete::Args),
    /// Write the man pages into a folder
    Man(man::Args),
}

/// Logs to standard error: every round of a node, only warnings of other commands. The nodes of a storm have every reason
/// to warn, and nobody wants to read it.
fn start_log(cli: &Cli) {
    let default = match cli.command {
        Command::Peer(_) | Command::Validator(_) => "info",
        Command::Storm(_) => "off",
        _ => "warn",
    };
    let usual = || format!("{default},{}=info", self::log::RETRIES).into();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| usual());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // The terminal may be gone, and telling that it is would be a panic.
        .log_internal_errors(false)
        .with_ansi(terminal::has_colours());
    match cli.log {
        // Only nodes keep a log; the warnings of other commands are for people.
        LogFormat::Human if default != "info" => log.event_format(self::log::Warnings::default()).init(),
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Parses the command line and runs the command. Returns 0, 1 after a failure, 2 for a wrong command line or scenario, 3
/// for a run that is done and has diverged, or 130 or 143 for one that was stopped.
pub fn main() -> ExitCode {
    CompleteEnv::with_factory(Cli::command).var(complete::VARIABLE).complete();
    let mut command = Cli::command();
    if !terminal::knows_sequences() {
        command = command.color(ColorChoice::Never);
    }
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    start_log(&cli);
    limits::raise_open_files();
    shortage::tell_instead_of_panicking();
    #[cfg(feature = "cuda")]
    kernels::keep();
    let done = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Resume(args) => resume::resume(args),
        Command::Check(args) => check::check(args),
        Command::Plan(args) => plan::plan(args),
        Command::Sweep(args) => sweep::sweep(args),
        Command::Storm(args) => storm::storm(args),
        Command::Compare(args) => compare::compare(args),
        Command::Baseline(args) => baseline::baseline(args),
        Command::Show(args) => show::show(args),
        Command::Plot(args) => plot::plot(args),
        Command::Explain(args) => explain::explain(args),
        Command::Publish(args) => publish::publish(args),
        Command::Attack(args) => attack::attack(args),
        Command::Verify(args) => verify::verify(args),
        Command::Genesis(args) => genesis::genesis(args),
        Command::Key(args) => key::key(args),
        Command::Peer(args) => node::peer(args),
        Command::Validator(args) => node::validator(args),
        Command::Launch(args) => launch::launch(args),
        Command::Status(args) => status::status(args),
        Command::Watch(args) => watch::watch(args),
        Command::Collect(args) => collect::collect(args),
        Command::Tokenize(args) => tokenize::tokenize(args),
        Command::Export(args) => export::export(args),
        Command::Import(args) => import::import(args),
        Command::Generate(args) => generate::run(args),
        Command::Eval(args) => eval::eval(args),
        Command::Doctor(args) => doctor::doctor(args),
        Command::Scenarios(args) => scenarios::list(args),
        Command::Bench(args) => bench::bench(args),
        Command::Completions(args) => complete::completions(args),
        Command::Man(args) => man::man(args, Cli::command()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = plain(&told(&error));
            if !text.is_empty() {
                let _ = writeln!(std::io::stderr(), "error: {text}");
            }
            ExitCode::from(match () {
                () if error.is::<StoppedError>() => StoppedError::code(),
                () if is_usage(&error) => 2,
                () if error.is::<DivergedError>() => 3,
                () => 1,
            })
        }
    }
}

/// Whether the same command would always fail again. Programs that start nodes rely on it.
fn is_usage(error: &anyhow::Error) -> bool {
    error.is::<UsageError>()
        || error.is::<ScenarioError>()
        || error.is::<OpenError>()
        || error.downcast_ref::<BucketError>().is_some_and(BucketError::is_usage)
        || error.downcast_ref::<LabError>().is_some_and(LabError::is_usage)
        || error.downcast_ref::<SweepError>().is_some_and(SweepError::is_usage)
        || error.downcast_ref::<RunError>().is_some_and(RunError::is_usage)
        || error.downcast_ref::<ProcessError>().is_some_and(ProcessError::is_usage)
}
