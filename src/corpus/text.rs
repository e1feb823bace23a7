//! A text file, as bytes or through a tokenizer.

use std::fs;

use tokenizers::Tokenizer;

use super::{CorpusError, PageId};
use crate::digest::Digest;
use crate::scenario::CorpusSettings;

/// Held out: the last of so many equal parts of the tokens.
const HELD_OUT_PART: usize = 10;

/// Bytes that go through the tokenizer at a time; some tokenizers take quadratic time.
const BLOCK: usize = 1 << 16;

/// The tokens of a file. All but the last tenth, in windows one behind the other, are the training pages.
pub struct Text {
    path: String,
    tokens: Tokens,
    /// Tokens before this are for training.
    train_tokens: usize,
    sequence_length: usize,
}

/// Token ids in as few bytes as they need.
enum Tokens {
    Bytes(Vec<u8>),
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Tokens {
    fn from_ids(ids: Vec<u32>) -> Self {
        if ids.iter().all(|id| *id <= u32::from(u16::MAX)) {
            Self::Narrow(ids.into_iter().map(|id| id as u16).collect())
        } else {
            Self::Wide(ids)
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(ids) => ids.len(),
            Self::Narrow(ids) => ids.len(),
            Self::Wide(ids) => ids.len(),
        }
    }

    fn window(&self, start: usize, len: usize) -> Vec<u32> {
        match self {
            Self::Bytes(ids) => ids[start..start + len].iter().map(|id| u32::from(*id)).collect(),
            Self::Narrow(ids) => ids[start..start + len].iter().map(|id| u32::from(*id)).collect(),
            Self::Wide(ids) => ids[start..start + len].to_vec(),
        }
    }
}

impl Text {
    /// Reads the file, and the digest of what was read.
    pub fn open(
        settings: &CorpusSettings,
        vocab_size: usize,
        sequence_length: usize,
    ) -> Result<(Self, Digest), CorpusError> {
        let path = settings.path.clone().ok_or(CorpusError::NoPath)?;
        let bytes = read("corpus.path", &path)?;
        if bytes.is_empty() {
            return Err(CorpusError::Empty { path });
        }
        let (tokens, fingerprint) = match &settings.tokenizer {
            Some(tokenizer) => {
                let definition = read("corpus.tokenizer", tokenizer)?;
                let fingerprint = Digest::of_parts([bytes.as_slice(), &definition]);
                (Tokens::from_ids(tokenize(&path, &bytes, tokenizer, &definition, vocab_size)?), fingerprint)
            }
            None => {
                if vocab_size < 256 {
                    let what = "a text read as bytes".to_string();
                    return Err(CorpusError::Vocabulary { got: vocab_size, needed: 256, what });
                }
                let fingerprint = Digest::of_parts([bytes.as_slice()]);
                (Tokens::Bytes(bytes), fingerprint)
            }
        };
        let train_tokens = tokens.len() - tokens.len() / HELD_OUT_PART;
        // A tenth of the tokens is to hold one page at least.
        let needed = HELD_OUT_PART * (sequence_length + 1);
        if tokens.len() < needed {
            return Err(CorpusError::TooShort { path, tokens: tokens.len(), sequence_length, needed });
        }
        Ok((Self { path, tokens, train_tokens, sequence_length }, fingerprint))
    }

    /// Windows of the training part. The last token of one, which is only predicted, is the first of the next.
    pub fn train_pages(&self) -> u64 {
        ((self.train_tokens - 1) / self.sequence_length) as u64
    }

    pub fn page(&self, page: PageId) -> Vec<u32> {
        self.tokens.window(page as usize * self.sequence_length, self.sequence_length + 1)
    }

    /// Pages at equal distances over the held-out part.
    pub fn held_out(&self, pages: usize) -> Result<Vec<Vec<u32>>, CorpusError> {
        let available = (self.tokens.len() - self.train_tokens - 1) / self.sequence_length;
        if pages > available {
            let (path, sequence_length) = (self.path.clone(), self.sequence_length);
            return Err(CorpusError::HeldOut { path, asked: pages, available, sequence_length });
        }
        let last = self.tokens.len() - (self.sequence_length + 1);
        let start = |page: usize| self.train_tokens + (last - self.train_tokens) * page / (pages - 1).max(1);
        Ok((0..pages).map(|page| self.tokens.window(start(page), self.sequence_length + 1)).collect())
    }
}

fn read(key: &'static str, path: &str) -> Result<Vec<u8>, CorpusError> {
    fs::read(path).map_err(|reason| CorpusError::Unreadable { key, path: path.to_string(), reason })
}

/// Ids of a text, without special tokens at its beginning or end.
fn tokenize(
    path: &str,
    bytes: &[u8],
    tokenizer_path: &str,
    definition: &[u8],
    vocab_size: usize,
) -> Result<Vec<u32>, CorpusError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| CorpusError::NotUtf8 { path: path.to_string(), at: error.valid_up_to() })?;
    let tokenizer = Tokenizer::from_bytes(definition)
        .map_err(|error| CorpusError::Tokenizer { path: tokenizer_path.to_string(), reason: error.to_string() })?;
    let largest = tokenizer.get_vocab(true).into_values().max().unwrap_or(0);
    let needed = largest as usize + 1;
    if vocab_size < needed {
        let what = format!("the tokenizer {tokenizer_path:?}");
        return Err(CorpusError::Vocabulary { got: vocab_size, needed, what });
    }
    let mut ids = Vec::new();
    for block in blocks(text) {
        let encoding = tokenizer
            .encode_fast(block, false)
            .map_err(|error| CorpusError::Encode { path: tokenizer_path.to_string(), reason: error.to_string() })?;
        ids.extend_from_slice(encoding.get_ids());
    }
    Ok(ids)
}

/// Cuts a text into parts of about [`BLOCK`] bytes, behind a line's end where there is one.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let limit = rest.floor_char_boundary(BLOCK);
        let end =
            if limit == rest.len() { limit } else { rest[..limit].rfind('\n').map_or(limit, |newline| newline + 1) };
        let (block, after) = rest.split_at(end);
        rest = after;
        (!block.is_empty()).then_some(block)
    })
}
