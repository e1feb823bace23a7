//! Which files are meant by a path, a folder or a pattern.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A column of texts, a row a document.
    Parquet,
    /// An object a line, with a field of text: a document.
    Jsonl,
    /// One document.
    Text,
}

/// A file with documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub path: String,
    pub bytes: u64,
    pub format: Format,
}

/// The files of a path, a folder (those that `wanted` takes by name, also in folders below) or a pattern, by name.
///
/// # Errors
/// A pattern or folder that cannot be read.
pub fn files(path: &str, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
    let there = Path::new(path);
    let mut found = Vec::new();
    if there.is_dir() {
        walk(there, &wanted, &mut found)?;
    } else if there.exists() {
        found.push(path.to_string());
    } else if path.contains(['*', '?', '[']) {
        let matches = glob::glob(path).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        for matched in matches {
            let matched = matched.map_err(io::Error::from)?;
            if matched.is_file() {
                found.push(name(&matched)?);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, wanted: &impl Fn(&str) -> bool, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(&path, wanted, found)?;
        } else {
            let name = name(&path)?;
            if wanted(&name) {
                found.push(name);
            }
        }
    }
    Ok(())
}

fn name(path: &Path) -> io::Result<String> {
    let named = path.to_str().map(str::to_string);
    named.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{path:?}: a name that is not UTF-8")))
}
