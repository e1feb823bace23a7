//! `sim export`: a run's model as a folder that Hugging Face's libraries load.

use std::fs;
use std::path::{Path, PathBuf};

use gauntlet::model::huggingface::{self, HfError, Values};
use gauntlet::model::tokenizer::{Tokenizer, byte_level_json};

use super::card;
use super::model::{Loaded, ModelArgs, TokenizerSource};
use super::say;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder to write; it must not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Type of the weights
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    dtype: Dtype,
}

/// Type of weights in a file.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Dtype {
    F32,
    Bf16,
    F16,
}

impl From<Dtype> for Values {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::Bf16 => Self::Bf16,
            Dtype::F16 => Self::F16,
        }
    }
}

/// Writes a model's folder.
pub fn export(args: Args) -> anyhow::Result<()> {
    let loaded = args.model.load()?;
    write(&loaded, &args.to, args.dtype.into())?;
    say(format_args!(
        "{}: {} parameters, {}",
        args.to.display(),
        loaded.theta.len(),
        match loaded.tokenizer_source() {
            Some(TokenizerSource::Bytes) => "a tokenizer of bytes".into(),
            Some(TokenizerSource::File(file)) => format!("the tokenizer {}", file.display()),
            None => "no tokenizer: the tokens are no text".into(),
        }
    ));
    Ok(())
}

/// Writes configuration, weights, tokenizer and card of a model.
pub fn write(loaded: &Loaded, to: &Path, values: Values) -> anyhow::Result<()> {
    let tokenizer = loaded.tokenizer_source().map(|_| loaded.tokenizer()).transpose()?;
    let special = |name: fn(&Tokenizer) -> Option<(&'static str, u32)>| tokenizer.as_ref().and_then(name);
    let (begin, end) = (special(Tokenizer::begin), special(Tokenizer::end));
    let ids = (begin.map(|(_, id)| id), end.map(|(_, id)| id));
    huggingface::write_folder(to, (&loaded.config, &loaded.theta), values, ids, |folder| {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|source| HfError::Io { path, source })
        };
        let generation = serde_json::json!({
            "_from_model_config": true, "bos_token_id": ids.0, "eos_token_id": ids.1, "do_sample": true,
        });
        write("generation_config.json", pretty(&generation))?;
        write("README.md", card::card(loaded, &to.file_name().unwrap_or(to.as_os_str()).to_string_lossy()))?;
        match loaded.tokenizer_source() {
            None => return Ok(()),
            Some(TokenizerSource::Bytes) => write("tokenizer.json", byte_level_json())?,
            Some(TokenizerSource::File(file)) => {
                let to = folder.join("tokenizer.json");
                fs::copy(file, &to).map_err(|source| HfError::Io { path: file.clone(), source })?;
            }
        }
        let names = [("bos_token", begin), ("eos_token", end)];
        let mut settings = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": loaded.config.sequence_length,
            "clean_up_tokenization_spaces": false,
        });
        for (key, (name, _)) in names.into_iter().filter_map(|(key, token)| token.map(|token| (key, token))) {
            settings[key] = name.into();
        }
        write("tokenizer_config.json", pretty(&settings))
    })?;
    Ok(())
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("a plain structure") + "\n"
}
