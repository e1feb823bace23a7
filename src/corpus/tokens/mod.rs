//! Shards of tokens: files of ids without a header, as datatrove writes them (`.ds`), with or without a manifest.
//!
//! A page is a window of `sequence_length + 1` tokens in one shard. Windows do not overlap, so pages share no token,
//! and the sequences of a file shuffled by sequence stay whole. The rest at a shard's end is not used. The last pages
//! of all are held out. The shards' lengths alone determine the positions of pages.

mod beside;
mod files;
mod manifest;
mod remote;
#[cfg(test)]
mod tests;
mod window;

use files::{Files, Opened};
pub use manifest::{MANIFEST, ShardEntry, Skipped, SourceEntry, TokenManifest, Unfinished};
use remote::Remote;
use window::Window;

use super::error::{CorpusError, PageError};
use super::packed::Packed;
use super::page::PageId;
use super::settings::CorpusSettings;
use super::url::bucket_of;
use crate::digest::Digest;

/// Pages of shards, in files, in a bucket or in memory.
pub struct Shards {
    store: Store,
    names: Vec<String>,
    /// Number of the first page of each shard, then the number of all pages.
    starts: Vec<u64>,
    /// Number of tokens of all shards.
    tokens: u64,
    train_pages: u64,
    /// Number of tokens of a page.
    window: usize,
    vocab_size: usize,
}

enum Store {
    Files(Files),
    Remote(Remote),
    /// One shard, made when the corpus was opened.
    Memory(Packed),
}

impl Shards {
    /// Opens the shards that `corpus.path` names: a folder with a manifest, or files. Also returns a digest of their
    /// content.
    pub fn open(
        settings: &CorpusSettings,
        vocab_size: usize,
        sequence_length: usize,
    ) -> Result<(Self, Digest), CorpusError> {
        let path = settings.path.as_deref().ok_or(CorpusError::NoPath)?;
        let (store, shards, fingerprint) = match bucket_of(path)? {
            Some(bucket) => {
                let (remote, manifest) = remote::open(path, bucket)?;
                fits(path, &manifest, vocab_size)?;
                let name = |shard: &ShardEntry| format!("{}/{}", path.trim_end_matches('/'), shard.file);
                let shards = manifest.shards.iter().map(|shard| (name(shard), shard.tokens)).collect();
                (Store::Remote(remote), shards, manifest.fingerprint())
            }
            None => {
                let Opened { files, shards, manifest, fingerprint } = files::open(path, settings.token_bytes)?;
                manifest.map_or(Ok(()), |manifest| fits(path, &manifest, vocab_size))?;
                (Store::Files(files), shards, fingerprint)
            }
        };
        let (names, lengths): (Vec<String>, Vec<u64>) = shards.into_iter().unzip();
        let shards = Self::new(path, store, names, lengths, vocab_size, sequence_length, settings.held_out_pages)?;
        Ok((shards, fingerprint))
    }

    /// One shard in memory.
    pub fn in_memory(
        path: &str,
        tokens: Packed,
        vocab_size: usize,
        sequence_length: usize,
        held_out: usize,
    ) -> Result<Self, CorpusError> {
        let (names, lengths) = (vec![path.to_string()], vec![tokens.len() as u64]);
        Self::new(path, Store::Memory(tokens), names, lengths, vocab_size, sequence_length, held_out)
    }

    fn new(
        path: &str,
        store: Store,
        names: Vec<String>,
        lengths: Vec<u64>,
        vocab_size: usize,
        sequence_length: usize,
        held_out: usize,
    ) -> Result<Self, CorpusError> {
        let window = sequence_length + 1;
        let mut starts = vec![0];
        for length in &lengths {
            starts.push(starts[starts.len() - 1] + length / window as u64);
        }
        let pages = starts[lengths.len()];
        let Some(train_pages) = pages.checked_sub(held_out as u64).filter(|train| *train > 0) else {
            return Err(CorpusError::TooFewPages { path: path.to_string(), pages, held_out, sequence_length });
        };
        Ok(Self { store, names, starts, tokens: lengths.iter().sum(), train_pages, window, vocab_size })
    }

    pub fn train_pages(&self) -> u64 {
        self.train_pages
    }

    /// Tokens of all shards, and the number of shards.
    pub fn size(&self) -> (u64, usize) {
        (self.tokens, self.names.len())
    }

    /// The tokens of these pages.
    pub fn pages(&self, pages: &[PageId]) -> Result<Vec<Vec<u32>>, PageError> {
        let windows = pages.iter().map(|&page| (page, self.window_of(page)));
        match &self.store {
            Store::Files(files) => windows
                .map(|(page, window)| {
                    let read = files.read(window.shard, window.at, self.window);
                    self.checked(page, window, read.map_err(|error| error.to_string()))
                })
                .collect(),
            Store::Memory(tokens) => {
                windows.map(|(_, window)| Ok(tokens.window(window.at as usize, self.window))).collect()
            }
            Store::Remote(remote) => {
                // All requests are made before the first answer is awaited.
                let asked = windows.map(|(page, window)| (page, window, remote.ask(page, window, self.window)));
                let asked: Vec<_> = asked.collect();
                asked
                    .into_iter()
                    .map(|(page, window, answer)| self.checked(page, window, remote.tokens(answer)))
                    .collect()
            }
        }
    }

    /// Starts to fetch pages that will be needed soon, if that takes time.
    pub fn fetch_ahead(&self, pages: &[PageId]) {
        let windows = pages.iter().map(|&page| (page, self.window_of(page)));
        match &self.store {
            Store::Files(files) => {
                windows.for_each(|(_, window)| files.fetch_ahead(window.shard, window.at, self.window))
            }
            Store::Memory(_) => {}
            Store::Remote(remote) => remote.fetch_ahead(windows, self.window),
        }
    }

    /// The pages kept out of training.
    pub fn held_out(&self) -> Result<Vec<Vec<u32>>, PageError> {
        let all: Vec<PageId> = (self.train_pages..self.starts[self.names.len()]).collect();
        self.pages(&all)
    }

    fn window_of(&self, page: PageId) -> Window {
        let shard = self.starts.partition_point(|start| *start <= page) - 1;
        Window { shard, at: (page - self.starts[shard]) * self.window as u64 }
    }

    /// The tokens read, if the model knows all of them.
    fn checked(&self, page: PageId, window: Window, read: Result<Vec<u32>, String>) -> Result<Vec<u32>, PageError> {
        let shard = || self.names[window.shard].clone();
        let tokens = read.map_err(|reason| PageError::Unreadable { shard: shard(), page, reason })?;
        let is_known = |token: &u32| (*token as usize) < self.vocab_size;
        // Without an early exit, this handles many tokens at a time.
        if tokens.iter().fold(true, |known, token| known & is_known(token)) {
            return Ok(tokens);
        }
        let place = tokens.iter().position(|token| !is_known(token)).unwrap_or_default();
        let (at, token) = (window.at + place as u64, tokens[place]);
        Err(PageError::Token { shard: shard(), page, at, token, vocab_size: self.vocab_size })
    }
}

/// Checks that a model with this many tokens can read these shards.
fn fits(path: &str, manifest: &TokenManifest, vocab_size: usize) -> Result<(), CorpusError> {
    if vocab_size < manifest.vocab_size {
        let what = format!("the tokenizer of {path:?}");
        return Err(CorpusError::Vocabulary { got: vocab_size, needed: manifest.vocab_size, what });
    }
    Ok(())
}
