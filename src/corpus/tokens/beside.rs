//! Files beside a shard that describe it: this program's manifest, and datatrove's `.metadata` and `.index`. Where
//! nothing else tells, they are believed. A contradiction is always an error.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST, TokenManifest};
use crate::corpus::error::{CorpusError, words};

/// The file that tells this shard's bytes per token, and the number; `None` if no file does.
///
/// # Errors
/// A description cannot be read.
pub fn width(shard: &str) -> Result<Option<(String, u64)>, CorpusError> {
    if let Some((path, _, width)) = metadata(shard)? {
        return Ok(Some((path, width)));
    }
    let path = Path::new(shard).with_file_name(MANIFEST);
    let Some(bytes) = read(&path)? else { return Ok(None) };
    let name = path.display().to_string();
    Ok(Some((name.clone(), TokenManifest::parse(&name, &bytes)?.token_type.bytes())))
}

/// Checks that the descriptions of a shard give it this many tokens.
///
/// # Errors
/// They do not, or cannot be read.
pub fn agrees(shard: &str, tokens: u64) -> Result<(), CorpusError> {
    let differs = |path: String, said: u64| {
        let reason = format!("{said} tokens, but {shard} has {tokens}: one of them was cut off or changed");
        Err(CorpusError::Manifest { path, reason })
    };
    if let Some((path, said, _)) = metadata(shard)?
        && said != tokens
    {
        return differs(path, said);
    }
    let index = with_suffix(shard, "index");
    if let Some(bytes) = read(&index)? {
        let (ends, rest) = bytes.as_chunks::<8>();
        let ends: Vec<u64> = ends.iter().map(|end| u64::from_le_bytes(*end)).collect();
        let path = index.display().to_string();
        if !rest.is_empty() || !ends.is_sorted() {
            let reason = "not the ends of documents, as datatrove writes them".to_string();
            return Err(CorpusError::Manifest { path, reason });
        }
        if let Some(last) = ends.last()
            && *last != tokens
        {
            return differs(path, *last);
        }
    }
    Ok(())
}

/// datatrove's `.metadata`: its name, the number of tokens, and the bytes per token.
fn metadata(shard: &str) -> Result<Option<(String, u64, u64)>, CorpusError> {
    let path = with_suffix(shard, "metadata");
    let Some(bytes) = read(&path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let width = lines.next().and_then(|line| line.rsplit('|').next()?.trim().parse().ok());
    let tokens = lines.next().and_then(|line| line.trim().parse().ok());
    match (tokens, width) {
        (Some(tokens), Some(width)) if [2, 4].contains(&width) => Ok(Some((path.display().to_string(), tokens, width))),
        _ => {
            let reason =
                "expected datatrove's lines, tokenizer|2 or 4 and the number of tokens; remove it if it is not".into();
            Err(CorpusError::Manifest { path: path.display().to_string(), reason })
        }
    }
}

fn with_suffix(shard: &str, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{shard}.{suffix}"))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CorpusError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CorpusError::Manifest { path: path.display().to_string(), reason: words(&error) }),
    }
}
