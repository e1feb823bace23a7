//! Text to tokens and back: a Hugging Face `tokenizer.json` with the `tokenizer_config.json` beside it, or bytes.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::tokenizer_config::{self, cause, id_of, name_of};
use crate::words::{not_json, unmarked};

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
    #[error("{path}: {reason}; expected a JSON object, as Hugging Face's tokenizers are saved with")]
    Config { path: PathBuf, reason: String },
    #[error("{path}: has {needed} tokens, but the model's vocabulary is {vocabulary}; use the model's own tokenizer")]
    TooLarge { path: PathBuf, needed: usize, vocabulary: usize },
}

/// What tokenizers call the token that begins a text.
const BEGIN: [&str; 4] = ["<s>", "<|begin_of_text|>", "<|startoftext|>", "<bos>"];
/// What they call the one that ends a document.
pub const END: [&str; 6] = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|eos|>", "<EOS>"];

/// Why a JSON file is no tokenizer.
pub fn no_tokenizer(described: &serde_json::Value, error: &dyn std::error::Error) -> String {
    let said = error.to_string();
    match described["model"].is_object() {
        true if said.contains("did not match any variant") => "a part of it is of a kind that is not known".into(),
        true => said.split(" at line ").next().unwrap_or_default().to_string(),
        false => "it has no `model`".into(),
    }
}

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
        let broken = |error| unreadable(not_json(unmarked(&bytes), &error));
        let described = serde_json::from_slice::<serde_json::Value>(unmarked(&bytes)).map_err(broken)?;
        let other = |error: tokenizers::Error| unreadable(no_tokenizer(&described, &*error));
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(unmarked(&bytes)).map_err(other)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| unreadable(error.to_string()))?;
        let wrong = |(path, reason)| TokenizerError::Config { path, reason };
        let config = tokenizer_config::read(path.parent().unwrap_or(Path::new(""))).map_err(wrong)?;
        if let Some(config) = &config {
            tokenizer_config::apply(&mut tokenizer, config).map_err(|reason| unreadable(reason.to_string()))?;
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

    /// The text of some tokens. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, String> {
        match self {
            Self::Bytes => {
                // A special token of the exported model's tokenizer, and so not shown here either.
                let tokens = tokens.iter().filter(|token| **token != BYTES_END_ID);
                let bytes: Vec<u8> = tokens.map(|&token| u8::try_from(token).unwrap_or(b'?')).collect();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Self::HuggingFace(definition) => {
                definition.tokenizer.decode(tokens, true).map_err(|error| error.to_string())
            }
        }
    }

    /// The number of a token by its name.
    pub(super) fn id(&self, name: &str) -> Option<u32> {
        let Self::HuggingFace(definition) = self else { return None };
        definition.tokenizer.token_to_id(name)
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
    use serde_json::{Value, json};

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

    fn opened(change: impl Fn(&mut Value), config: &Value) -> Tokenizer {
        let folder = tempfile::tempdir().unwrap();
        let mut definition = serde_json::from_str(&byte_level_json()).unwrap();
        change(&mut definition);
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, definition.to_string()).unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        Tokenizer::open(&path, 256).unwrap()
    }

    #[test]
    fn a_configuration_names_special_tokens() {
        let plain = opened(|_| (), &json!({"eos_token": BYTES_END}));
        assert_eq!((plain.begin(), plain.end()), (None, Some((BYTES_END, 255))));
        assert_eq!(plain.encode("a!").unwrap(), [97, 33]);
        assert_eq!(plain.encode("a<|endoftext|>").unwrap(), [97, 255]);
        assert_eq!(plain.decode(&[97, 255, 98]).unwrap(), "ab");
        assert_eq!(Tokenizer::Bytes.decode(&[97, 255, 98]).unwrap(), "ab");
        let config = json!({
            "bos_token": {"content": "!", "special": true}, "eos_token": null, "add_bos_token": true,
            "extra_special_tokens": ["b"], "added_tokens_decoder": {"99": {"content": "c", "special": false}},
        });
        let named = opened(|_| (), &config);
        assert_eq!((named.begin(), named.end()), (Some(("!", 33)), None));
        // `tokenizer.json` alone says what comes before a text; a special token is not shown.
        assert_eq!(named.encode("abc!").unwrap(), [97, 98, 99, 33]);
        assert_eq!(named.decode(&[97, 98, 99, 33]).unwrap(), "ac");
        let before = |definition: &mut Value| {
            definition["post_processor"] = json!({
                "type": "TemplateProcessing", "pair": [],
                "single": [{"SpecialToken": {"id": "!", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"!": {"id": "!", "ids": [33], "tokens": ["!"]}},
            });
        };
        let before = opened(before, &json!({}));
        assert_eq!((before.encode("a").unwrap(), before.encode_with("a", false).unwrap()), (vec![33, 97], vec![97]));
    }

    #[test]
    fn tokens_that_the_model_does_not_know_are_said_when_a_text_has_them() {
        let padded = opened(|_| (), &json!({"pad_token": "[PAD]"}));
        assert_eq!(padded.encode("a").unwrap(), [97]);
        let error = padded.encode("a[PAD]").unwrap_err();
        assert!(error.contains("the text has token 256 (\"[PAD]\"), but the model's vocabulary is 256"), "{error}");
    }

    #[test]
    fn what_was_saved_of_the_last_call_has_no_effect() {
        let truncation = json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
        let cut = opened(|definition| definition["truncation"] = truncation.clone(), &json!({}));
        assert_eq!(cut.encode("abcd").unwrap(), [97, 98, 99, 100]);
        let padding = json!({
            "strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0,
            "pad_token": "!"
        });
        let padded = opened(|definition| definition["padding"] = padding.clone(), &json!({}));
        assert_eq!(padded.encode("ab").unwrap(), [97, 98]);
    }

    /// A tokenizer with a mark for spaces, as Llama 2 has it, whose merges are two marks and a mark before a letter.
    fn with_marks(config: &Value) -> Tokenizer {
        let special = |id: usize, name: &str| {
            json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        };
        let definition = json!({
            "version": "1.0", "truncation": null, "padding": null, "pre_tokenizer": null, "post_processor": null,
            "added_tokens": [special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ]},
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ]},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "merges": ["▁ ▁", "▁ a"],
                "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3, "a": 4, "▁▁": 5, "▁a": 6},
            },
        });
        opened(|file| *file = definition.clone(), config)
    }

    /// Against transformers 5.24.
    #[test]
    fn a_tokenizer_of_class_llama_treats_spaces_as_transformers_does() {
        let texts = ["a", " a", "  a", "a</s>a", "a</s> a"];
        for (config, expected) in [
            (json!({}), [&[6][..], &[5, 4], &[5, 6], &[6, 2, 6], &[6, 2, 5, 4]]),
            (json!({"tokenizer_class": "LlamaTokenizer"}), [&[6], &[6], &[5, 4], &[6, 2, 4], &[6, 2, 6]]),
            (
                json!({"tokenizer_class": "LlamaTokenizerFast", "legacy": true}),
                [&[6], &[6], &[5, 4], &[6, 2, 6], &[6, 2, 6]],
            ),
            (
                json!({"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false}),
                [&[4], &[6], &[5, 4], &[4, 2, 4], &[4, 2, 6]],
            ),
        ] {
            let tokenizer = with_marks(&config);
            for (text, expected) in texts.iter().zip(expected) {
                assert_eq!(tokenizer.encode(text).unwrap(), expected, "{config}: {text:?}");
            }
        }
        let decoded = |config: &Value| with_marks(config).decode(&[5, 4, 2, 6]).unwrap();
        assert_eq!(decoded(&json!({"tokenizer_class": "LlamaTokenizer"})), " a a");
        assert_eq!(decoded(&json!({"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false})), "  a a");
        // Bytes are not treated as Llama 2's tokens are, whatever the class.
        let bytes = opened(|_| (), &json!({"tokenizer_class": "LlamaTokenizer"}));
        assert_eq!(bytes.encode(" a").unwrap(), [32, 97]);
    }
}
