//! `sim export`: writes a run's model as a folder for Hugging Face's libraries.

use std::fs;
use std::path::{Path, PathBuf};

use gauntlet::model::generate::TEMPERATURE;
use gauntlet::model::huggingface::{self, Ends, HfError, Values};
use gauntlet::model::tokenizer::{BYTES_END, Tokenizer, byte_level_json};

use super::card;
use super::model::{Loaded, ModelArgs, Origin, TokenizerSource};
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

/// Type of the weights in a file.
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

/// Files beside a tokenizer.json that say how to use it.
const BESIDE_TOKENIZER: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"];

/// Writes configuration, weights, tokenizer and card of a model. Settings of an imported folder about text, and about
/// its begin and end tokens, are copied unchanged.
pub fn write(loaded: &Loaded, to: &Path, values: Values) -> anyhow::Result<()> {
    let tokenizer = loaded.tokenizer_source().map(|_| loaded.tokenizer()).transpose()?;
    let begin = tokenizer.as_ref().and_then(Tokenizer::begin);
    let end = tokenizer.as_ref().and_then(Tokenizer::end);
    let from = match &loaded.origin {
        Origin::Folder(folder) => Some(folder),
        Origin::Run { .. } => None,
    };
    let ends = match from {
        Some(folder) => huggingface::read_config(folder)?.ends,
        None => Ends { begin: begin.map(|(_, id)| id).into(), end: end.map(|(_, id)| id).into() },
    };
    huggingface::write_folder(to, (&loaded.config, &loaded.theta), values, &ends, |folder| {
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|reason| HfError::Io { path, reason })
        };
        let copy = |from: &Path, name: &str| {
            let copied = fs::copy(from, folder.join(name));
            copied.map(drop).map_err(|reason| HfError::Io { path: from.into(), reason })
        };
        let generation = "generation_config.json";
        match from.map(|folder| folder.join(generation)).filter(|file| file.exists()) {
            Some(file) => copy(&file, generation)?,
            // A folder without this file generates by its config.json.
            None if from.is_some() => {}
            // The settings that `sim generate` uses.
            None => {
                let settings = serde_json::json!({
                    "_from_model_config": true, "bos_token_id": ends.begin, "eos_token_id": ends.end,
                    "do_sample": true, "temperature": TEMPERATURE, "top_k": 0,
                });
                write(generation, pretty(&settings))?;
            }
        }
        write("README.md", card::card(loaded, &to.file_name().unwrap_or(to.as_os_str()).to_string_lossy()))?;
        let mut settings = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": loaded.config.sequence_length,
            "clean_up_tokenization_spaces": false,
        });
        match loaded.tokenizer_source() {
            None => return Ok(()),
            Some(TokenizerSource::Bytes) => {
                write("tokenizer.json", byte_level_json())?;
                settings["eos_token"] = BYTES_END.into();
            }
            Some(TokenizerSource::File(file)) => {
                copy(file, "tokenizer.json")?;
                for name in BESIDE_TOKENIZER {
                    let beside = file.with_file_name(name);
                    if beside.exists() {
                        copy(&beside, name)?;
                    }
                }
                if folder.join("tokenizer_config.json").exists() {
                    return Ok(());
                }
            }
        }
        for (key, token) in [("bos_token", begin), ("eos_token", end)] {
            if let Some((name, _)) = token {
                settings[key] = name.into();
            }
        }
        write("tokenizer_config.json", pretty(&settings))
    })?;
    Ok(())
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("a plain structure") + "\n"
}
