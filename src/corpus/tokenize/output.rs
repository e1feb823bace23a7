//! The output folder of shards. A later call can always continue it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::corpus::tokens::{MANIFEST, ShardEntry, TokenManifest, Unfinished};
use crate::digest::Digest;

/// Shards that are being made.
///
/// A shard grows as `NAME.part` and is renamed when it is full. The manifest is written after that, and whenever the
/// work stops. Anything in the folder beyond what the manifest counts is made again.
pub struct Output {
    folder: PathBuf,
    pub manifest: TokenManifest,
    open: Option<Open>,
    bytes: Vec<u8>,
}

/// The shard that is not full yet.
struct Open {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    tokens: u64,
    documents: u64,
}

impl Output {
    /// Begins, or continues where `manifest` stopped.
    ///
    /// # Errors
    /// The disk fails.
    pub fn open(folder: &Path, manifest: TokenManifest) -> io::Result<Self> {
        let mut output = Self { folder: folder.to_path_buf(), manifest, open: None, bytes: Vec::new() };
        let Unfinished { open_tokens, open_documents, .. } = output.manifest.unfinished.unwrap_or_default();
        if open_tokens > 0 {
            output.open = Some(output.reopen(open_tokens, open_documents)?);
        }
        Ok(output)
    }

    /// Reopens the shard that was not full, with the tokens that the manifest counts.
    fn reopen(&self, tokens: u64, documents: u64) -> io::Result<Open> {
        let (part, full) = (self.part(), self.folder.join(self.name()));
        // The shard may have become full just before the end.
        if !part.exists() && full.exists() {
            fs::rename(&full, &part)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&part).map_err(|error| about(&part, &error))?;
        let bytes = tokens * self.manifest.token_type.bytes();
        if file.metadata()?.len() < bytes {
            let reason =
                format!("shorter than the {bytes} bytes that {MANIFEST} counts; remove the folder to start again");
            return Err(about(&part, &io::Error::new(io::ErrorKind::UnexpectedEof, reason)));
        }
        file.set_len(bytes)?;
        let mut hasher = blake3::Hasher::new();
        // Reading to the end leaves the file's position where writing continues.
        hasher.update_reader(&file)?;
        Ok(Open { file: BufWriter::new(file), hasher, tokens, documents })
    }

    /// Adds a document. `behind` is the position in the inputs after it.
    ///
    /// # Errors
    /// The disk fails.
    pub fn push(&mut self, ids: &[u32], behind: (usize, u64)) -> io::Result<()> {
        self.bytes.clear();
        self.manifest.token_type.encode(ids, &mut self.bytes);
        self.manifest.token_type.encode(&[self.manifest.eos], &mut self.bytes);
        if self.open.is_none() {
            let file = File::create(self.part())?;
            self.open =
                Some(Open { file: BufWriter::new(file), hasher: blake3::Hasher::new(), tokens: 0, documents: 0 });
        }
        let open = self.open.as_mut().expect("opened above");
        open.file.write_all(&self.bytes)?;
        open.hasher.update(&self.bytes);
        open.tokens += ids.len() as u64 + 1;
        open.documents += 1;
        self.manifest.documents += 1;
        self.manifest.tokens += ids.len() as u64 + 1;
        if open.tokens >= self.manifest.source.shard_tokens {
            self.finish_shard()?;
            self.save(behind)?;
        }
        Ok(())
    }

    /// Saves everything, so that a later call can continue from `behind`.
    ///
    /// # Errors
    /// The disk fails.
    pub fn save(&mut self, behind: (usize, u64)) -> io::Result<()> {
        let mut unfinished = Unfinished { input: behind.0, item: behind.1, ..Unfinished::default() };
        if let Some(open) = &mut self.open {
            open.file.flush()?;
            open.file.get_ref().sync_all()?;
            (unfinished.open_tokens, unfinished.open_documents) = (open.tokens, open.documents);
        }
        self.manifest.unfinished = Some(unfinished);
        self.manifest.write(&self.folder)
    }

    /// Finishes the last shard, and marks the manifest as finished.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(&mut self) -> io::Result<()> {
        self.finish_shard()?;
        self.manifest.unfinished = None;
        self.manifest.write(&self.folder)
    }

    fn finish_shard(&mut self) -> io::Result<()> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        open.file.flush()?;
        open.file.get_ref().sync_all()?;
        let file = self.name();
        fs::rename(self.part(), self.folder.join(&file))?;
        let digest = Digest(*open.hasher.finalize().as_bytes());
        self.manifest.shards.push(ShardEntry { file, tokens: open.tokens, documents: open.documents, digest });
        Ok(())
    }

    fn name(&self) -> String {
        format!("{:05}.ds", self.manifest.shards.len())
    }

    fn part(&self) -> PathBuf {
        self.folder.join(format!("{}.part", self.name()))
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
