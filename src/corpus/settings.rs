//! What a scenario's `[corpus]` says.

use serde::{Deserialize, Serialize};

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusSettings {
    pub kind: CorpusKind,
    /// Files, by a path, a folder or a pattern, or the URL of any of these in a bucket (`tokens`: of a folder of shards);
    /// a text file or its URL (`text`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Hugging Face `tokenizer.json` (`text`, `parquet`, `jsonl`); without it a text is read as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Bytes of a token in files without a manifest, 2 or 4 (`kind = "tokens"`); default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_bytes: Option<usize>,
    /// Pages kept away from training, on which the loss of the plots is measured.
    pub held_out_pages: usize,
}

/// Kinds of corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorpusKind {
    /// Made from the seed, with a known entropy.
    #[default]
    Synthetic,
    /// A text file, as bytes or through a tokenizer.
    Text,
    /// Shards of token ids, made by `sim tokenize` or by datatrove.
    Tokens,
    /// Texts of the column `text` of Parquet files, tokenised into memory when a run starts.
    Parquet,
    /// Texts of the field `text` of JSONL files, likewise.
    Jsonl,
}

impl Default for CorpusSettings {
    fn default() -> Self {
        Self { kind: CorpusKind::Synthetic, path: None, tokenizer: None, token_bytes: None, held_out_pages: 64 }
    }
}
