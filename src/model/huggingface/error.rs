//! What can be wrong with a Hugging Face folder.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::ModelError;

/// Why a folder could not be read or written. Each names the file.
#[derive(Debug, Error)]
pub enum HfError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {}", cause(.reason))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says. Not the error's source: who prints the causes of an error would print it twice.
        reason: io::Error,
    },
    /// Not the JSON that it should be.
    #[error("{path}: {problem}; expected {expected}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// Reason, line and column.
        problem: String,
    },
    /// JSON, but not an object.
    #[error("{path}: expected a JSON object, {expected}")]
    NoObject {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A value that is not supported, or not of its key's type.
    #[error("{path}: `{key}` is {found}, expected {expected}")]
    Key {
        /// The file.
        path: PathBuf,
        /// The key in it.
        key: String,
        /// Its value.
        found: String,
        /// What it would have to be.
        expected: String,
    },
    /// Sizes that do not fit each other.
    #[error("{path}: {problem}")]
    Sizes {
        /// The file.
        path: PathBuf,
        /// Which, in the file's words.
        problem: String,
    },
    /// Much larger than such a file is.
    #[error("{path}: {size} bytes or more, expected a JSON file of at most {expected}")]
    Oversized {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The most it may have.
        expected: u64,
    },
    /// No weights, or none in a form that is read.
    #[error("{folder}: no weights: expected model.safetensors, or shards with model.safetensors.index.json{hint}")]
    NoWeights {
        /// The folder.
        folder: PathBuf,
        /// What to do about other weights that are there.
        hint: &'static str,
    },
    /// Not a safetensors file, or one with too few or too many bytes.
    #[error("{path}: not a whole safetensors file: {problem}")]
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
    #[error("{0}: it exists and is not overwritten; name another folder, or remove it")]
    Exists(PathBuf),
}

impl HfError {
    /// For `map_err` of what is done with a file.
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |reason| Self::Io { path: path.into(), reason }
    }

    /// Sizes that make no model, by the names that `config.json` has for them.
    pub(super) fn sizes(path: &Path, error: &ModelError) -> Self {
        const NAMES: [(&str, &str); 8] = [
            ("model.num_layers", "num_hidden_layers"),
            ("model.num_heads", "num_attention_heads"),
            ("model.num_kv_heads", "num_key_value_heads"),
            ("model.sequence_length", "max_position_embeddings"),
            ("model.vocab_size", "vocab_size"),
            ("model.hidden_size", "hidden_size"),
            ("model.head_size", "head_dim"),
            ("model.intermediate_size", "intermediate_size"),
        ];
        let text = error.to_string();
        let problem = NAMES.iter().fold(text, |text, (ours, theirs)| text.replace(ours, theirs));
        Self::Sizes { path: path.into(), problem }
    }
}

/// What the system says, without its number for it.
fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_string()
}
