//! Text to tokens and back: a Hugging Face `tokenizer.json` with the `tokenizer_config.json` beside it, or bytes.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use thiserror::Error;
use tokenizers::{AddedToken, PostProcessorWrapper};

/// What turns text into tokens.
pub enum Tokenizer {
    /// A token a byte.
    Bytes,
    /// As its definition says.
    HuggingFace(Box<Definition>),
}

/// A `tokenizer.json` with what its folder says of it.
pub struct Definition {
    path: PathBuf,
    tokenizer: tokenizers::Tokenizer,
    /// Tokens that the model knows.
    vocabulary: usize,
    begin: Option<(String, u32)>,
    end: Option<(String, u32)>,
}

/// Why a tokenizer cannot be used. Each names its file.
#[derive(Debug, Error)]
pub enum TokenizerError {
    #[error("{path}: {reason}; expected a tokenizer.json of Hugging Face's tokenizers")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path}: {reason}; expected the tokenizer_config.json of a Hugging Face folder")]
    Config { path: PathBuf, reason: String },
    #[error("{path}: has {needed} tokens, but the model's vocabulary is {vocabulary}; use the model's own tokenizer")]
    TooLarge { path: PathBuf, needed: usize, vocabulary: usize },
}

/// What tokenizers call the token that begins a text.
const BEGIN: [&str; 4] = ["<s>", "<|begin_of_text|>", "<|startoftext|>", "<bos>"];
/// What they call the one that ends a document.
pub const END: [&str; 6] = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|eos|>", "<EOS>"];
/// The keys of a `tokenizer_config.json` that name tokens.
const NAMED: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl Tokenizer {
    /// Reads a `tokenizer.json` for a model with a vocabulary of this size, and the `tokenizer_config.json` beside it
    /// where there is one.
    ///
    /// Truncation and padding that were saved with it are those of its last call, and have no effect, as in
    /// `transformers`.
    ///
    /// # Errors
    /// It cannot be read, or has tokens that the model does not know.
    pub fn open(path: &Path, vocabulary: usize) -> Result<Self, TokenizerError> {
        let unreadable = |reason: String| TokenizerError::Unreadable { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|error| unreadable(cause(&error)))?;
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| unreadable(error.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| unreadable(error.to_string()))?;
        let config = read_config(&path.with_file_name("tokenizer_config.json"))?;
        if let Some(config) = &config {
            configure(&mut tokenizer, config).map_err(|reason| unreadable(reason.to_string()))?;
        }
        // Tokens that were added later, for padding or a chat, may be unknown to the model as long as no text has them.
        let needed = tokenizer.get_vocab(false).into_values().max().map_or(0, |largest| largest as usize + 1);
        if needed > vocabulary {
            return Err(TokenizerError::TooLarge { path: path.into(), needed, vocabulary });
        }
        let find = |key: &str, usual: &[&str]| match config.as_ref().and_then(|config| config.get(key)) {
            Some(token) => id_of(&tokenizer, name_of(token)?),
            None => usual.iter().find_map(|name| id_of(&tokenizer, name)),
        };
        let (begin, end) = (find("bos_token", &BEGIN), find("eos_token", &END));
        Ok(Self::HuggingFace(Box::new(Definition { path: path.into(), tokenizer, vocabulary, begin, end })))
    }

    /// Tokens of a text, with those that the tokenizer puts at the beginning or end of one where it does so (Llama 2:
    /// `<s>` at the beginning), as `transformers` gives them.
    ///
    /// # Errors
    /// What the tokenizer says, or a token that the model does not know.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        self.encode_with(text, true)
    }

    /// Tokens of a text; `special`: with those that the tokenizer puts at its beginning or end.
    ///
    /// # Errors
    /// See [`Tokenizer::encode`].
    pub fn encode_with(&self, text: &str, special: bool) -> Result<Vec<u32>, String> {
        let Self::HuggingFace(definition) = self else { return Ok(text.bytes().map(u32::from).collect()) };
        let encoding = definition.tokenizer.encode_fast(text, special).map_err(|error| error.to_string())?;
        let tokens = encoding.get_ids().to_vec();
        match tokens.iter().find(|token| **token as usize >= definition.vocabulary) {
            None => Ok(tokens),
            Some(token) => Err(format!(
                "{}: the text has token {token} ({:?}), but the model's vocabulary is {}; leave it out of the text",
                definition.path.display(),
                definition.tokenizer.id_to_token(*token).unwrap_or_default(),
                definition.vocabulary
            )),
        }
    }

    /// The text of some tokens; what is no text becomes U+FFFD.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, String> {
        match self {
            Self::Bytes => {
                let bytes: Vec<u8> = tokens.iter().map(|&token| u8::try_from(token).unwrap_or(b'?')).collect();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Self::HuggingFace(definition) => {
                definition.tokenizer.decode(tokens, true).map_err(|error| error.to_string())
            }
        }
    }

    /// Name and number of the token that begins a text.
    pub fn begin(&self) -> Option<(&str, u32)> {
        let Self::HuggingFace(definition) = self else { return None };
        definition.begin.as_ref().map(|(name, id)| (name.as_str(), *id))
    }

    /// Name and number of the token that ends a text.
    pub fn end(&self) -> Option<(&str, u32)> {
        let Self::HuggingFace(definition) = self else { return None };
        definition.end.as_ref().map(|(name, id)| (name.as_str(), *id))
    }
}

/// What the system says, without its number for it.
fn cause(error: &std::io::Error) -> String {
    error.to_string().split(" (os error ").next().unwrap_or_default().to_string()
}

fn read_config(path: &Path) -> Result<Option<Map<String, Value>>, TokenizerError> {
    let wrong = |reason: String| TokenizerError::Config { path: path.into(), reason };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(cause(&error))),
    };
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(text).map(Some).map_err(|error| wrong(error.to_string()))
}

