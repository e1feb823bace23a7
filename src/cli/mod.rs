//! The command line: one file a subcommand.

mod bench;
mod check;
mod folder;
mod interrupt;
mod open;
mod plot;
mod progress;
mod run;
mod scenarios;
mod verify;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gauntlet::node::OpenError;
use gauntlet::scenario::ScenarioError;

/// Permissionless distributed training of language models: simulate a network of honest and adversarial peers, and see
/// who gets paid.
#[derive(Parser)]
#[command(name = "sim", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a scenario: train, evaluate, rate, pay; AdamW beside it; pictures at the end
    Run(run::Args),
    /// Say what a scenario will run, without running it
    Check(check::Args),
    /// Draw the pictures of a run again, or compare several runs on one set of axes
    Plot(plot::Args),
    /// Run a finished run again and compare the digests
    Verify(verify::Args),
    /// List the scenarios that come with this program
    Scenarios,
    /// Measure a model on a device: gradient, DeMo encode, aggregation, evaluation, memory; or this machine
    Bench(bench::Args),
}

/// Prints to standard output. A reader that has gone away, as `head` does, ends the program without a fuss.
fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
        std::process::exit(if gone { 0 } else { 1 });
    }
}

/// A wrong command line or scenario: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

/// Parses the command line and does what it says; 0, 1 for a failure, 2 for a wrong command line or scenario.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let done = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::check(args),
        Command::Plot(args) => plot::plot(args),
        Command::Verify(args) => verify::verify(args),
        Command::Scenarios => scenarios::list(),
        Command::Bench(args) => bench::bench(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let usage = error.is::<UsageError>() || error.is::<ScenarioError>() || error.is::<OpenError>();
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}
