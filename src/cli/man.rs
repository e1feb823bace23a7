//! `sim man`: writes the man pages.

use std::path::PathBuf;

use anyhow::Context;
use clap::Command;

use super::say;

#[derive(clap::Args)]
pub struct Args {
    /// Folder for the pages, such as ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes a page for the program and one for each of its commands.
pub fn man(args: Args, program: Command) -> anyhow::Result<()> {
    let folder = args.folder.display();
    std::fs::create_dir_all(&args.folder).with_context(|| format!("{folder}: cannot be made"))?;
    clap_mangen::generate_to(program, &args.folder).with_context(|| format!("{folder}: cannot be written"))?;
    say(format_args!("{folder}: sim.1 and a page for each command; `man -l {folder}/sim-run.1` shows one"));
    Ok(())
}
