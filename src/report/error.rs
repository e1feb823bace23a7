//! Errors of a run's files, with what to do about them.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::huggingface::HfError;

/// An error of this module.
#[derive(Debug, Error)]
pub enum ReportError {
    #[error("{}: it is no folder; choose another with --out DIR", .0.display())]
    NoFolder(PathBuf),
    #[error(
        "{} exists and is not empty; use --out DIR for another folder, --resume to continue the run in it, or remove it",
        .0.display()
    )]
    Exists(PathBuf),
    #[error("{} is no run folder: it has no manifest.json; `sim run SCENARIO.toml` makes one", .0.display())]
    NotARun(PathBuf),
    #[error(
        "{} was written by gauntlet {writer} (run folder format {found}); this is gauntlet {}, which reads format {}: \
         use gauntlet {writer}, or run the scenario again",
        .path.display(), env!("CARGO_PKG_VERSION"), super::FORMAT
    )]
    Version { path: PathBuf, found: u64, writer: String },
    #[error("{}: cannot {action}: {source}{}", .path.display(), advice(.source))]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error("{}, line {line}: {message}; restore the file, or run the scenario again", .path.display())]
    Csv { path: PathBuf, line: u64, message: String },
    #[error("{}, line {line}: {message}; restore the file, or {way_on}", .path.display())]
    Lost { path: PathBuf, line: u64, message: String, way_on: &'static str },
    #[error("{}: {message}; restore the file, or {way_on}", .path.display())]
    Damaged { path: PathBuf, message: String, way_on: String },
    #[error("{}: {message}; restore the file, or run the scenario again", .path.display())]
    Json { path: PathBuf, message: String },
    #[error("{}: {message}", .path.display())]
    Content { path: PathBuf, message: String },
    #[error(transparent)]
    Model(Box<HfError>),
    #[error("cannot draw {figure}: {message}")]
    Plot { figure: String, message: String },
}

/// Advice on an error of the operating system, as a further half sentence.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space, then continue with --resume",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; check who owns the folder, or choose another with --out DIR"
        }
        io::ErrorKind::NotADirectory => "; choose another folder with --out DIR",
        _ => "",
    }
}

/// Adds the file and the action to an error of the operating system.
pub(super) trait Named<T> {
    fn named(self, path: &Path, action: &'static str) -> Result<T, ReportError>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, path: &Path, action: &'static str) -> Result<T, ReportError> {
        self.map_err(|source| ReportError::Io { path: path.to_path_buf(), action, source })
    }
}
