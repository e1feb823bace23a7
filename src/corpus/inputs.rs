//! Finds the files that paths, folders and patterns name, and counts what it passes over.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::left_out::PassedOver;
use super::names;
pub use super::names::{Compression, Format};

/// A file with documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub path: String,
    pub bytes: u64,
    pub format: Format,
    #[serde(default, skip_serializing_if = "Compression::is_none")]
    pub compression: Compression,
}

/// A search for files, path by path.
pub struct Search<'a> {
    /// Whether a file of a folder is wanted, by its name.
    wanted: &'a dyn Fn(&Path) -> bool,
    /// The files found, in the order of the paths and by name within each, and whether the user named the file itself.
    pub found: Vec<(String, bool)>,
    pub passed: PassedOver,
    /// Canonical paths of the files found.
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl<'a> Search<'a> {
    /// A search that has found nothing yet.
    pub fn new(wanted: &'a dyn Fn(&Path) -> bool) -> Self {
        let (found, passed) = (Vec::new(), PassedOver::default());
        Self { wanted, found, passed, files: BTreeSet::new(), folders: BTreeSet::new() }
    }

    /// Adds the files of a path, a folder (wanted ones, subfolders included) or a pattern. Returns whether there are
    /// any.
    ///
    /// # Errors
    /// A file or folder cannot be read, or its name is not UTF-8.
    pub fn add(&mut self, path: &str) -> io::Result<bool> {
        let there = Path::new(path);
        let (mut found, mut by_name) = (Vec::new(), false);
        if there.is_dir() {
            self.walk(there, &mut found)?;
        } else if let Ok(data) = fs::metadata(there) {
            if !data.is_file() {
                return Err(invalid("a pipe or device; expected a file"));
            }
            by_name = true;
            found.push(there.to_path_buf());
        } else if path.contains(['*', '?', '[']) {
            // A pattern that ends in a plain suffix asks for files with that suffix.
            by_name = there.extension().is_some_and(|end| !end.to_string_lossy().contains(['*', '?', '[', ']']));
            self.matching(path, by_name, &mut found)?;
        }
        let any = !found.is_empty();
        // A file is kept rather than a link to it.
        found.sort_by_cached_key(|path| (path.is_symlink(), path.clone()));
        let mut names = Vec::new();
        for path in found {
            if self.files.insert(fs::canonicalize(&path).map_err(|error| about(&path, &error))?) {
                names.push(name(&path)?);
            } else {
                self.passed.files_twice += 1;
            }
        }
        names.sort();
        self.found.extend(names.into_iter().map(|name| (name, by_name)));
        Ok(any)
    }

    fn walk(&mut self, folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
        let failed = |error: io::Error| about(folder, &error);
        if !self.folders.insert(fs::canonicalize(folder).map_err(failed)?) {
            self.passed.folders_twice += 1;
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()));
        let mut entries = entries.collect::<io::Result<Vec<PathBuf>>>().map_err(failed)?;
        // Folders come before links to them.
        entries.sort_by_cached_key(|path| (path.is_symlink(), path.clone()));
        for path in entries {
            if is_hidden(&path) {
                self.passed.hidden += 1;
            } else if path.is_dir() {
                self.walk(&path, found)?;
            } else {
                self.take(path, false, found)?;
            }
        }
        Ok(())
    }

    fn matching(&mut self, pattern: &str, by_name: bool, found: &mut Vec<PathBuf>) -> io::Result<()> {
        let matches = glob::glob(pattern).map_err(|error| invalid(&format!("not a pattern: {error}")))?;
        let wild = |part: &&Path| part.to_string_lossy().contains(['*', '?', '[']);
        let literal = normal(Path::new(pattern)).take_while(|part| !wild(part)).count();
        let dotted = normal(Path::new(pattern)).skip(literal).any(is_hidden);
        for path in matches {
            let path = path.map_err(io::Error::from)?;
            // As in a shell, only a pattern with a leading dot matches names with a leading dot.
            let hidden = !dotted && normal(&path).skip(literal).any(is_hidden);
            if hidden {
                self.passed.hidden += 1;
            } else if path.is_dir() {
                self.passed.folders_matched += 1;
            } else {
                self.take(path, by_name, found)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, path: PathBuf, by_name: bool, found: &mut Vec<PathBuf>) -> io::Result<()> {
        if !by_name && !(self.wanted)(&path) {
            *self.passed.suffixes.entry(names::ending(&path)).or_default() += 1;
            return Ok(());
        }
        match fs::metadata(&path) {
            Ok(data) if data.is_file() => found.push(path),
            Ok(_) => self.passed.special += 1,
            Err(error) if path.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
                return Err(invalid(&format!(
                    "{}: a link to a file that is not there; remove it, or what it names must be",
                    path.display()
                )));
            }
            Err(error) => return Err(about(&path, &error)),
        }
        Ok(())
    }
}

/// Tells the user what to do about a path that names nothing.
pub fn names_nothing(path: &str, expected: &str) -> String {
    let there = Path::new(path);
    if there.is_dir() {
        return format!("the folder has no file that is read; expected {expected}");
    }
    if path.contains('[') {
        let escaped = path.replace('[', "[[]");
        return format!("no file matches; brackets are part of a pattern: write {escaped:?} for a name that has some");
    }
    if path.contains(['*', '?']) { "no file matches the pattern".into() } else { "no such file".into() }
}

/// The components of a path.
fn normal(path: &Path) -> impl Iterator<Item = &Path> {
    path.components().filter(|part| matches!(part, Component::Normal(_))).map(|part| Path::new(part.as_os_str()))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn name(path: &Path) -> io::Result<String> {
    let named = path.to_str().map(str::to_string);
    named.ok_or_else(|| invalid(&format!("{path:?}: a name that is not UTF-8; rename the file")))
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {}", path.display(), super::error::words(error)))
}
