//! Helpers that subcommands share: printing, waiting, and the error of a wrong command line.

use std::io::Write;

use gauntlet::words::plain;

use super::terminal;

/// Prints to standard output; on a terminal, tables no wider than it. If the reader has gone, as `head` does, the program ends
/// silently.
pub fn say(text: impl std::fmt::Display) {
    let printed = match terminal::columns_of_output() {
        Some(columns) => writeln!(std::io::stdout(), "{}", terminal::narrow(&text.to_string(), columns.into())),
        None => writeln!(std::io::stdout(), "{text}"),
    };
    if let Err(error) = printed {
        let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
        std::process::exit(if gone { 0 } else { 1 });
    }
}

/// Waits for work outside a network's life.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        // The runtime needs some open files, and the system may refuse more.
        Err(error) => {
            let cause = plain(&error.to_string());
            eprintln!(
                "error: the store and other processes cannot be reached: {cause}; raise the limit of open files (ulimit -n)"
            );
            std::process::exit(1)
        }
    }
}

/// A wrong command line or scenario: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// A run is done and its model has diverged: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DivergedError(pub String);

/// An error and its causes, each once.
pub fn told(error: &anyhow::Error) -> String {
    gauntlet::runtime::bucket::words::told(error.as_ref())
}
