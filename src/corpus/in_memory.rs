//! Documents that are tokenised when a run opens them, for data that fits into memory and is used once.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::documents;
use super::encoder::Encoder;
use super::error::{CorpusError, DocumentError};
use super::fetched::Objects;
use super::inputs::{Format, Input};
use super::left_out::Noticed;
use super::packed::Packed;
use super::settings::{CorpusKind, CorpusSettings};
use super::tokenize::{DocumentReading, EncodedDocument, Outcome, encode_documents};
use super::tokens::Shards;
use crate::digest::Digest;

/// How often to log the progress.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Tokenises the documents that `corpus.path` names into one shard, the same that `sim tokenize` would make. Also
/// returns its digest.
pub fn open(
    settings: &CorpusSettings,
    vocab_size: usize,
    sequence_length: usize,
) -> Result<(Shards, Digest), CorpusError> {
    let (format, ending) =
        if settings.kind == CorpusKind::Parquet { (Format::Parquet, ".parquet") } else { (Format::Jsonl, ".jsonl") };
    let path = settings.path.as_deref().ok_or(CorpusError::NoPath)?;
    let tokenizer = settings.tokenizer.as_deref().ok_or(CorpusError::NoTokenizer)?;
    let encoder = Encoder::open("corpus.tokenizer", tokenizer)?;
    encoder.fits(vocab_size)?;
    let eos = encoder.eos(None)?;
    let objects = Objects::find(path, format, ending)?;
    let (inputs, passed) = match &objects {
        Some(objects) => (Vec::new(), objects.passed().clone()),
        None => documents::of_format(path, format, ending).map_err(|reason| {
            let path = path.to_string();
            CorpusError::Unreadable { key: "corpus.path", path, reason }
        })?,
    };
    let bytes = objects.as_ref().map_or(inputs.iter().map(|input| input.bytes).sum(), Objects::bytes);
    let mut tokenised = Tokenised {
        path,
        bytes,
        before: 0,
        encoder: &encoder,
        eos,
        tokens: Packed::of_vocabulary(encoder.vocab_size),
        said: Instant::now(),
        noticed: Noticed::default(),
    };
    match &objects {
        None => tokenised.add(&inputs)?,
        Some(objects) => (0..objects.count()).try_for_each(|number| tokenised.add_object(objects, number, format))?,
    }
    let left_out = [passed.said(), tokenised.noticed.said()].concat();
    if !left_out.is_empty() {
        tracing::warn!("corpus.path = {path:?}: {}", left_out.join("; "));
    }
    let tokens = tokenised.tokens;
    let fingerprint = tokens.digest();
    let shards = Shards::in_memory(path, tokens, vocab_size, sequence_length, settings.held_out_pages)?;
    Ok((shards, fingerprint))
}

/// Documents tokenised so far.
struct Tokenised<'a> {
    /// `corpus.path`, and the size in bytes of all that it names.
    path: &'a str,
    bytes: u64,
    /// Size in bytes of the finished files.
    before: u64,
    encoder: &'a Encoder,
    eos: u32,
    tokens: Packed,
    said: Instant,
    noticed: Noticed,
}

impl Tokenised<'_> {
    fn add(&mut self, inputs: &[Input]) -> Result<(), DocumentError> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let reading = DocumentReading { inputs, column: "text", from: (0, 0) };
        let take = |encoded: EncodedDocument| {
            match encoded.outcome {
                Outcome::Ids(ids) => {
                    self.noticed.add_document(&ids);
                    self.tokens.extend(&ids.ids);
                    self.tokens.extend(&[self.eos]);
                }
                Outcome::Failed(error) => return ControlFlow::Break(error),
                Outcome::Nothing(nothing) => self.noticed.add(nothing),
            }
            if self.said.elapsed() >= SAY_EVERY {
                self.said = Instant::now();
                let percent = 100 * (self.before + encoded.read_bytes) / self.bytes.max(1);
                tracing::warn!("tokenising {}: {percent} %; `sim tokenize` does it once for all runs", self.path);
            }
            ControlFlow::Continue(())
        };
        let ended = encode_documents(&reading, self.encoder, threads, take, |_| ControlFlow::Continue(()));
        if let ControlFlow::Break(error) = ended {
            return Err(error);
        }
        self.before += inputs.iter().map(|input| input.bytes).sum::<u64>();
        Ok(())
    }

    fn add_object(&mut self, objects: &Objects, number: usize, format: Format) -> Result<(), CorpusError> {
        let file = objects.bring(number)?;
        let url = objects.url(number);
        let input = documents::of_file(file.path(), format, documents::compression(&url)).map_err(|reason| {
            let path = url.clone();
            CorpusError::Unreadable { key: "corpus.path", path, reason }
        })?;
        self.add(&[input]).map_err(|mut error| {
            error.place = error.place.replace(&*file.path().to_string_lossy(), &url);
            error.into()
        })
    }
}
