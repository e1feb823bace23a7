//! JSONL: one object a line.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::corpus::error::{DocumentError, Extent};

/// A longer line is taken for something else than JSONL.
const LONGEST_LINE: u64 = 1 << 30;

/// The texts of a file, line by line; blank lines are none.
pub struct Lines {
    path: String,
    field: String,
    reader: BufReader<File>,
    bytes: u64,
    read: u64,
    line: u64,
    ended: bool,
}

impl Lines {
    pub fn open(path: &str, field: &str) -> Result<Self, DocumentError> {
        let file = File::open(path).map_err(|error| DocumentError::of_file(path, error))?;
        let bytes = file.metadata().map_err(|error| DocumentError::of_file(path, error))?.len();
        if bytes == 0 {
            return Err(DocumentError::of_file(path, "the file is empty; expected an object on each line"));
        }
        let (path, field) = (path.to_string(), field.to_string());
        Ok(Self { path, field, reader: BufReader::new(file), bytes, read: 0, line: 0, ended: false })
    }

    pub fn fraction(&self) -> f64 {
        self.read as f64 / self.bytes as f64
    }

    /// The next line that is not blank.
    fn line(&mut self) -> Option<Result<Vec<u8>, DocumentError>> {
        let mut line = Vec::new();
        while !self.ended {
            line.clear();
            let read = (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut line);
            self.line += 1;
            match read {
                Ok(0) => self.ended = true,
                Ok(read) if read as u64 == LONGEST_LINE && line.last() != Some(&b'\n') => {
                    self.ended = true;
                    return Some(Err(DocumentError::of_file(
                        &self.path,
                        format!("line {} is longer than 1 GiB", self.line),
                    )));
                }
                Ok(read) => {
                    self.read += read as u64;
                    if !line.trim_ascii().is_empty() {
                        return Some(Ok(line));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(DocumentError::of_file(&self.path, error)));
                }
            }
        }
        None
    }

    fn text(&self, line: &[u8]) -> Result<String, String> {
        std::str::from_utf8(line).map_err(|error| format!("not UTF-8 at byte {} of the line", error.valid_up_to()))?;
        let mut json = serde_json::Deserializer::from_slice(line);
        let text = Field(&self.field).deserialize(&mut json).and_then(|text| json.end().map(|()| text));
        // The line is the file's, not that of what was parsed.
        let text = text.map_err(|error| format!("not JSON with a text, at column {}: {error}", error.column()))?;
        text.ok_or_else(|| format!("without the field {:?} (--text-column)", self.field))
    }
}

impl Iterator for Lines {
    type Item = Result<String, DocumentError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.line()? {
            Ok(line) => line,
            Err(error) => return Some(Err(error)),
        };
        Some(self.text(&line).map_err(|reason| {
            let place = format!("{}, line {}", self.path, self.line);
            DocumentError { extent: Extent::Document, place, reason }
        }))
    }
}

/// The text of one field of an object; of the others nothing is kept.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the text {:?}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut text = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                text = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(text)
    }
}
