//! Why a corpus cannot be opened, or a page of it cannot be read.

use std::io;

use crate::words::counted;

/// The system's description of an error, without its number.
pub fn words(error: &io::Error) -> String {
    let said = error.to_string();
    said.split(" (os error ").next().unwrap_or_default().to_string()
}

/// Why a corpus cannot be opened. Each message names the setting and the file.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("corpus.path is missing; expected a file, a folder, a pattern such as data/*.ds, or a URL")]
    NoPath,
    #[error("corpus.tokenizer is missing; expected the path of a tokenizer.json")]
    NoTokenizer,
    #[error("{key} = {path:?} cannot be read: {}", words(.reason))]
    Unreadable { key: &'static str, path: String, reason: io::Error },
    #[error("corpus.path = {path:?} is empty; expected {expected}")]
    Empty { path: String, expected: &'static str },
    #[error("corpus.path = {path:?} names no file; expected {expected}")]
    NoFiles { path: String, expected: String },
    #[error(
        "corpus.path = {path:?} has {}, too few: model.sequence_length = {sequence_length} needs at least {needed}; \
         take a longer text or shorter sequences",
        counted(*.tokens, "token")
    )]
    TooShort { path: String, tokens: usize, sequence_length: usize, needed: usize },
    #[error(
        "corpus.held_out_pages = {asked}, but the last tenth of {path:?}, which is held out, has {} of {}: --set corpus.held_out_pages={available} or take a longer text",
        counted(*.available, "page"), counted(*.sequence_length, "token")
    )]
    HeldOut { path: String, asked: usize, available: usize, sequence_length: usize },
    #[error(
        "corpus.path = {path:?} has {} of model.sequence_length = {sequence_length} tokens; expected more than \
         corpus.held_out_pages = {held_out}, which are kept away from training: take more data, shorter sequences or \
         fewer held-out pages",
        counted(*.pages, "page")
    )]
    TooFewPages { path: String, pages: u64, held_out: usize, sequence_length: usize },
    #[error(
        "corpus.path = {path:?} is not UTF-8 at line {line}, column {column}; expected a text, as corpus.tokenizer is set"
    )]
    NotUtf8 { path: String, line: usize, column: usize },
    #[error("{path:?} is not a tokenizer.json: {reason}")]
    Tokenizer { path: String, reason: String },
    #[error("the tokenizer {path:?} fails on the text: {reason}")]
    Encode { path: String, reason: String },
    #[error(
        "a document of {:.0} MB must be encoded at once, as {path:?} does not show where it may be cut: that takes some {:.1} GB of \
         memory, and {:.1} GB are free; split the document, or take a larger machine",
        *.bytes as f64 / 1e6, *.needed as f64 / 1e9, *.free as f64 / 1e9
    )]
    Memory { path: String, bytes: usize, needed: u64, free: u64 },
    #[error("{0}")]
    Eos(String),
    #[error("model.vocab_size = {got}, but {what} needs {needed}: --set model.vocab_size={needed}")]
    Vocabulary { got: usize, needed: usize, what: String },
    #[error("{path}: {reason}")]
    Manifest { path: String, reason: String },
    #[error("corpus.path = {url:?}: {reason}")]
    Bucket { url: String, reason: String },
    #[error("{path}: {}; expected {expected}", counted(*.bytes, "byte"))]
    ShardLength { path: String, bytes: u64, expected: String },
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Page(#[from] PageError),
}

/// Why a page cannot be read although the corpus is open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("{shard}, page {page}: cannot be read: {reason}")]
    Unreadable { shard: String, page: u64, reason: String },
    #[error(
        "{shard}, page {page}: token {token} at position {at} of the shard; expected ids below {vocab_size}, \
         model.vocab_size: the shard is damaged, of another tokenizer, or of wider tokens"
    )]
    Token { shard: String, page: u64, at: u64, token: u32, vocab_size: usize },
}

/// How much is lost when something cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The rest of a file.
    File,
    /// The rest of a row group of a Parquet file.
    RowGroup,
    Document,
}

/// Why a document cannot be read or encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct DocumentError {
    pub extent: Extent,
    /// File, and row group, row or line in it.
    pub place: String,
    pub reason: String,
}

impl DocumentError {
    /// An error that loses the rest of a file.
    pub fn of_file(path: &str, reason: impl ToString) -> Self {
        Self { extent: Extent::File, place: path.to_string(), reason: reason.to_string() }
    }
}
