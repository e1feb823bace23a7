//! What can be wrong with a Hugging Face folder.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::ModelError;

/// Why a folder could not be read or written. Each names the file.
#[derive(Debug, Error)]
pub enum HfError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Not the JSON that it should be.
    #[error("{path}: {source}; expected {expected}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A model of another kind.
    #[error("{path}: `{key}` is {found}, but only {expected} is supported")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The key in it.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it would have to be.
        expected: &'static str,
    },
    /// Sizes that do not fit each other.
    #[error("{path}: {source}")]
    Sizes {
        /// The file.
        path: PathBuf,
        /// Which, in a scenario's words.
        source: ModelError,
    },
    /// Much larger than such a file is.
    #[error("{path}: {size} bytes, but a file of such a model has at most {expected}")]
    Oversized {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The most it may have.
        expected: u64,
    },
    /// Not a safetensors file, or one that ends before its last tensor.
    #[error("{path}: not a safetensors file: {problem}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A tensor that should be there and is not, or is otherwise than it should be.
    #[error("{path}: tensor `{tensor}`: {problem}")]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What was found and what was expected.
        problem: String,
    },
    /// There is something where the folder should be.
    #[error("{0}: there is something already; nothing is overwritten, so name another folder or remove it")]
    Exists(PathBuf),
}

impl HfError {
    /// For `map_err` of what is done with a file.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.into(), source }
    }
}
