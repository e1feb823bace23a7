//! Documents in files: rows of Parquet, lines of JSONL, whole text files.

mod content;
mod item;
mod jsonl;
mod parquet;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use tempfile::NamedTempFile;

use content::{Content, line_and_column};
pub use item::Item;

use super::error::{DocumentError, words};
use super::fetched::{Objects, bring_one, reason};
use super::inputs::{Compression, Format, Input, Search, names_nothing};
use super::left_out::{Nothing, PassedOver};
use super::names::{Named, READ, is_named};

/// The documents of one file, in order. An unreadable document is an item too, and the next item is the one after it,
/// so that a reader that counts items can find a place again.
///
/// Memory: one page of a Parquet column, one line of JSONL, or a whole text.
pub struct Documents {
    source: Source,
    /// What the file has before the documents.
    before: Option<Nothing>,
    /// An object of a bucket, for as long as it is read, and its URL.
    brought: Option<(NamedTempFile, String)>,
}

enum Source {
    Parquet(Box<parquet::Rows>),
    Jsonl(jsonl::Lines),
    Text(Option<(String, Content)>),
    Ended(Option<Item>),
}

impl Documents {
    /// The documents of a file. `column` names the column of Parquet or the field of JSONL.
    pub fn open(input: &Input, column: &str) -> Self {
        match bring_one(&input.path, input.bytes) {
            Ok(None) => Self::open_file(input, column),
            Ok(Some(file)) => {
                let local = Input { path: file.path().to_string_lossy().into(), ..input.clone() };
                Self { brought: Some((file, input.path.clone())), ..Self::open_file(&local, column) }
            }
            Err(reason) => {
                let failed = Item::Failed(DocumentError::of_file(&input.path, reason));
                Self { source: Source::Ended(Some(failed)), before: None, brought: None }
            }
        }
    }

    fn open_file(input: &Input, column: &str) -> Self {
        let opened = match input.format {
            Format::Parquet => {
                parquet::Rows::open(&input.path, column).map(|rows| rows.map(|rows| Source::Parquet(Box::new(rows))))
            }
            Format::Jsonl => jsonl::Lines::open(input, column).map(|lines| lines.map(Source::Jsonl)),
            Format::Text => {
                Content::open(input).map(|found| found.map(|found| Source::Text(Some((input.path.clone(), found)))))
            }
        };
        let source = match opened {
            Ok(Some(source)) => source,
            Ok(None) => Source::Ended(Some(Item::Nothing(Nothing::EmptyFile))),
            Err(error) => Source::Ended(Some(Item::Failed(error))),
        };
        let marked = match &source {
            Source::Jsonl(lines) => lines.is_marked(),
            Source::Text(Some((_, content))) => content.marked,
            _ => false,
        };
        Self { source, before: marked.then_some(Nothing::ByteOrderMark), brought: None }
    }

    /// The part of the file that has been read, 0 to 1.
    pub fn fraction(&self) -> f64 {
        match &self.source {
            Source::Parquet(rows) => rows.fraction(),
            Source::Jsonl(lines) => lines.fraction(),
            Source::Text(left) => f64::from(left.is_none()),
            Source::Ended(_) => 1.0,
        }
    }
}

impl Iterator for Documents {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if let Some(before) = self.before.take() {
            return Some(Item::Nothing(before));
        }
        let item = match &mut self.source {
            Source::Parquet(rows) => rows.next().map(|row| row.map_or_else(Item::Failed, Item::Text)),
            Source::Jsonl(lines) => lines.next(),
            Source::Text(left) => {
                left.take().map(|(path, content)| text(&path, content).map_or_else(Item::Failed, Item::Text))
            }
            Source::Ended(item) => item.take(),
        };
        match (item, &self.brought) {
            (Some(Item::Failed(mut error)), Some((file, url))) => {
                error.place = error.place.replace(&*file.path().to_string_lossy(), url);
                Some(Item::Failed(error))
            }
            (item, _) => item,
        }
    }
}

