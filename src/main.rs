//! The `sim` binary.

mod cli;

use std::process::ExitCode;

/// Many small tensors come and go on several threads: mimalloc nearly doubles the training speed on two of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
