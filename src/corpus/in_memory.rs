//! Documents that are tokenised when a run opens them: for what fits into memory, and is used once.

use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use super::documents;
use super::encoder::Encoder;
use super::inputs::Format;
use super::packed::Packed;
use super::tokenize::{DocumentReading, encode_documents};
use super::tokens::Shards;
use super::{CorpusError, DocumentError, fetched};
use crate::digest::Digest;
use crate::scenario::{CorpusKind, CorpusSettings};

/// How often the log says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// The documents that `corpus.path` names as one shard, the same that `sim tokenize` would make, and a digest of it.
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
    let fetched = fetched::fetch(path, ending)?;
    let inputs = match &fetched {
        Some(fetched) => fetched.files.iter().map(|(file, _)| documents::of_file(file, format)).collect(),
        None => documents::of_format(path, format, ending),
    };
    let unreadable = |reason| CorpusError::Unreadable { key: "corpus.path", path: path.to_string(), reason };
    let inputs = inputs.map_err(unreadable)?;
    let bytes: u64 = inputs.iter().map(|input| input.bytes).sum();

    let mut tokens = Packed::of_vocabulary(encoder.vocab_size);
    let mut said = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let reading = DocumentReading { inputs: &inputs, column: "text", from: (0, 0) };
    let ended = encode_documents(&reading, &encoder, threads, |encoded| {
        match encoded.ids {
            Ok(ids) => tokens.extend(&ids),
            Err(error) => return ControlFlow::Break::<DocumentError>(error),
        }
        tokens.extend(&[eos]);
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let percent = 100 * encoded.read_bytes / bytes.max(1);
            tracing::warn!("tokenising {path}: {percent} %; `sim tokenize` does it once for all runs");
        }
        ControlFlow::Continue(())
    });
    if let ControlFlow::Break(mut error) = ended {
        error.place = fetched.map_or(error.place.clone(), |fetched| fetched.named(&error.place));
        return Err(error.into());
    }
    let fingerprint = tokens.digest();
    let shards = Shards::in_memory(path, tokens, vocab_size, sequence_length, settings.held_out_pages)?;
    Ok((shards, fingerprint))
}
