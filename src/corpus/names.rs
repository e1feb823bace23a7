//! Tells a file's format from its name.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A column of texts; each row is a document.
    Parquet,
    /// One object per line, with a text field; each line is a document.
    Jsonl,
    /// One document.
    Text,
}

/// How a whole file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Whether it is not compressed.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The names of readable files, for messages.
pub const READ: &str = ".parquet, .jsonl or .txt, the last two also as .gz or .zst";

/// Suffixes that nobody uses for a text.
const NOT_READ: [&str; 26] = [
    "csv",
    "tsv",
    "arrow",
    "feather",
    "ipc",
    "avro",
    "orc",
    "npy",
    "npz",
    "bin",
    "ds",
    "pt",
    "safetensors",
    "pdf",
    "xz",
    "bz2",
    "lz4",
    "br",
    "lzma",
    "zip",
    "tar",
    "tgz",
    "7z",
    "rar",
    "warc",
    "xlsx",
];
/// Suffixes of compression, which follow one that tells the content.
const COMPRESSIONS: [&str; 9] = ["gz", "gzip", "zst", "zstd", "xz", "bz2", "lz4", "br", "zip"];

/// What a name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Documents.
    Known(Format, Compression),
    /// `.json`: read as lines of JSON if the user names the file. In a folder it is mostly some settings file.
    Json(Compression),
    /// A format that this program does not read.
    NotRead,
    /// The name tells nothing.
    Unknown(Compression),
}

impl Named {
    /// What the suffixes of a name tell.
    pub fn of(path: &Path) -> Self {
        let Some(last) = suffix(path) else { return Self::Unknown(Compression::None) };
        let compression = match last.as_str() {
            "gz" | "gzip" => Compression::Gzip,
            "zst" | "zstd" => Compression::Zstd,
            _ => Compression::None,
        };
        let inner = if compression == Compression::None {
            Some(last)
        } else {
            suffix(Path::new(path.file_stem().unwrap_or_default()))
        };
        match inner.as_deref() {
            Some("parquet") if compression == Compression::None => Self::Known(Format::Parquet, compression),
            Some("parquet") => Self::NotRead,
            Some("jsonl" | "ndjson" | "jl") => Self::Known(Format::Jsonl, compression),
            Some("txt" | "text" | "md") => Self::Known(Format::Text, compression),
            Some("json") => Self::Json(compression),
            Some(other) if NOT_READ.contains(&other) => Self::NotRead,
            _ => Self::Unknown(compression),
        }
    }

    /// How to read a file that the user named; `None` if it cannot be read.
    pub fn asked(self) -> Option<(Format, Compression)> {
        match self {
            Self::Known(format, compression) => Some((format, compression)),
            Self::Json(compression) => Some((Format::Jsonl, compression)),
            Self::Unknown(compression) => Some((Format::Text, compression)),
            Self::NotRead => None,
        }
    }
}

/// Whether a name says this format.
pub fn is_named(path: &Path, format: Format) -> bool {
    matches!(Named::of(path), Named::Known(found, _) if found == format)
}

/// The last suffix of a name, in lower case.
fn suffix(path: &Path) -> Option<String> {
    Some(path.extension()?.to_string_lossy().to_lowercase())
}

/// The ending of a name, for counting: `.csv`, `.jsonl.xz`, `no suffix`.
pub fn ending(path: &Path) -> String {
    let Some(last) = suffix(path) else { return "no suffix".into() };
    let inner = path.file_stem().and_then(|stem| suffix(Path::new(stem)));
    match inner {
        Some(inner) if COMPRESSIONS.contains(&last.as_str()) => format!(".{inner}.{last}"),
        _ => format!(".{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_format_and_compression() {
        for (name, expected) in [
            ("a.parquet", Named::Known(Format::Parquet, Compression::None)),
            ("a.b/x.JSONL.GZ", Named::Known(Format::Jsonl, Compression::Gzip)),
            ("x.txt.zst", Named::Known(Format::Text, Compression::Zstd)),
            ("c4.json.gz", Named::Json(Compression::Gzip)),
            ("x.parquet.gz", Named::NotRead),
            ("x.jsonl.xz", Named::NotRead),
            ("book.gz", Named::Unknown(Compression::Gzip)),
            ("book", Named::Unknown(Compression::None)),
            (".gz", Named::Unknown(Compression::None)),
        ] {
            assert_eq!(Named::of(Path::new(name)), expected, "{name}");
        }
        assert_eq!(
            ["a", "b.csv", "c.jsonl.xz", "d.x.csv"].map(|name| ending(Path::new(name))),
            ["no suffix", ".csv", ".jsonl.xz", ".csv"]
        );
    }
}
