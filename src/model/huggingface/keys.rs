//! A JSON object of a folder, read key by key, so that an error names file, key, value and what was expected.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::HfError;
use crate::words::{not_json, unmarked};

/// The largest JSON file that is read.
const LARGEST_JSON: u64 = 1 << 24;

/// An object and the file that it comes from.
pub(super) struct Keys {
    path: PathBuf,
    /// What comes before a key in an error: the keys of the objects around this one, each with a dot.
    within: String,
    map: Map<String, Value>,
}

impl Keys {
    /// Reads a file that holds one object; `expected` says of what.
    pub(super) fn read(path: &Path, expected: &'static str) -> Result<Self, HfError> {
        match read_json(path, expected)? {
            Value::Object(map) => Ok(Self { path: path.into(), within: String::new(), map }),
            _ => Err(HfError::NoObject { path: path.into(), expected }),
        }
    }

    /// The value of a key; `null` counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Whether the key is there, be it with `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// An object inside of this one; empty where there is none.
    pub(super) fn object(&self, key: &str) -> Result<Self, HfError> {
        let within = format!("{}{key}.", self.within);
        let map = match self.get(key) {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(_) => return Err(self.wrong(key, "an object")),
        };
        Ok(Self { path: self.path.clone(), within, map })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The first key whose value is an object.
    pub(super) fn nested(&self) -> Option<&str> {
        self.map.iter().find(|(_, value)| value.is_object()).map(|(key, _)| key.as_str())
    }

    pub(super) fn whole(&self, key: &str) -> Result<Option<usize>, HfError> {
        let read = |value: &Value| value.as_u64().and_then(|whole| usize::try_from(whole).ok());
        self.typed(key, "a whole number, 0 or more", read)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, HfError> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, HfError> {
        self.typed(key, "true or false", Value::as_bool)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, HfError> {
        self.typed(key, "a text in quotes", |value| value.as_str().map(str::to_string))
    }

    /// One token or a list of them; old files say -1 for none.
    pub(super) fn tokens(&self, key: &str) -> Result<Option<Vec<u32>>, HfError> {
        let token = |value: &Value| value.as_i64().map(|token| u32::try_from(token).ok());
        let read = |value: &Value| {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            let tokens: Option<Vec<Option<u32>>> = values.iter().map(token).collect();
            tokens.map(|tokens| tokens.into_iter().flatten().collect())
        };
        self.typed(key, "the number of a token, or a list of such numbers", read)
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, HfError> {
        let value = self.get(key).map(|value| read(value).ok_or_else(|| self.wrong(key, expected)));
        value.transpose()
    }

    /// The error of a key that holds something else than what is supported.
    pub(super) fn wrong(&self, key: &str, expected: impl Into<String>) -> HfError {
        let found = match self.map.get(key) {
            None => "missing".into(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => shortened(value.to_string()),
        };
        HfError::Key { path: self.path.clone(), key: format!("{}{key}", self.within), found, expected: expected.into() }
    }
}

/// The beginning of a long value.
fn shortened(mut text: String) -> String {
    const MOST: usize = 120;
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text += "...";
    }
    text
}

/// Reads a JSON file of a folder, with or without a byte order mark; `expected` says what it should be.
fn read_json(path: &Path, expected: &'static str) -> Result<Value, HfError> {
    let file = File::open(path).map_err(HfError::io(path))?;
    let mut bytes = Vec::new();
    // The file may grow, or be a device without a size.
    file.take(LARGEST_JSON + 1).read_to_end(&mut bytes).map_err(HfError::io(path))?;
    if bytes.len() as u64 > LARGEST_JSON {
        return Err(HfError::Oversized { path: path.into(), size: LARGEST_JSON, expected: LARGEST_JSON });
    }
    serde_json::from_slice(unmarked(&bytes)).map_err(|error| HfError::Json {
        path: path.into(),
        expected,
        problem: not_json(&bytes, &error),
    })
}
