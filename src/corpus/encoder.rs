//! A tokenizer: turns a document into ids.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokenizers::{Encoding, Tokenizer};

use super::cuts::Cuts;
use super::error::{CorpusError, words};
use super::joints::Joints;
use super::memory::free_memory;
use crate::digest::Digest;
use crate::model::tokenizer::{END, no_tokenizer};
use crate::words::{not_json, unmarked};

/// A Hugging Face `tokenizer.json`.
///
/// It gives the ids that the Python packages give for a whole text with `add_special_tokens=False`. Like
/// `transformers`, it ignores truncation and padding in the file.
pub struct Encoder {
    pub(super) path: String,
    tokenizer: Tokenizer,
    /// The file's bytes, without a byte order mark.
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
    /// Where long texts may be cut, if anywhere.
    pub(super) cuts: Option<Cuts>,
    /// Where overlapping parts of long words may be joined, if anywhere.
    pub(super) joints: Option<Joints>,
    /// About so long is a part of a long text.
    pub(super) part: usize,
    /// Held while a long text is encoded at once.
    whole: Mutex<()>,
    /// Whether it was said that a long text is not cut.
    warned: AtomicBool,
}

/// A text as ids.
pub struct Ids {
    pub ids: Vec<u32>,
    /// Number of ids that stand for unknown text.
    pub unknown: u64,
    /// Number of characters without any id.
    pub dropped: u64,
}

/// Bytes of a part of a long text: a tokenizer needs some hundred times as much memory as the text that it is given.
const PART: usize = 1 << 18;
/// Bytes of a text that is long to be encoded at once.
const LONG: usize = 4 << 20;
/// Bytes of memory that a tokenizer takes for each byte of a text: measured with Unigram, WordPiece and BPE.
const TIMES: usize = 85;

/// A character in no vocabulary.
const STRANGER: &str = "\u{10fffd}";

impl Encoder {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read, or is no tokenizer. The message names the setting `key`.
    pub fn open(key: &'static str, path: &str) -> Result<Self, CorpusError> {
        let bytes = fs::read(path).map_err(|reason| CorpusError::Unreadable { key, path: path.to_string(), reason })?;
        let bytes = unmarked(&bytes).to_vec();
        let broken = |reason: String| CorpusError::Tokenizer { path: path.to_string(), reason };
        let described: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| broken(not_json(&bytes, &error)))?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| broken(no_tokenizer(&described, &*error)))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| broken(error.to_string()))?;
        let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
        let vocab_size = largest as usize + 1;
        let unknown = unknown_id(&described, &tokenizer);
        let mut encoder = Self {
            path: path.to_string(),
            tokenizer,
            digest: Digest::of(&bytes),
            definition: bytes,
            vocab_size,
            unknown: None,
            drops: false,
            known: Mutex::default(),
            cuts: Cuts::of(&described),
            joints: Joints::of(&described),
            part: PART,
            whole: Mutex::default(),
            warned: AtomicBool::new(false),
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
            serde_json::from_slice(unmarked(&text)).map_err(|error| wrong(not_json(&text, &error)))?;
        let eos = &config["eos_token"];
        Ok(eos.as_str().or(eos["content"].as_str()).map(str::to_string))
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// Why the tokenizer cannot encode it.
    pub fn ids(&self, text: &str) -> Result<Ids, CorpusError> {
        self.ids_telling(text, &|_| true)
    }

    /// As [`Encoder::ids`]; of a long text it tells the bytes of each part that is done, and ends when `tell` says so.
    ///
    /// # Errors
    /// As [`Encoder::ids`]; or it was ended.
    pub fn ids_telling(&self, text: &str, tell: &dyn Fn(usize) -> bool) -> Result<Ids, CorpusError> {
        let ids = if text.len() > 2 * self.part { self.in_parts(text, tell)? } else { None };
        let ids = ids.map_or_else(|| self.encode_whole(text), Ok)?;
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

    /// The ids of a text that is not cut; of long ones, one at a time.
    fn encode_whole(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        if text.len() <= LONG {
            return self.encode(text);
        }
        let _one_at_a_time = self.whole.lock().expect("no panic while held");
        let needed = (text.len() * TIMES) as u64;
        if let Some(free) = free_memory()
            && needed > free
        {
            return Err(CorpusError::Memory { path: self.path.clone(), bytes: text.len(), needed, free });
        }
        if !self.warned.swap(true, Ordering::Relaxed) {
            let (size, memory) = (text.len() as f64 / 1e6, needed as f64 / 1e9);
            tracing::warn!(
                "a document of {size:.0} MB is encoded at once, as {:?} does not show where documents may be cut: it takes some \
                 {memory:.1} GB of memory, and progress shows when it is done",
                self.path
            );
        }
        self.encode(text)
    }

    /// The ids of a text, however long it is.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, CorpusError> {
        Ok(self.guarded(|| self.tokenizer.encode_fast(text, false))?.get_ids().to_vec())
    }

    /// The ids of a text, and the bytes from which each was made.
    pub(super) fn encode_placed(&self, text: &str) -> Result<Vec<(u32, Range<usize>)>, CorpusError> {
        let encoding = self.guarded(|| self.tokenizer.encode(text, false))?;
        let places = encoding.get_offsets().iter().map(|(from, to)| *from..*to);
        Ok(encoding.get_ids().iter().copied().zip(places).collect())
    }

    fn guarded(&self, encode: impl Fn() -> tokenizers::Result<Encoding>) -> Result<Encoding, CorpusError> {
        let failed = |reason: String| CorpusError::Encode { path: self.path.clone(), reason };
        // A tokenizer.json may contain combinations that the library does not expect, and that make it panic.
        let encoded = catch_unwind(AssertUnwindSafe(encode));
        encoded.map_err(|_| failed("its library gave up".into()))?.map_err(|error| failed(error.to_string()))
    }
}