/// A text file: one document.
fn text(path: &str, mut content: Content) -> Result<String, DocumentError> {
    let mut bytes = Vec::new();
    if let Err(error) = content.reader.read_to_end(&mut bytes) {
        return Err(DocumentError::of_file(path, content.words(&error)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (line, column) = line_and_column(error.as_bytes(), error.utf8_error().valid_up_to());
        let place = format!("{path}, line {line}, column {column}");
        DocumentError::of_file(&place, "not UTF-8; expected a text")
    })
}

/// All bytes of a text file without its byte order mark, and whether it had one; `None` for an empty file.
///
/// # Errors
/// The file cannot be read, or is not what its name tells.
pub fn whole(input: &Input) -> Result<Option<(Vec<u8>, bool)>, DocumentError> {
    let Some(mut content) = Content::open(input)? else { return Ok(None) };
    let mut bytes = Vec::new();
    match content.reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(Some((bytes, content.marked))),
        Err(error) => Err(DocumentError::of_file(&input.path, content.words(&error))),
    }
}

/// Line and column of a byte, as editors count them.
pub fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    line_and_column(bytes, at)
}

/// The files of paths, folders and patterns, each in the format that its name tells, and what was passed over. Of a
/// folder, only files whose names tell a format are taken. A file that the user names and whose name tells nothing is a
/// text.
///
/// # Errors
/// A file cannot be read, a path names no file, or the format is not supported.
pub fn expand(paths: &[String]) -> io::Result<(Vec<Input>, PassedOver)> {
    let wanted = |path: &Path| matches!(Named::of(path), Named::Known(..));
    found(paths, &wanted, None, READ)
}

/// The files of one format that a path, a folder or a pattern names, and what was passed over.
///
/// # Errors
/// Like [`expand`].
pub fn of_format(path: &str, format: Format, ending: &str) -> io::Result<(Vec<Input>, PassedOver)> {
    let wanted = |path: &Path| is_named(path, format);
    found(&[path.to_string()], &wanted, Some(format), &format!("{ending} files"))
}

fn found(
    paths: &[String],
    wanted: &dyn Fn(&Path) -> bool,
    format: Option<Format>,
    expected: &str,
) -> io::Result<(Vec<Input>, PassedOver)> {
    let about = |path: &str, reason: String| io::Error::new(io::ErrorKind::InvalidInput, format!("{path}: {reason}"));
    let (mut search, mut inputs) = (Search::new(wanted), Vec::new());
    for path in paths {
        if path.contains("://") {
            objects(path, &mut search, &mut inputs).map_err(|reason| about(path, reason))?;
            continue;
        }
        let before = search.found.len();
        if !search.add(path).map_err(|error| about(path, words(&error)))? {
            return Err(about(path, names_nothing(path, expected)));
        }
        for (path, _) in &search.found[before..] {
            let named = Named::of(Path::new(path)).asked();
            let (named, compression) = match (named, format) {
                (Some(named), _) => named,
                (None, Some(format)) => (format, Compression::None),
                (None, None) => return Err(about(path, format!("this kind of file is not read; expected {READ}"))),
            };
            inputs.push(of_file(Path::new(path), format.unwrap_or(named), compression)?);
        }
    }
    Ok((inputs, search.passed))
}

/// Adds the objects that a URL names, each what its name says.
fn objects(url: &str, search: &mut Search, inputs: &mut Vec<Input>) -> Result<(), String> {
    let wanted = |name: &Path| matches!(Named::of(name), Named::Known(..));
    let expected = format!("objects ({READ})");
    let found = Objects::find_wanted(url, &wanted, &expected).map_err(reason)?;
    let found = found.ok_or("expected the URL of a bucket")?;
    for number in 0..found.count() {
        let url = found.url(number);
        let not_read = || format!("{url}: this kind of file is not read; expected {READ}");
        let (format, compression) = Named::of(Path::new(&url)).asked().ok_or_else(not_read)?;
        if inputs.iter().any(|input| input.path == url) {
            search.passed.files_twice += 1;
        } else {
            inputs.push(Input { path: url, bytes: found.size(number), format, compression });
        }
    }
    search.passed.add(found.passed());
    Ok(())
}

/// A file to read in this format.
///
/// # Errors
/// The file does not exist.
pub fn of_file(path: &Path, format: Format, compression: Compression) -> io::Result<Input> {
    let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {}", path.display(), words(&error)));
    let bytes = fs::metadata(path).map_err(about)?.len();
    Ok(Input { format, path: path.to_string_lossy().into(), bytes, compression })
}

/// The compression that a file's name tells.
pub fn compression(name: &str) -> Compression {
    Named::of(Path::new(name)).asked().map_or(Compression::None, |(_, compression)| compression)
}
