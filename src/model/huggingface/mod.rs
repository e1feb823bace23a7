//! Hugging Face folders of Llamas, in and out: `config.json` and weights as safetensors.
//!
//! What `transformers` loads as a plain Llama is loaded here, with the same meaning; what would change the result and is
//! not supported is refused by its key. A folder comes from anywhere, so sizes are checked before anything is allocated
//! by them, files must not contradict one another, and together they must hold exactly the tensors that the
//! configuration implies.
//!
//! | file | what it holds |
//! |---|---|
//! | `config`, `rope` | sizes from `config.json` |
//! | `generation` | how a text is generated and where it ends |
//! | `files`, `tensor_file`, `read` | weights in |
//! | `written`, `write` | folders out |

mod config;
mod error;
mod files;
mod generation;
mod keys;
mod read;
mod rope;
mod tensor_file;
mod write;
mod written;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

pub use config::{FolderConfig, read_config};
pub use error::HfError;
pub use generation::GenerationSettings;
pub use read::{examine, load};
pub use write::{SHARD_BYTES, Values, write_folder, write_weights};
pub use written::config_json;

/// All weights in one file.
const SINGLE: &str = "model.safetensors";
/// Which shard holds which weights.
const INDEX: &str = "model.safetensors.index.json";
/// The largest JSON file that is read.
const LARGEST_JSON: u64 = 1 << 24;

/// The tokens that begin and end a text as JSON files say them: a number, `null`, or for the end a list of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ends {
    pub begin: Value,
    pub end: Value,
}

/// Reads a JSON file of a folder, with or without a byte order mark; `expected` says what it should be.
fn read_json(path: &Path, expected: &'static str) -> Result<Value, HfError> {
    let file = File::open(path).map_err(HfError::io(path))?;
    let mut bytes = Vec::new();
    // The file may grow, or be a device without a size.
    file.take(LARGEST_JSON + 1).read_to_end(&mut bytes).map_err(HfError::io(path))?;
    if bytes.len() as u64 > LARGEST_JSON {
        return Err(HfError::Oversized { path: path.into(), size: LARGEST_JSON, expected: LARGEST_JSON });
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map_err(|error| HfError::Json {
        path: path.into(),
        expected,
        problem: error.to_string(),
    })
}
