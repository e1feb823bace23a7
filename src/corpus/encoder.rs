//! A tokenizer: turns a document into ids.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use tokenizers::Tokenizer;

use super::error::{CorpusError, words};
use crate::digest::Digest;
use crate::model::tokenizer::END;

/// A Hugging Face `tokenizer.json`.
///
/// It gives the ids that the Python packages give for a whole text with `add_special_tokens=False`. Like
/// `transformers`, it ignores truncation and padding in the file.
pub struct Encoder {
    path: String,
    tokenizer: Tokenizer,
    /// The file's bytes.
    pub definition: Vec<u8>,
    /// Digest of these bytes.
    pub digest: Digest,
    /// All ids are below this.
    pub vocab_size: usize,
    /// The id that stands for unknown text, if the tokenizer has one and needs it.
    unknown: Option<u32>,
    /// Whether the tokenizer drops characters that it does not know.
    drops: bool,
    /// For each character tried: whether it has a token.
    known: Mutex<BTreeMap<char, bool>>,
}

/// A text as ids.
pub struct Ids {
    pub ids: Vec<u32>,
    /// Number of ids that stand for unknown text.
    pub unknown: u64,
    /// Number of characters without any id.
    pub dropped: u64,
}

/// A character in no vocabulary.
const STRANGER: &str = "\u{10fffd}";

impl Encoder {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read, or is no tokenizer. The message names the setting `key`.
    pub fn open(key: &'static str, path: &str) -> Result<Self, CorpusError> {
        let bytes = fs::read(path).map_err(|reason| CorpusError::Unreadable { key, path: path.to_string(), reason })?;
        let broken = |reason: String| CorpusError::Tokenizer { path: path.to_string(), reason };
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| broken(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| broken(error.to_string()))?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        let vocab_size = largest as usize + 1;
        let unknown = unknown_id(&bytes, &tokenizer);
        let mut encoder = Self {
            path: path.to_string(),
            tokenizer,
            digest: Digest::of(&bytes),
            definition: bytes,
            vocab_size,
            unknown: None,
            drops: false,
            known: Mutex::default(),
        };
        // A tokenizer with a piece for each byte knows every character.
        let stranger = encoder.encode(STRANGER).unwrap_or_default();
        encoder.drops = stranger.is_empty();
        encoder.unknown = unknown.filter(|id| stranger.contains(id));
        Ok(encoder)
    }

    /// Checks that a model with this many tokens can read the ids.
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

    /// The id that ends a document. It belongs to the token `asked`, else to the token that `tokenizer_config.json`
    /// beside the tokenizer names, else to the one of the usual names that the tokenizer knows.
    ///
    /// # Errors
    /// There is no such token, or there are several.
    pub fn eos(&self, asked: Option<&str>) -> Result<u32, CorpusError> {
        let configured = match asked {
            Some(asked) => Some(asked.to_string()),
            None => self.configured_eos()?,
        };
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

    /// The end token named by a `tokenizer_config.json` beside the tokenizer.
    fn configured_eos(&self) -> Result<Option<String>, CorpusError> {
        let path = Path::new(&self.path).with_file_name("tokenizer_config.json");
        let wrong = |reason: String| {
            CorpusError::Eos(format!(
                "{}: {reason}; mend it, or say the token with `sim tokenize --eos`",
                path.display()
            ))
        };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(words(&error))),
        };
        let config: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| wrong(format!("not JSON: {error}")))?;
        let eos = &config["eos_token"];
        Ok(eos.as_str().or(eos["content"].as_str()).map(str::to_string))
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Why the tokenizer cannot encode it.
    pub fn ids(&self, text: &str) -> Result<Ids, CorpusError> {
        let ids = self.encode(text)?;
        let unknown = self.unknown.map_or(0, |unknown| ids.iter().filter(|id| **id == unknown).count() as u64);
        let mut dropped = 0;
        if self.drops {
            let mut known = self.known.lock().expect("no panic while held");
            for character in text.chars().filter(|character| !character.is_whitespace()) {
                let is_known = match known.get(&character) {
                    Some(is_known) => *is_known,
                    None => {
                        let is_known = !self.encode(&character.to_string())?.is_empty();
                        known.insert(character, is_known);
                        is_known
                    }
                };
                dropped += u64::from(!is_known);
            }
        }
        Ok(Ids { ids, unknown, dropped })
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        let failed = |reason: String| CorpusError::Encode { path: self.path.clone(), reason };
        // A tokenizer.json may contain combinations that the library does not expect, and that make it panic.
        let encoded = catch_unwind(AssertUnwindSafe(|| self.tokenizer.encode_fast(text, false)));
        let encoding = encoded.map_err(|_| failed("it panicked".into()))?.map_err(|error| failed(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }
}

/// The id that a tokenizer's model gives for unknown text.
fn unknown_id(definition: &[u8], tokenizer: &Tokenizer) -> Option<u32> {
    let definition: serde_json::Value = serde_json::from_slice(definition).ok()?;
    let model = &definition["model"];
    let by_name = model["unk_token"].as_str().and_then(|name| tokenizer.token_to_id(name));
    by_name.or_else(|| u32::try_from(model["unk_id"].as_u64()?).ok())
}
