//! Why a corpus cannot be opened.

use std::io;

/// Each message names the setting and the file.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("corpus.path is missing; expected the path of a text file")]
    NoPath,
    #[error("{key} = {path:?} cannot be read: {reason}")]
    Unreadable { key: &'static str, path: String, reason: io::Error },
    #[error("corpus.path = {path:?} is empty; expected a text")]
    Empty { path: String },
    #[error(
        "corpus.path = {path:?} has {tokens} tokens, too few: model.sequence_length = {sequence_length} needs at least {needed}; \
         take a longer text or shorter sequences"
    )]
    TooShort { path: String, tokens: usize, sequence_length: usize, needed: usize },
    #[error(
        "corpus.held_out_pages = {asked}, but the last tenth of {path:?}, which is held out, has {available} pages of \
         {sequence_length} tokens: --set corpus.held_out_pages={available} or take a longer text"
    )]
    HeldOut { path: String, asked: usize, available: usize, sequence_length: usize },
    #[error("corpus.path = {path:?} is not UTF-8 at byte {at}; expected a text, as corpus.tokenizer is set")]
    NotUtf8 { path: String, at: usize },
    #[error("corpus.tokenizer = {path:?} is not a tokenizer.json: {reason}")]
    Tokenizer { path: String, reason: String },
    #[error("corpus.tokenizer = {path:?} fails on the text: {reason}")]
    Encode { path: String, reason: String },
    #[error("model.vocab_size = {got}, but {what} needs {needed}: --set model.vocab_size={needed}")]
    Vocabulary { got: usize, needed: usize, what: String },
}
