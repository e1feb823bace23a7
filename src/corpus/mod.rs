//! Tokens: where they come from, and which peers train on them.
//!
//! A *page* is one sequence of `sequence_length + 1` token ids: the model's input and, shifted by one, its targets. A
//! [`Corpus`] returns pages by number; [`Assignment`] says which numbers belong to which peer in which round.

mod added;
mod alias;
mod assignment;
mod cuts;
mod documents;
mod encoder;
mod entropies;
mod error;
mod fetched;
mod in_memory;
mod inputs;
mod joints;
mod left_out;
mod lexicon;
mod memory;
mod names;
mod packed;
mod page;
mod parts;
mod process;
mod settings;
mod synthetic;
#[cfg(test)]
mod tests;
mod text;
pub mod tokenize;
mod tokens;
mod url;
mod words;

pub use assignment::{Assignment, Shortage, sample};
pub use error::{CorpusError, DocumentError, PageError};
pub use memory::free_memory;
pub use page::PageId;
pub use settings::{CorpusKind, CorpusSettings};

use crate::digest::Digest;
use entropies::Entropies;
use synthetic::Synthetic;
use text::Text;
use tokens::Shards;
use words::Words;

/// The tokens of a run: pages for training, and others for measurement.
pub struct Corpus {
    source: Source,
    held_out: Vec<Vec<u32>>,
    fingerprint: Digest,
}

enum Source {
    Synthetic(Synthetic),
    Words(Words),
    Text(Text),
    Shards(Shards),
}

/// The size of a finite corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub tokens: u64,
    /// Number of files, or 1 for a corpus in memory.
    pub shards: usize,
}

impl Corpus {
    /// Opens the corpus that `settings` describe, for a model with `vocab_size` tokens that predicts `sequence_length`
    /// of them at a time.
    ///
    /// # Errors
    /// [`CorpusError`]: a file cannot be read or is too short, or a vocabulary does not fit.
    pub fn open(
        settings: &CorpusSettings,
        seed: u64,
        vocab_size: usize,
        sequence_length: usize,
    ) -> Result<Self, CorpusError> {
        let pages = settings.held_out_pages;
        Ok(match settings.kind {
            CorpusKind::Synthetic => {
                let source = Synthetic::new(seed, vocab_size, sequence_length)?;
                let held_out = source.held_out(pages);
                let name = format!("synthetic {seed} {vocab_size} {sequence_length}");
                Self { source: Source::Synthetic(source), held_out, fingerprint: Digest::of(name.as_bytes()) }
            }
            CorpusKind::Words => {
                let source = Words::new(seed, vocab_size, sequence_length)?;
                let held_out = source.held_out(pages);
                let name = format!("words {seed} {vocab_size} {sequence_length}");
                Self { source: Source::Words(source), held_out, fingerprint: Digest::of(name.as_bytes()) }
            }
            CorpusKind::Text => {
                let (source, fingerprint) = Text::open(settings, vocab_size, sequence_length)?;
                let held_out = source.held_out(pages)?;
                Self { source: Source::Text(source), held_out, fingerprint }
            }
            CorpusKind::Parquet | CorpusKind::Jsonl => {
                let (source, fingerprint) = in_memory::open(settings, vocab_size, sequence_length)?;
                let held_out = source.held_out()?;
                Self { source: Source::Shards(source), held_out, fingerprint }
            }
            CorpusKind::Tokens => {
                let (source, fingerprint) = Shards::open(settings, vocab_size, sequence_length)?;
                let held_out = source.held_out()?;
                Self { source: Source::Shards(source), held_out, fingerprint }
            }
        })
    }

    /// Number of training pages; their ids are below this.
    pub fn train_pages(&self) -> u64 {
        match &self.source {
            Source::Synthetic(_) | Source::Words(_) => synthetic::TRAIN_PAGES,
            Source::Text(text) => text.train_pages(),
            Source::Shards(shards) => shards.train_pages(),
        }
    }

    /// The `sequence_length + 1` tokens of each of these training pages. The result depends on the arguments alone.
    ///
    /// # Errors
    /// A file cannot be read, or has tokens that the model does not know.
    ///
    /// # Panics
    /// If a page is not below [`Self::train_pages`].
    pub fn pages(&self, pages: &[PageId]) -> Result<Vec<Vec<u32>>, PageError> {
        let all = self.train_pages();
        pages.iter().for_each(|page| assert!(*page < all, "page {page} of a corpus of {all}"));
        match &self.source {
            Source::Synthetic(synthetic) => Ok(pages.iter().map(|&page| synthetic.page(page)).collect()),
            Source::Words(words) => Ok(pages.iter().map(|&page| words.page(page)).collect()),
            Source::Text(text) => Ok(pages.iter().map(|&page| text.page(page)).collect()),
            Source::Shards(shards) => shards.pages(pages),
        }
    }

    /// Starts to fetch pages that will be needed soon, if that takes long; does not wait for them.
    pub fn fetch_ahead(&self, pages: &[PageId]) {
        if let Source::Shards(shards) = &self.source {
            shards.fetch_ahead(pages);
        }
    }

    /// Its size, if it is finite.
    pub fn size(&self) -> Option<Size> {
        match &self.source {
            Source::Synthetic(_) | Source::Words(_) => None,
            Source::Text(text) => Some(Size { tokens: text.tokens() as u64, shards: 1 }),
            Source::Shards(shards) => {
                let (tokens, shards) = shards.size();
                Some(Size { tokens, shards })
            }
        }
    }

    /// Pages that share no token with any training page.
    pub fn held_out(&self) -> &[Vec<u32>] {
        &self.held_out
    }

    /// A digest that identifies the data. For files it covers their bytes, so that a run is not resumed or verified on
    /// other data.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// A lower bound in nats a token for any model's expected loss on a page, if known.
    pub fn entropy_floor(&self) -> Option<f64> {
        self.entropies().map(|known| known.floor)
    }

    /// Nats a token for the best model that sees only the previous token, if known.
    pub fn bigram_entropy(&self) -> Option<f64> {
        self.entropies().map(|known| known.bigram)
    }

    /// Nats a token for the best model that knows only token frequencies, if known.
    pub fn unigram_entropy(&self) -> Option<f64> {
        self.entropies().map(|known| known.unigram)
    }

    fn entropies(&self) -> Option<&Entropies> {
        match &self.source {
            Source::Synthetic(synthetic) => Some(&synthetic.entropies),
            Source::Words(words) => Some(&words.entropies),
            Source::Text(_) | Source::Shards(_) => None,
        }
    }
}
