//! Turns texts into shards of tokens once, so that runs only read them.
//!
//! Each document becomes the tokenizer's ids for its whole text, and one more id that ends it. Documents go into shards
//! whole, in the order of the inputs; a shard ends with the document that fills it. The same call makes the same bytes
//! on any number of threads, and continues where it was after a stop or a kill.

#[cfg(test)]
mod odd_files;
mod output;
mod parallel;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering as Atomic};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::documents;
pub use super::error::DocumentError;
use super::error::{CorpusError, Extent};
pub use super::inputs::Input;
pub use super::left_out::{Noticed, PassedOver};
use super::tokens::{MANIFEST, SourceEntry};
pub use super::tokens::{ShardEntry, Skipped, TokenManifest};
use output::Output;
use parallel::{Encoded, Reading};

pub use super::encoder::Encoder;
pub(super) use parallel::Encoded as EncodedDocument;
pub(super) use parallel::Outcome;
pub(super) use parallel::Reading as DocumentReading;
pub(super) use parallel::encode as encode_documents;

/// A kill loses at most this much work.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// Number of reasons that the manifest keeps.
const MOST_REASONS: usize = 100;

/// The work to do.
pub struct Job {
    pub inputs: Vec<Input>,
    /// What the search for inputs passed over.
    pub passed_over: PassedOver,
    /// Column of Parquet files, or field of JSONL.
    pub text_column: String,
    /// Number of tokens at which a shard is full.
    pub shard_tokens: u64,
    /// Whether to leave out what cannot be read, instead of stopping at it.
    pub skip: bool,
    /// The id that ends a document.
    pub eos: u32,
    pub folder: PathBuf,
    pub threads: usize,
}

/// The progress.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Input bytes read.
    pub bytes: u64,
    pub documents: u64,
    pub tokens: u64,
}

/// How the work ended.
pub enum Ended {
    Finished(TokenManifest),
    /// It was stopped. Another call continues it.
    Stopped(TokenManifest),
}