/// A token's text, where a configuration names it plainly or with its properties.
fn name_of(token: &Value) -> Option<&str> {
    token.as_str().or(token["content"].as_str())
}

fn id_of(tokenizer: &tokenizers::Tokenizer, name: &str) -> Option<(String, u32)> {
    tokenizer.token_to_id(name).map(|id| (name.to_string(), id))
}

/// Does to a tokenizer what `transformers` does with its `tokenizer_config.json`: adds the special tokens that it names,
/// and puts the first and last of a text where it says so.
fn configure(tokenizer: &mut tokenizers::Tokenizer, config: &Map<String, Value>) -> tokenizers::Result<()> {
    let mut tokens: Vec<AddedToken> = Vec::new();
    let mut numbered: Vec<(u32, &Value)> = config
        .get("added_tokens_decoder")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(id, token)| Some((id.parse().ok()?, token)))
        .collect();
    numbered.sort_by_key(|(id, _)| *id);
    tokens.extend(numbered.into_iter().filter_map(|(_, token)| added(token, false)));
    tokens.extend(NAMED.iter().filter_map(|key| config.get(*key)).filter_map(|token| added(token, true)));
    let more = ["additional_special_tokens", "extra_special_tokens"].into_iter().filter_map(|key| config.get(key));
    for list in more {
        let listed = list.as_array().map(Vec::as_slice).unwrap_or_default();
        tokens.extend(listed.iter().filter_map(|token| added(token, true)));
    }
    for token in tokens {
        let known = tokenizer.get_added_tokens_decoder().into_values().any(|known| known.content == token.content);
        if !known {
            tokenizer.add_tokens([token])?;
        }
    }
    if config.contains_key("add_bos_token") || config.contains_key("add_eos_token") {
        let named = |flag: &str, key: &str| {
            let wanted = config.get(flag).and_then(Value::as_bool).unwrap_or(false);
            config.get(key).and_then(name_of).filter(|_| wanted).and_then(|name| id_of(tokenizer, name))
        };
        let (begin, end) = (named("add_bos_token", "bos_token"), named("add_eos_token", "eos_token"));
        let template: PostProcessorWrapper = serde_json::from_value(template(begin.as_ref(), end.as_ref()))?;
        tokenizer.with_post_processor(Some(template));
    }
    Ok(())
}

fn added(token: &Value, special: bool) -> Option<AddedToken> {
    let property = |key: &str| token[key].as_bool().unwrap_or(false);
    let special = special || property("special");
    let added = AddedToken::from(name_of(token)?, special)
        .lstrip(property("lstrip"))
        .rstrip(property("rstrip"))
        .single_word(property("single_word"));
    Some(added.normalized(token["normalized"].as_bool().unwrap_or(!special)))
}

/// A post-processor that puts tokens before and behind a text.
fn template(begin: Option<&(String, u32)>, end: Option<&(String, u32)>) -> Value {
    let piece = |token: &(String, u32), sequence: u32| json!({"SpecialToken": {"id": token.0, "type_id": sequence}});
    let one = |name: &str, sequence: u32| {
        let before = begin.map(|token| piece(token, sequence)).into_iter();
        let text = json!({"Sequence": {"id": name, "type_id": sequence}});
        before.chain([text]).chain(end.map(|token| piece(token, sequence))).collect::<Vec<_>>()
    };
    let tokens: Map<String, Value> = [begin, end]
        .into_iter()
        .flatten()
        .map(|(name, id)| (name.clone(), json!({"id": name, "ids": [id], "tokens": [name]})))
        .collect();
    let pair = [one("A", 0), one("B", 1)].concat();
    json!({"type": "TemplateProcessing", "single": one("A", 0), "pair": pair, "special_tokens": tokens})
}

/// The token that ends a text for the tokenizer of bytes. Tools ask for one, so it takes the place of byte 255, which no
/// UTF-8 has.
pub const BYTES_END: &str = "<|endoftext|>";
const BYTES_END_ID: u32 = 255;

/// A `tokenizer.json` whose tokens are bytes: what a model that was trained on bytes needs to be used with
/// `transformers`.
///
/// Byte-level BPE without merges. Its alphabet names a byte that is printable by the character of that number, and the
/// others by the characters from U+0100 on (Radford et al. 2019, GPT-2).
pub fn byte_level_json() -> String {
    let mut others = 0x100..;
    let name = |byte: u32| {
        if byte == BYTES_END_ID {
            return BYTES_END.to_string();
        }
        let printable = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let point = if printable { byte } else { others.next().expect("there is no end of them") };
        char::from_u32(point).expect("below U+0200").to_string()
    };
    let vocab: serde_json::Map<String, serde_json::Value> =
        (0..256).map(name).zip((0u32..256).map(Into::into)).collect();
    let byte_level = serde_json::json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false
    });
    let end = serde_json::json!({
        "id": BYTES_END_ID, "content": BYTES_END, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true
    });
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [end], "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [],
        },
    });
    serde_json::to_string_pretty(&tokenizer).expect("a plain structure") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_level_tokenizer_gives_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), byte_level_json()).unwrap();
        let tokenizer = Tokenizer::open(file.path(), 256).unwrap();
        let text = "Käse \u{0}\t\n\u{7f}\u{ad}, 10 €!  x";
        assert_eq!(tokenizer.encode(text).unwrap(), Tokenizer::Bytes.encode(text).unwrap());
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()).unwrap(), text);
        let error = Tokenizer::open(file.path(), 100).err().unwrap().to_string();
        assert!(error.contains("has 256 tokens, but the model's vocabulary is 100"), "{error}");
    }
}
