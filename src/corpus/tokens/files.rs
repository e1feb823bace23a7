//! Shards in local files. Pages are read from the files, so memory does not grow with them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::beside;
use super::manifest::{MANIFEST, TokenManifest, TokenType};
use crate::corpus::error::CorpusError;
use crate::corpus::inputs::Search;
use crate::digest::Digest;

/// Maximum number of files to keep open. Others are opened for each read.
const KEPT_OPEN: usize = 256;

/// [`KEPT_OPEN`], or a quarter of the system's limit for this process.
fn kept_open() -> usize {
    #[cfg(unix)]
    {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call fills in the structure that it is given, or fails.
        if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
            return usize::try_from(limit.rlim_cur / 4).map_or(KEPT_OPEN, |quarter| quarter.min(KEPT_OPEN));
        }
    }
    KEPT_OPEN
}

/// The files of a corpus.
pub struct Files {
    paths: Vec<PathBuf>,
    /// The first [`KEPT_OPEN`] files, once they have been read.
    open: Vec<OnceLock<File>>,
    token_type: TokenType,
}

/// The shards found, after checks of their files.
pub struct Opened {
    pub files: Files,
    /// Name and number of tokens of each shard.
    pub shards: Vec<(String, u64)>,
    pub manifest: Option<TokenManifest>,
    pub fingerprint: Digest,
}

/// Opens a folder with a manifest, or `.ds` files: those of a folder or a pattern, or a single one. Tokens of `.ds`
/// files have `token_bytes` bytes, by default 2.
///
/// # Errors
/// A file does not exist, or its length differs from the manifest or is no multiple of a token.
pub fn open(path: &str, token_bytes: Option<usize>) -> Result<Opened, CorpusError> {
    let there = Path::new(path);
    let named = there.file_name().is_some_and(|name| name == MANIFEST).then_some(there);
    let folder = if let Some(manifest) = named { manifest.parent().unwrap_or(Path::new(".")) } else { there };
    let manifest = folder.join(MANIFEST);
    if named.is_some() || manifest.is_file() {
        let bytes = fs::read(&manifest).map_err(|reason| unreadable(&manifest, reason))?;
        let name = manifest.display().to_string();
        let parsed = TokenManifest::parse(&name, &bytes)?.finished(&name)?;
        let width = parsed.token_type.bytes();
        if let Some(asked) = token_bytes.filter(|asked| *asked as u64 != width) {
            let reason = format!("tokens of {width} bytes, but corpus.token_bytes = {asked}; leave that out");
            return Err(CorpusError::Manifest { path: name, reason });
        }
        return with_manifest(folder, parsed);
    }
    let wanted = |path: &Path| path.extension().is_some_and(|end| end == "ds");
    let mut search = Search::new(&wanted);
    search.add(path).map_err(|reason| unreadable(there, reason))?;
    let found: Vec<String> = search.found.into_iter().map(|(path, _)| path).collect();
    // Descriptions of shards are read below.
    search.passed.suffixes.retain(|suffix, _| ![".metadata", ".index"].contains(&suffix.as_str()));
    if !search.passed.said().is_empty() {
        tracing::warn!("corpus.path = {path:?}: passed over {}", search.passed.said().join("; "));
    }
    if found.is_empty() {
        let expected = format!("a folder with {MANIFEST}, or .ds files: a folder of them, a pattern or one");
        return Err(CorpusError::NoFiles { path: path.to_string(), expected });
    }
    without_manifest(found, token_bytes)
}

fn with_manifest(folder: &Path, manifest: TokenManifest) -> Result<Opened, CorpusError> {
    let mut paths = Vec::new();
    let mut shards = Vec::new();
    for shard in &manifest.shards {
        let path = folder.join(&shard.file);
        let (name, expected) = (path.display().to_string(), shard.tokens * manifest.token_type.bytes());
        let bytes = length(&path)?;
        if bytes != expected {
            let expected = format!("{expected}, as {MANIFEST} says: it was cut off or changed");
            return Err(CorpusError::ShardLength { path: name, bytes, expected });
        }
        paths.push(path);
        shards.push((name, shard.tokens));
    }
    let fingerprint = manifest.fingerprint();
    Ok(Opened { files: Files::new(paths, manifest.token_type), shards, manifest: Some(manifest), fingerprint })
}

