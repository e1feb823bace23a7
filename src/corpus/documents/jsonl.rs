//! JSONL: one object a line.

use std::fmt;
use std::io::{BufRead, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::content::{Content, line_and_column};
use super::item::Item;
use crate::corpus::error::{DocumentError, Extent};
use crate::corpus::inputs::Input;
use crate::corpus::left_out::Nothing;
use crate::words::{json_reason, unmarked, without_nan};

/// A file with a longer line is not taken for JSONL.
const LONGEST_LINE: u64 = 1 << 30;

/// The texts of a file, line by line. Blank lines hold none.
pub struct Lines {
    path: String,
    field: String,
    content: Content,
    line: u64,
    ended: bool,
    /// The item that follows a byte order mark.
    held: Option<Item>,
}

impl Lines {
    /// Opens a file. `field` is a key, or keys of nested objects joined by dots.
    pub fn open(input: &Input, field: &str) -> Result<Option<Self>, DocumentError> {
        let content = Content::open(input)?;
        let (path, field) = (input.path.clone(), field.to_string());
        Ok(content.map(|content| Self { path, field, content, line: 0, ended: false, held: None }))
    }

    /// The part of the file that has been read, 0 to 1.
    pub fn fraction(&self) -> f64 {
        self.content.fraction()
    }

    /// Whether the file began with a byte order mark.
    pub fn is_marked(&self) -> bool {
        self.content.marked
    }

    fn item(&self, line: &[u8]) -> Item {
        if line.trim_ascii().is_empty() {
            return Item::Nothing(Nothing::BlankLine);
        }
        match self.text(line) {
            Ok(text) => Item::Text(text),
            Err((at, reason)) => {
                let column = at.map(|at| format!(", column {}", line_and_column(line, at).1));
                let place = format!("{}, line {}{}", self.path, self.line, column.unwrap_or_default());
                Item::Failed(DocumentError { extent: Extent::Document, place, reason })
            }
        }
    }

    fn text(&self, line: &[u8]) -> Result<String, (Option<usize>, String)> {
        std::str::from_utf8(line).map_err(|error| (Some(error.valid_up_to()), "not UTF-8".to_string()))?;
        let parse = |line: &[u8]| {
            let mut json = serde_json::Deserializer::from_slice(line);
            Field(&self.field).deserialize(&mut json).and_then(|found| json.end().map(|()| found))
        };
        // Python writes NaN and Infinity, which JSON lacks.
        let found = parse(line).or_else(|error| without_nan(line).map_or(Err(error), |line| parse(&line)));
        let found = found.map_err(|error| {
            let reason = match json_reason(line, &error).as_str() {
                _ if error.is_eof() => "the line ends within a JSON value; expected a whole object on each line".into(),
                "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
                    "half of a surrogate pair (\\ud800 to \\udfff) is no character".into()
                }
                said => format!("not JSON: {said}"),
            };
            (Some(error.column().saturating_sub(1)), reason)
        })?;
        let field = &self.field;
        match found {
            Found::Text(text) => Ok(text),
            Found::Other(what) => Err((None, format!("the field {field:?} is {what}; expected a text"))),
            Found::Twice => Err((None, format!("the field {field:?} is there twice"))),
            Found::NoObject(what) => Err((None, format!("{what}; expected an object on each line"))),
            Found::Nowhere(keys) if keys.is_empty() => {
                Err((None, format!("without the field {field:?} (--text-column)")))
            }
            Found::Nowhere(keys) => {
                Err((None, format!("without the field {field:?} (--text-column); its fields: {}", keys.join(", "))))
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.held.is_some() || self.ended {
            return self.held.take();
        }
        let mut line = Vec::new();
        let read = (&mut self.content.reader).take(LONGEST_LINE).read_until(b'\n', &mut line);
        self.line += 1;
        let broken = match read {
            Ok(0) => {
                self.ended = true;
                return None;
            }
            Ok(read) if read as u64 == LONGEST_LINE && line.last() != Some(&b'\n') => "it is longer than 1 GiB".into(),
            Ok(_) => {
                let item = self.item(unmarked(&line));
                // Where marked files were put together, each of them begins with its mark.
                if unmarked(&line).len() < line.len() {
                    self.held = Some(item);
                    return Some(Item::Nothing(Nothing::ByteOrderMark));
                }
                return Some(item);
            }
            Err(error) => self.content.words(&error),
        };
        self.ended = true;
        let place = format!("{}, line {}", self.path, self.line);
        Some(Item::Failed(DocumentError { extent: Extent::File, place, reason: broken }))
    }
}

/// The content of a line at the text's place.
enum Found {
    Text(String),
    /// Something else, described in words.
    Other(&'static str),
    Twice,
    /// The line is no object, but this.
    NoObject(&'static str),
    /// An object with these keys.
    Nowhere(Vec<String>),
}

/// Looks for a field of an object by its path. Of other fields it keeps only the names.
struct Field<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let (mut found, mut keys) = (None, Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            let below = self.0.strip_prefix(key.as_str()).and_then(|rest| rest.strip_prefix('.'));
            if key == self.0 || below.is_some() {
                let value = match below {
                    None => map.next_value_seed(Value)?,
                    Some(rest) => match map.next_value_seed(Field(rest))? {
                        Found::Nowhere(names) => {
                            keys.extend(names.into_iter().map(|name| format!("{key}.{name}")));
                            continue;
                        }
                        Found::NoObject(_) => {
                            keys.push(key);
                            continue;
                        }
                        found => found,
                    },
                };
                found = Some(if found.is_none() { value } else { Found::Twice });
            } else {
                map.next_value::<IgnoredAny>()?;
                keys.push(key);
            }
        }
        Ok(found.unwrap_or(Found::Nowhere(keys)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::NoObject("an array"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::NoObject("a text"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::NoObject("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::NoObject("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::NoObject("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::NoObject("a number"))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::NoObject("null"))
    }
}

/// The value of the field: a text, or a description of what else it is.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Found, E> {
        Ok(Found::Text(text.to_string()))
    }

    fn visit_string<E>(self, text: String) -> Result<Found, E> {
        Ok(Found::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an object"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found::Other("an array"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Other("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Other("null"))
    }
}
