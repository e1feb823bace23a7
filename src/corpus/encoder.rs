//! A tokenizer: from a document to ids.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokenizers::Tokenizer;

use super::error::CorpusError;
use crate::digest::Digest;
use crate::model::tokenizer::END;

/// A Hugging Face `tokenizer.json`.
///
/// Ids are those that the Python packages give for a whole text with `add_special_tokens=False`. Truncation and padding
/// that the file may ask for are left out, as `transformers` does.
pub struct Encoder {
    path: String,
    tokenizer: Tokenizer,
    /// The file's bytes.
    pub definition: Vec<u8>,
    /// Of them.
    pub digest: Digest,
    /// All ids are below this.
    pub vocab_size: usize,
}

impl Encoder {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// What cannot be read, with `key`, the setting that names it; what is no tokenizer.
    pub fn open(key: &'static str, path: &str) -> Result<Self, CorpusError> {
        let bytes = fs::read(path).map_err(|reason| CorpusError::Unreadable { key, path: path.to_string(), reason })?;
        let broken = |reason: String| CorpusError::Tokenizer { path: path.to_string(), reason };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| broken(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| broken(error.to_string()))?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        let vocab_size = largest as usize + 1;
        Ok(Self { path: path.to_string(), tokenizer, digest: Digest::of(&bytes), definition: bytes, vocab_size })
    }

    /// Whether a model with so many tokens can read what this gives.
    ///
    /// # Errors
    /// It cannot.
    pub fn fits(&self, vocab_size: usize) -> Result<(), CorpusError> {
        if vocab_size >= self.vocab_size {
            return Ok(());
        }
        let what = format!("the tokenizer {:?}", self.path);
        Err(CorpusError::Vocabulary { got: vocab_size, needed: self.vocab_size, what })
    }

    /// The id that ends a document: of the token `asked`; else of the one that `tokenizer_config.json` beside the
    /// tokenizer names; else of the one of the usual names that the tokenizer knows.
    ///
    /// # Errors
    /// There is none, or several.
    pub fn eos(&self, asked: Option<&str>) -> Result<u32, CorpusError> {
        let configured = asked.map(str::to_string).or_else(|| self.configured_eos());
        if let Some(name) = configured {
            let unknown =
                format!("the tokenizer {:?} has no token {name:?}; expected the one that ends a document", self.path);
            return self.tokenizer.token_to_id(&name).ok_or(CorpusError::Eos(unknown));
        }
        let known: BTreeMap<&str, u32> =
            END.into_iter().filter_map(|name| Some((name, self.tokenizer.token_to_id(name)?))).collect();
        match known.values().collect::<Vec<_>>()[..] {
            [id] => Ok(*id),
            _ => {
                let names: Vec<&&str> = known.keys().collect();
                let found = if names.is_empty() { "none of the usual ones".into() } else { format!("{names:?}") };
                Err(CorpusError::Eos(format!(
                    "which token of {:?} ends a document is not known: it has {found}; say it with `sim tokenize --eos`, \
                     or as eos_token in a tokenizer_config.json beside it",
                    self.path
                )))
            }
        }
    }

    fn configured_eos(&self) -> Option<String> {
        let text = fs::read(Path::new(&self.path).with_file_name("tokenizer_config.json")).ok()?;
        let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let eos = &config["eos_token"];
        eos.as_str().or(eos["content"].as_str()).map(str::to_string)
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Why the tokenizer cannot take it.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let failed = |reason: String| CorpusError::Encode { path: self.path.clone(), reason };
        // A tokenizer.json can describe what its code does not expect.
        let encoded = catch_unwind(AssertUnwindSafe(|| self.tokenizer.encode_fast(text, false)));
        let encoding = encoded.map_err(|_| failed("it panicked".into()))?.map_err(|error| failed(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }
}