/// Without a manifest only the files themselves tell their content, so all of them are read once.
fn without_manifest(found: Vec<String>, token_bytes: Option<usize>) -> Result<Opened, CorpusError> {
    let mut described = None;
    for path in &found {
        let Some((said, width)) = beside::width(path)? else { continue };
        let agreed = described.get_or_insert((said.clone(), width)).clone();
        if agreed.1 != width {
            let reason =
                format!("tokens of {width} bytes, but {} says {}; expected shards of one kind", agreed.0, agreed.1);
            return Err(CorpusError::Manifest { path: said, reason });
        }
    }
    let width = match (described, token_bytes) {
        (Some((path, width)), Some(asked)) if width != asked as u64 => {
            let reason = format!("tokens of {width} bytes, but corpus.token_bytes = {asked}; leave that out");
            return Err(CorpusError::Manifest { path, reason });
        }
        (Some((_, width)), _) => width,
        (None, asked) => asked.unwrap_or(2) as u64,
    };
    let token_type = if width == 4 { TokenType::U32 } else { TokenType::U16 };
    let width = token_type.bytes();
    let (mut shards, mut digests) = (Vec::new(), Vec::new());
    for path in &found {
        let bytes = length(Path::new(path))?;
        if bytes == 0 || !bytes.is_multiple_of(width) {
            let expected = format!("tokens of {width} bytes each (corpus.token_bytes), one at least");
            return Err(CorpusError::ShardLength { path: path.clone(), bytes, expected });
        }
        beside::agrees(path, bytes / width)?;
        shards.push((path.clone(), bytes / width));
        let mut hasher = blake3::Hasher::new();
        let hashed = File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
        hashed.map_err(|reason| unreadable(Path::new(path), reason))?;
        digests.push(Digest(*hasher.finalize().as_bytes()));
    }
    let fingerprint = super::manifest::fingerprint(token_type, &digests);
    let paths = found.into_iter().map(PathBuf::from).collect();
    Ok(Opened { files: Files::new(paths, token_type), shards, manifest: None, fingerprint })
}

fn length(path: &Path) -> Result<u64, CorpusError> {
    Ok(fs::metadata(path).map_err(|reason| unreadable(path, reason))?.len())
}

fn unreadable(path: &Path, reason: io::Error) -> CorpusError {
    CorpusError::Unreadable { key: "corpus.path", path: path.display().to_string(), reason }
}

impl Files {
    fn new(paths: Vec<PathBuf>, token_type: TokenType) -> Self {
        let open = paths.iter().take(kept_open()).map(|_| OnceLock::new()).collect();
        Self { paths, open, token_type }
    }

    /// Reads this many tokens of a shard, from a position on.
    ///
    /// # Errors
    /// The disk fails, or the file has become shorter.
    pub fn read(&self, shard: usize, at: u64, count: usize) -> io::Result<Vec<u32>> {
        let width = self.token_type.bytes();
        let mut bytes = vec![0; count * width as usize];
        self.with_file(shard, |file| read_at(file, &mut bytes, at * width))?;
        Ok(self.token_type.decode(&bytes))
    }

    /// Asks the system to read these tokens ahead, and does not wait for them.
    pub fn fetch_ahead(&self, shard: usize, at: u64, count: usize) {
        let width = self.token_type.bytes();
        // The result does not matter: without read-ahead the read takes longer, and an error shows in the read.
        let _ = self.with_file(shard, |file| will_need(file, at * width, count as u64 * width));
    }

    fn with_file(&self, shard: usize, work: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let Some(kept) = self.open.get(shard) else { return work(&File::open(&self.paths[shard])?) };
        if kept.get().is_none() {
            // If two threads open it at once, one of the two opens is wasted.
            let _ = kept.set(File::open(&self.paths[shard])?);
        }
        work(kept.get().expect("set above"))
    }
}

#[cfg(target_os = "linux")]
fn will_need(file: &File, at: u64, length: u64) -> io::Result<()> {
    rustix::fs::fadvise(file, at, std::num::NonZeroU64::new(length), rustix::fs::Advice::WillNeed)?;
    Ok(())
}

/// Other systems use their own read-ahead.
#[cfg(not(target_os = "linux"))]
fn will_need(_: &File, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, bytes, at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        at += read as u64;
    }
    Ok(())
}
