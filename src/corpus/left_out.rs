//! Counts what is left out of a corpus, and reports it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::encoder::Ids;

/// What a search for files has passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PassedOver {
    /// Files and folders whose names begin with a dot.
    pub hidden: u64,
    /// Files with suffixes that are not read, counted by suffix.
    pub suffixes: BTreeMap<String, u64>,
    /// Files that were found twice, by a link or by a second name or pattern.
    pub files_twice: u64,
    /// Folders that were found twice, such as by a circular link.
    pub folders_twice: u64,
    /// Folders that a pattern matches; what is in them is not looked at.
    pub folders_matched: u64,
    /// Pipes, sockets and devices.
    pub special: u64,
}

impl PassedOver {
    /// Counts what another search passed over too.
    pub fn add(&mut self, other: &Self) {
        self.hidden += other.hidden;
        self.files_twice += other.files_twice;
        self.folders_twice += other.folders_twice;
        self.folders_matched += other.folders_matched;
        self.special += other.special;
        for (suffix, count) in &other.suffixes {
            *self.suffixes.entry(suffix.clone()).or_default() += count;
        }
    }

    /// One sentence per kind, for people.
    pub fn said(&self) -> Vec<String> {
        let suffixes: u64 = self.suffixes.values().sum();
        let listed = self.suffixes.iter().map(|(suffix, count)| format!("{count} {suffix}")).collect::<Vec<_>>();
        let other = format!(" of a kind that is not read ({})", listed.join(", "));
        [
            said(self.hidden, "hidden file or folder", "hidden files or folders", ""),
            said(suffixes, "file", "files", &other),
            said(self.files_twice, "file", "files", " found a second time, by a link or by another name"),
            said(self.folders_twice, "folder", "folders", " found a second time, by a link or by another name"),
            said(
                self.folders_matched,
                "folder",
                "folders",
                " that the pattern matches (name a folder to read what is in it)",
            ),
            said(self.special, "pipe, socket or device", "pipes, sockets or devices", ""),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A part of a file that holds no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nothing {
    BlankLine,
    ByteOrderMark,
    EmptyFile,
}

/// Oddities met in reading and encoding that are no errors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Noticed {
    /// Files without any byte, line or row.
    pub empty_files: u64,
    pub blank_lines: u64,
    /// UTF-8 byte order marks at the start of files; they are not part of the text.
    pub byte_order_marks: u64,
    /// Documents whose text has no token. Only their end-of-document token is in the corpus.
    pub empty_documents: u64,
    /// Tokens that stand for text unknown to the tokenizer.
    pub unknown_tokens: u64,
    /// Unknown characters that the tokenizer drops.
    pub dropped_characters: u64,
}

impl Noticed {
    /// Counts it.
    pub fn add(&mut self, nothing: Nothing) {
        match nothing {
            Nothing::BlankLine => self.blank_lines += 1,
            Nothing::ByteOrderMark => self.byte_order_marks += 1,
            Nothing::EmptyFile => self.empty_files += 1,
        }
    }

    /// Counts what is missing from a document.
    pub fn add_document(&mut self, ids: &Ids) {
        self.empty_documents += u64::from(ids.ids.is_empty());
        self.unknown_tokens += ids.unknown;
        self.dropped_characters += ids.dropped;
    }

    /// One sentence per kind, for people.
    pub fn said(&self) -> Vec<String> {
        [
            said(self.empty_files, "empty file", "empty files", ""),
            said(self.blank_lines, "blank line", "blank lines", ""),
            said(self.byte_order_marks, "byte order mark", "byte order marks", ""),
            said(self.empty_documents, "document", "documents", " without text, kept as an end of document alone"),
            said(self.unknown_tokens, "token", "tokens", " for what the tokenizer does not know"),
            said(self.dropped_characters, "character", "characters", " that the tokenizer does not know and drops"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// A sentence for this count; `None` if it is 0.
fn said(count: u64, one: &str, many: &str, more: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {}{more}", if count == 1 { one } else { many }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_is_said_and_one_is_one() {
        assert!(PassedOver::default().said().is_empty() && Noticed::default().said().is_empty());
        let suffixes = BTreeMap::from([(".csv".to_string(), 1), (".jsonl.xz".to_string(), 2)]);
        let passed = PassedOver { hidden: 1, suffixes, folders_twice: 2, ..Default::default() };
        let expected = [
            "1 hidden file or folder",
            "3 files of a kind that is not read (1 .csv, 2 .jsonl.xz)",
            "2 folders found a second time, by a link or by another name",
        ];
        assert_eq!(passed.said(), expected);
        let mut noticed = Noticed::default();
        noticed.add(Nothing::EmptyFile);
        (0..2).for_each(|_| noticed.add(Nothing::BlankLine));
        assert_eq!(noticed.said(), ["1 empty file", "2 blank lines"]);
    }
}
