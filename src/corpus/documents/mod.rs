//! Documents of files: rows of Parquet, lines of JSONL, whole text files.

mod jsonl;
mod parquet;

use std::fs;
use std::io;
use std::path::Path;

use super::error::DocumentError;
use super::inputs::{Format, Input, files};

/// The documents of one file, in its order. What cannot be read is an item too, and the next is what follows it, so
/// that whoever counts items can come back to a place.
///
/// Memory: a page of a Parquet column, a line of JSONL, all of a text.
pub struct Documents(Source);

enum Source {
    Parquet(Box<parquet::Rows>),
    Jsonl(jsonl::Lines),
    Text(Option<String>),
    Failed(Option<DocumentError>),
}

impl Documents {
    /// The documents of a file; `column` is what a column of Parquet or a field of JSONL is called.
    pub fn open(input: &Input, column: &str) -> Self {
        let opened = match input.format {
            Format::Parquet => parquet::Rows::open(&input.path, column).map(|rows| Source::Parquet(Box::new(rows))),
            Format::Jsonl => jsonl::Lines::open(&input.path, column).map(Source::Jsonl),
            Format::Text => Ok(Source::Text(Some(input.path.clone()))),
        };
        Self(opened.unwrap_or_else(|error| Source::Failed(Some(error))))
    }

    /// What part of the file has been read, 0 to 1.
    pub fn fraction(&self) -> f64 {
        match &self.0 {
            Source::Parquet(rows) => rows.fraction(),
            Source::Jsonl(lines) => lines.fraction(),
            Source::Text(left) => f64::from(left.is_none()),
            Source::Failed(_) => 1.0,
        }
    }
}

impl Iterator for Documents {
    type Item = Result<String, DocumentError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Source::Parquet(rows) => rows.next(),
            Source::Jsonl(lines) => lines.next(),
            Source::Text(path) => path.take().map(|path| text(&path)),
            Source::Failed(error) => error.take().map(Err),
        }
    }
}

/// A text file: one document.
fn text(path: &str) -> Result<String, DocumentError> {
    let bytes = fs::read(path).map_err(|error| DocumentError::of_file(path, error))?;
    if bytes.is_empty() {
        return Err(DocumentError::of_file(path, "the file is empty; expected a text"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        DocumentError::of_file(path, format!("not UTF-8 at byte {at}; expected a text"))
    })
}

impl Format {
    /// By the end of the file's name.
    fn of(path: &str) -> Option<Self> {
        let extension = Path::new(path).extension()?.to_str()?.to_lowercase();
        match extension.as_str() {
            "parquet" => Some(Self::Parquet),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "txt" | "text" | "md" => Some(Self::Text),
            _ => None,
        }
    }
}

/// The files of a path, a folder or a pattern, each what its name says; of a folder those alone whose names say
/// something, otherwise a name that says nothing is that of a text.
///
/// # Errors
/// What cannot be read, or names no file.
pub fn expand(path: &str) -> io::Result<Vec<Input>> {
    let found = files(path, |name| Format::of(name).is_some())?;
    inputs(path, found, |name| Format::of(name).unwrap_or(Format::Text), ".parquet, .jsonl or .txt")
}

/// The files of a path, a folder (those with this ending) or a pattern, all of this format.
///
/// # Errors
/// What cannot be read, or names no file.
pub fn of_format(path: &str, format: Format, ending: &str) -> io::Result<Vec<Input>> {
    inputs(path, files(path, |name| name.ends_with(ending))?, |_| format, ending)
}

fn inputs(path: &str, found: Vec<String>, format: impl Fn(&str) -> Format, endings: &str) -> io::Result<Vec<Input>> {
    if found.is_empty() {
        let in_folder = Path::new(path).is_dir();
        let what = if in_folder { format!("no {endings} file in it") } else { "no such file".to_string() };
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    found.into_iter().map(|path| of_file(Path::new(&path), format(&path))).collect()
}

/// A file of this format.
///
/// # Errors
/// There is none.
pub fn of_file(path: &Path, format: Format) -> io::Result<Input> {
    let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let bytes = fs::metadata(path).map_err(about)?.len();
    Ok(Input { format, path: path.to_string_lossy().into(), bytes })
}
