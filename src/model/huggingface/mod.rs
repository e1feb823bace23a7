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
mod config_tests;
#[cfg(test)]
mod files_tests;
#[cfg(test)]
mod tests;

pub use config::{Ends, FolderConfig, read_config};
pub use error::HfError;
pub use generation::GenerationSettings;
pub use read::{examine, load};
pub use write::{SHARD_BYTES, Values, write_folder, write_weights};
pub use written::config_json;
