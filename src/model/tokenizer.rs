//! Text to tokens and back: a Hugging Face `tokenizer.json`, or bytes.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// What turns text into tokens.
pub enum Tokenizer {
    /// A token a byte.
    Bytes,
    /// As its definition says.
    HuggingFace(Box<tokenizers::Tokenizer>),
}

/// Why a tokenizer cannot be used. Each names its file.
#[derive(Debug, Error)]
pub enum TokenizerError {
    #[error("{path}: {reason}; expected a tokenizer.json of Hugging Face's tokenizers")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path}: knows {needed} tokens, the model has a vocabulary of {vocabulary}")]
    TooLarge { path: PathBuf, needed: usize, vocabulary: usize },
}

/// What tokenizers call the token that begins a text.
const BEGIN: [&str; 4] = ["<s>", "<|begin_of_text|>", "<|startoftext|>", "<bos>"];
/// What they call the one that ends a document.
pub const END: [&str; 6] = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|eos|>", "<EOS>"];

impl Tokenizer {
    /// Reads a `tokenizer.json` for a model with a vocabulary of this size.
    ///
    /// # Errors
    /// It cannot be read, or has tokens that the model does not know.
    pub fn open(path: &Path, vocabulary: usize) -> Result<Self, TokenizerError> {
        let unreadable = |reason: String| TokenizerError::Unreadable { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let tokenizer = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| unreadable(error.to_string()))?;
        let needed = tokenizer.get_vocab(true).into_values().max().map_or(0, |largest| largest as usize + 1);
        if needed > vocabulary {
            return Err(TokenizerError::TooLarge { path: path.into(), needed, vocabulary });
        }
        Ok(Self::HuggingFace(Box::new(tokenizer)))
    }

    /// Tokens of a text, with those that the tokenizer puts at the beginning or end of one where it does so (Llama 2:
    /// `<s>` at the beginning), as `transformers` gives them.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        match self {
            Self::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Self::HuggingFace(tokenizer) => {
                let encoding = tokenizer.encode_fast(text, true).map_err(|error| error.to_string())?;
                Ok(encoding.get_ids().to_vec())
            }
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
            Self::HuggingFace(tokenizer) => tokenizer.decode(tokens, true).map_err(|error| error.to_string()),
        }
    }

    /// Name and number of the token that begins a text.
    pub fn begin(&self) -> Option<(&'static str, u32)> {
        self.special(&BEGIN)
    }

    /// Name and number of the token that ends a text.
    pub fn end(&self) -> Option<(&'static str, u32)> {
        self.special(&END)
    }

    fn special(&self, names: &[&'static str]) -> Option<(&'static str, u32)> {
        let Self::HuggingFace(tokenizer) = self else { return None };
        names.iter().find_map(|name| tokenizer.token_to_id(name).map(|id| (*name, id)))
    }
}

/// A `tokenizer.json` whose tokens are bytes: what a model that was trained on bytes needs to be used with
/// `transformers`.
///
/// Byte-level BPE without merges. Its alphabet names a byte that is printable by the character of that number, and the
/// others by the characters from U+0100 on (Radford et al. 2019, GPT-2).
pub fn byte_level_json() -> String {
    let mut others = 0x100..;
    let name = |byte: u32| {
        let printable = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let point = if printable { byte } else { others.next().expect("there is no end of them") };
        char::from_u32(point).expect("below U+0200").to_string()
    };
    let vocab: serde_json::Map<String, serde_json::Value> =
        (0..256).map(name).zip((0u32..256).map(Into::into)).collect();
    let byte_level = serde_json::json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false
    });
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
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
        assert!(error.contains("knows 256 tokens, the model has a vocabulary of 100"), "{error}");
    }
}