/// The id that a tokenizer's model gives for unknown text.
fn unknown_id(definition: &serde_json::Value, tokenizer: &Tokenizer) -> Option<u32> {
    let model = &definition["model"];
    let by_name = model["unk_token"].as_str().and_then(|name| tokenizer.token_to_id(name));
    by_name.or_else(|| u32::try_from(model["unk_id"].as_u64()?).ok())
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A tokenizer of these parts and merges, with a token for each character of the merges and for each byte.
    pub fn encoder(change: impl Fn(&mut Value), merges: &[&str]) -> Encoder {
        let mut vocab = serde_json::Map::new();
        let mut add = |token: String| {
            let id = vocab.len();
            vocab.entry(token).or_insert(id.into());
        };
        ["<unk>", "</s>", "\u{2581}", "\u{120}", "\u{10a}"].map(String::from).into_iter().for_each(&mut add);
        (0..256).for_each(|byte| add(format!("<0x{byte:02X}>")));
        merges.iter().flat_map(|merge| merge.chars()).filter(|c| *c != ' ').for_each(|c| add(c.to_string()));
        merges.iter().for_each(|merge| add(merge.replace(' ', "")));
        let mut definition = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
            "post_processor": null, "decoder": null,
            "added_tokens": [{"id": 1, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
                              "normalized": false, "special": true}],
            "model": {
                "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "merges": merges, "vocab": vocab,
            },
        });
        change(&mut definition);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        fs::write(&path, definition.to_string()).unwrap();
        Encoder::open("--tokenizer", path.to_str().unwrap()).unwrap()
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_definition() {
        let plain = encoder(|_| (), &["a b"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        fs::write(&path, [b"\xef\xbb\xbf", &plain.definition[..]].concat()).unwrap();
        let config = [b"\xef\xbb\xbf", &br#"{"eos_token": "</s>"}"#[..]].concat();
        fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        let marked = Encoder::open("--tokenizer", path.to_str().unwrap()).unwrap();
        assert!(marked.definition == plain.definition && marked.digest == plain.digest);
        assert_eq!(marked.eos(None).unwrap(), 1);
        let refused = |definition: &[u8]| {
            fs::write(&path, definition).unwrap();
            let error = Encoder::open("--tokenizer", path.to_str().unwrap()).err().unwrap().to_string();
            error.split_once("is not a tokenizer.json: ").unwrap().1.to_string()
        };
        assert!(refused(b"\xff\xfe{\0}\0").starts_with("it is UTF-16LE; expected UTF-8"));
        assert_eq!(refused(br#"{"model_type": "llama"}"#), "it has no `model`");
        assert_eq!(refused(b"[1]"), "it has no `model`");
        assert_eq!(refused(b"{"), "not JSON: it ends within an object, line 1, column 1");
        let unknown = refused(br#"{"model": {"type": "Other"}}"#);
        assert_eq!(unknown, "a part of it is of a kind that is not known");
    }
}