/// Why shards cannot be made.
#[derive(Debug, Error)]
pub enum TokenizeError {
    #[error("{0}; --on-error skip leaves it out; the same command resumes from here")]
    Document(DocumentError),
    #[error("{folder}: it holds shards of {what}; give the same inputs and settings as then, or another --out")]
    OtherWork { folder: String, what: String },
    #[error(transparent)]
    Manifest(#[from] CorpusError),
    #[error("{folder}: {reason}")]
    Disk { folder: String, reason: io::Error },
}

/// The files that paths, folders and patterns name, each once, and what was passed over.
///
/// # Errors
/// A file cannot be read, or a path names no file.
pub fn inputs(paths: &[String]) -> io::Result<(Vec<Input>, PassedOver)> {
    documents::expand(paths)
}

/// Makes the shards, or the remaining ones, until all are done or `stop` is set.
///
/// # Errors
/// [`TokenizeError`]. What was made before stays.
pub fn tokenize(
    job: &Job,
    encoder: &Encoder,
    stop: &AtomicBool,
    progress: impl FnMut(Done),
) -> Result<Ended, TokenizeError> {
    let disk = |reason| TokenizeError::Disk { folder: job.folder.display().to_string(), reason };
    let mut manifest = begin(job, encoder)?;
    manifest.passed_over.clone_from(&job.passed_over);
    let Some(unfinished) = manifest.unfinished else { return Ok(Ended::Finished(manifest)) };
    let mut behind = (unfinished.input, unfinished.item);
    let mut output = Output::open(&job.folder, manifest).map_err(disk)?;
    let reading = Reading { inputs: &job.inputs, column: &job.text_column, from: behind };
    let mut saved = Instant::now();
    let all: u64 = job.inputs.iter().map(|input| input.bytes).sum();
    let progress = RefCell::new(progress);
    let TokenManifest { documents, tokens, .. } = output.manifest;
    let done = Cell::new(Done { bytes: 0, documents, tokens });
    let wait = |under_way: u64| {
        if stop.load(Atomic::Relaxed) {
            return ControlFlow::Break(None);
        }
        let before = done.get();
        progress.borrow_mut()(Done { bytes: (before.bytes + under_way).min(all), ..before });
        ControlFlow::Continue(())
    };
    let take = |encoded: Encoded| {
        if stop.load(Atomic::Relaxed) {
            return ControlFlow::Break(None);
        }
        let Encoded { outcome, behind: next, read_bytes } = encoded;
        let pushed = match outcome {
            Outcome::Ids(ids) => {
                output.manifest.noticed.add_document(&ids);
                output.push(&ids.ids, next).map_err(disk)
            }
            Outcome::Nothing(nothing) => {
                output.manifest.noticed.add(nothing);
                Ok(())
            }
            Outcome::Failed(error) if job.skip => {
                skip(&mut output.manifest.skipped, &error);
                Ok(())
            }
            Outcome::Failed(error) => Err(TokenizeError::Document(error)),
        };
        if let Err(error) = pushed {
            return ControlFlow::Break(Some(error));
        }
        behind = next;
        if saved.elapsed() >= SAVE_EVERY {
            saved = Instant::now();
            if let Err(reason) = output.save(behind) {
                return ControlFlow::Break(Some(disk(reason)));
            }
        }
        let TokenManifest { documents, tokens, .. } = output.manifest;
        done.set(Done { bytes: read_bytes, documents, tokens });
        progress.borrow_mut()(done.get());
        ControlFlow::Continue(())
    };
    let broken_off = parallel::encode(&reading, encoder, job.threads, take, wait);
    match broken_off {
        ControlFlow::Continue(()) => output.finish().map_err(disk)?,
        // After a disk error, the open shard may hold less than is counted.
        ControlFlow::Break(Some(error @ TokenizeError::Disk { .. })) => return Err(error),
        ControlFlow::Break(error) => {
            output.save(behind).map_err(disk)?;
            return error.map_or(Ok(Ended::Stopped(output.manifest)), Err);
        }
    }
    Ok(Ended::Finished(output.manifest))
}

/// The manifest to continue: the folder's, if it is of the same work, or a new one.
fn begin(job: &Job, encoder: &Encoder) -> Result<TokenManifest, TokenizeError> {
    let folder = job.folder.display().to_string();
    let disk = |reason| TokenizeError::Disk { folder: folder.clone(), reason };
    let source = SourceEntry {
        inputs: job.inputs.clone(),
        text_column: job.text_column.clone(),
        shard_tokens: job.shard_tokens,
        skips: job.skip,
    };
    let path = job.folder.join(MANIFEST);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(&job.folder).map_err(disk)?;
            // The tokenizer that turns the tokens back into text goes with them.
            fs::write(job.folder.join("tokenizer.json"), &encoder.definition).map_err(disk)?;
            return Ok(TokenManifest::new(encoder.vocab_size, job.eos, encoder.digest, source));
        }
        Err(error) => return Err(disk(error)),
    };
    let mut manifest = TokenManifest::parse(&path.display().to_string(), &bytes)?;
    let other = |what: &str| TokenizeError::OtherWork { folder: folder.clone(), what: what.into() };
    // A job that stopped at an error may continue with errors skipped.
    manifest.source.skips = job.skip;
    if manifest.tokenizer != encoder.digest || manifest.eos != job.eos {
        return Err(other("another tokenizer or another end of documents"));
    }
    if manifest.source != source {
        return Err(other("other inputs, or of another --shard-tokens or --text-column"));
    }
    whole(&job.folder, &manifest)?;
    Ok(manifest)
}

/// Checks that all shards of the manifest are there.
fn whole(folder: &Path, manifest: &TokenManifest) -> Result<(), TokenizeError> {
    for shard in &manifest.shards {
        let path = folder.join(&shard.file);
        let expected = shard.tokens * manifest.token_type.bytes();
        let found = fs::metadata(&path).map_or(0, |data| data.len());
        if found != expected {
            let what = format!("{expected}, as {MANIFEST} says; remove the folder to start again");
            let path = path.display().to_string();
            return Err(CorpusError::ShardLength { path, bytes: found, expected: what }.into());
        }
    }
    Ok(())
}

fn skip(skipped: &mut Skipped, error: &DocumentError) {
    match skipped.total().cmp(&(MOST_REASONS as u64)) {
        Ordering::Less => tracing::warn!("left out: {error}"),
        Ordering::Equal => tracing::warn!("more is left out; it is counted, but no longer named"),
        Ordering::Greater => {}
    }
    match error.extent {
        Extent::File => skipped.files += 1,
        Extent::RowGroup => skipped.row_groups += 1,
        Extent::Document => skipped.documents += 1,
    }
    if skipped.reasons.len() < MOST_REASONS {
        skipped.reasons.push(error.to_string());
    }
}
