//! `sim key new|show`: makes a node's key, or shows it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use gauntlet::transport::Identity;

use super::{UsageError, say};

#[derive(clap::Subcommand)]
pub enum Key {
    /// Make a key and print its hotkey, the public half
    New {
        /// File for the secret; it must not exist
        file: PathBuf,
    },
    /// Print the hotkey of a key file
    Show {
        /// File written by `sim key new`
        file: PathBuf,
    },
}

/// Makes or shows a node's key.
pub fn key(key: Key) -> anyhow::Result<()> {
    match key {
        Key::New { file } => new(&file),
        Key::Show { file } => {
            say(read(&file)?.hotkey());
            Ok(())
        }
    }
}

fn new(path: &Path) -> anyhow::Result<()> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("the system gives no random numbers")?;
    let identity = Identity::from_secret(&secret);
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!(UsageError(format!("{}: it exists; a key is not overwritten", path.display())))
        }
        opened => opened.with_context(|| path.display().to_string())?,
    };
    file.write_all(identity.to_key_file().as_bytes()).with_context(|| path.display().to_string())?;
    say(identity.hotkey());
    Ok(())
}

/// The identity in a key file.
pub fn read(path: &Path) -> anyhow::Result<Identity> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| UsageError(format!("{}: {error}; `sim key new` makes a key", path.display())))?;
    let identity = Identity::from_key_file(&text);
    Ok(identity.ok_or_else(|| UsageError(format!("{}: not a key that `sim key new` made", path.display())))?)
}
