//! A text file, as bytes or through a tokenizer.

use std::fs;
use std::io;

use super::documents;
use super::encoder::Encoder;
use super::error::CorpusError;
use super::fetched::Objects;
use super::inputs::Format;
use super::left_out::Noticed;
use super::packed::Packed;
use super::page::PageId;
use super::settings::CorpusSettings;
use crate::digest::Digest;

/// The last of this many equal parts of the tokens is held out.
const HELD_OUT_PART: usize = 10;

/// The tokens of a file. Training pages are adjacent windows over all but the last tenth.
pub struct Text {
    path: String,
    tokens: Packed,
    /// Tokens before this are for training.
    train_tokens: usize,
    sequence_length: usize,
}

impl Text {
    /// Reads the file. Also returns a digest of its content.
    pub fn open(
        settings: &CorpusSettings,
        vocab_size: usize,
        sequence_length: usize,
    ) -> Result<(Self, Digest), CorpusError> {
        let path = settings.path.clone().ok_or(CorpusError::NoPath)?;
        let objects = Objects::find(&path, Format::Text, ".txt")?;
        if let Some(several) = objects.as_ref().map(Objects::count).filter(|count| *count > 1) {
            let reason = format!("{several} texts; expected one: `sim tokenize` makes shards of many");
            return Err(CorpusError::Bucket { url: path, reason });
        }
        let brought = objects.map(|objects| objects.bring(0)).transpose()?;
        let file = brought.as_ref().map_or(path.as_ref(), |brought| brought.path());
        let unreadable = |reason| CorpusError::Unreadable { key: "corpus.path", path: path.clone(), reason };
        if !file.is_file() {
            let reason = fs::metadata(file).map_or_else(|error| error, |_| io::Error::other("expected a text file"));
            return Err(unreadable(reason));
        }
        let input = documents::of_file(file, Format::Text, documents::compression(&path)).map_err(unreadable)?;
        let Some((bytes, marked)) = documents::whole(&input).map_err(|mut error| {
            error.place = format!("corpus.path = {path:?}");
            error
        })?
        else {
            return Err(CorpusError::Empty { path, expected: "a text" });
        };
        if marked {
            tracing::warn!("corpus.path = {path:?}: its byte order mark is left out");
        }
        let (tokens, fingerprint) = match &settings.tokenizer {
            Some(tokenizer) => {
                let encoder = Encoder::open("corpus.tokenizer", tokenizer)?;
                let fingerprint = Digest::of_parts([bytes.as_slice(), &encoder.digest.0]);
                (tokenize(&path, &bytes, &encoder, vocab_size)?, fingerprint)
            }
            None => {
                if vocab_size < 256 {
                    let what = "a text read as bytes".to_string();
                    return Err(CorpusError::Vocabulary { got: vocab_size, needed: 256, what });
                }
                let fingerprint = Digest::of_parts([bytes.as_slice()]);
                (Packed::Bytes(bytes), fingerprint)
            }
        };
        let train_tokens = tokens.len() - tokens.len() / HELD_OUT_PART;
        // The held-out tenth must hold at least one page.
        let needed = HELD_OUT_PART * (sequence_length + 1);
        if tokens.len() < needed {
            return Err(CorpusError::TooShort { path, tokens: tokens.len(), sequence_length, needed });
        }
        Ok((Self { path, tokens, train_tokens, sequence_length }, fingerprint))
    }

    /// Number of windows in the training part. A window's last token, which is only predicted, is the next window's
    /// first.
    pub fn train_pages(&self) -> u64 {
        ((self.train_tokens - 1) / self.sequence_length) as u64
    }

    /// Tokens of the whole text.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
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

/// Tokenises a whole text at once: if it were cut into parts, some tokenizers would give other ids at the seams.
fn tokenize(path: &str, bytes: &[u8], encoder: &Encoder, vocab_size: usize) -> Result<Packed, CorpusError> {
    encoder.fits(vocab_size)?;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = documents::place(bytes, error.valid_up_to());
        CorpusError::NotUtf8 { path: path.to_string(), line, column }
    })?;
    let mut packed = Packed::of_vocabulary(encoder.vocab_size);
    let ids = encoder.ids(text)?;
    let mut noticed = Noticed::default();
    noticed.add_document(&ids);
    if !noticed.said().is_empty() {
        tracing::warn!("corpus.path = {path:?}: {}", noticed.said().join("; "));
    }
    packed.extend(&ids.ids);
    Ok(packed)
}
