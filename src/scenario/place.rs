//! Finds the place of each key in a scenario file.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Place;

/// A file's text and the places of its keys.
pub struct Source<'a> {
    file: &'a str,
    text: &'a str,
    entries: Vec<Entry>,
}

/// A key, or an item of an array.
struct Entry {
    /// `training.lr`, `peers.0.count`.
    path: String,
    /// Place of the key, or of the item of an array.
    key: Range<usize>,
    value: Range<usize>,
}

impl<'a> Source<'a> {
    /// Finds the keys of a text. The error is the TOML parser's.
    pub fn parse(file: &'a str, text: &'a str) -> Result<Self, toml::de::Error> {
        let mut entries = Vec::new();
        walk_table("", DeTable::parse(text)?.get_ref(), &mut entries);
        Ok(Self { file, text, entries })
    }

    /// Path of the key or value at exactly this part of the text; `None` for the whole file.
    pub fn path_at(&self, span: &Range<usize>) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.key == *span || entry.value == *span);
        entry.map(|entry| entry.path.as_str())
    }

    /// Place of a key, if the file has it.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let entry = self.entries.iter().find(|entry| entry.path == path);
        entry.map(|entry| place(self.file, self.text, entry.key.start))
    }

    /// Place of the value of a key, if the file has it.
    pub fn place_of_value(&self, path: &str) -> Option<Place> {
        let entry = self.entries.iter().find(|entry| entry.path == path);
        entry.map(|entry| place(self.file, self.text, entry.value.start))
    }

    /// Paths of all keys, in the order of their ends.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.path.as_str())
    }

    /// The file, without a line.
    pub fn file(&self) -> Place {
        Place::File(self.file.to_string())
    }
}

/// Line and column of a byte in a text.
pub fn place(file: &str, text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place::Line {
        file: file.to_string(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

fn walk_table(parent: &str, table: &DeTable, entries: &mut Vec<Entry>) {
    for (key, value) in table {
        walk(join(parent, key.get_ref()), key.span(), value, entries);
    }
}

fn walk(path: String, key: Range<usize>, value: &Spanned<DeValue>, entries: &mut Vec<Entry>) {
    match value.get_ref() {
        DeValue::Table(table) => walk_table(&path, table, entries),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(join(&path, &index.to_string()), item.span(), item, entries);
            }
        }
        _ => {}
    }
    entries.push(Entry { path, key, value: value.span() });
}

fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_string() } else { format!("{parent}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_tables_inline_tables_and_arrays_have_their_places() {
        let text = "seed = 1\n[training]\n  lr = 2\n[[peers]]\ncount = 1\n[[peers]]\nbehaviour = { kind = \"lazy\" }\n";
        let source = Source::parse("a.toml", text).unwrap();
        for (path, expected) in [
            ("seed", "a.toml:1:1"),
            ("training.lr", "a.toml:3:3"),
            ("peers.0.count", "a.toml:5:1"),
            ("peers.1.behaviour", "a.toml:7:1"),
            ("peers.1.behaviour.kind", "a.toml:7:15"),
        ] {
            assert_eq!(source.place_of(path).unwrap().to_string(), expected);
        }
        assert_eq!(source.place_of("rounds"), None);
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(place("ä.toml", "ä = 1 # ü\nöö = 2", 16).to_string(), "ä.toml:2:3");
    }
}
