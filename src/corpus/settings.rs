//! The settings of a scenario's `[corpus]`.

use serde::{Deserialize, Serialize};

use crate::settings::Findings;

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusSettings {
    pub kind: CorpusKind,
    /// A path, a folder or a pattern of files, or the URL of any of these in a bucket (for `tokens`, of a folder of
    /// shards). For `text`, one file or its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Hugging Face `tokenizer.json` (`text`, `parquet`, `jsonl`). Without it a text is read as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Bytes of a token in files without a manifest, 2 or 4 (`kind = "tokens"`); default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_bytes: Option<usize>,
    /// Pages kept out of training, for the loss in the plots.
    pub held_out_pages: usize,
}

/// Kinds of corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorpusKind {
    /// Made from the seed, with a known entropy.
    #[default]
    Synthetic,
    /// Words with a grammar, made from the seed, with a known entropy: most are rare, so that there is more to learn.
    Words,
    /// A text file, as bytes or through a tokenizer.
    Text,
    /// Shards of token ids, made by `sim tokenize` or by datatrove.
    Tokens,
    /// Texts of the column `text` of Parquet files, tokenised into memory when a run starts.
    Parquet,
    /// Texts of the field `text` of JSONL files, tokenised the same way.
    Jsonl,
}

impl Default for CorpusSettings {
    fn default() -> Self {
        Self { kind: CorpusKind::Synthetic, path: None, tokenizer: None, token_bytes: None, held_out_pages: 64 }
    }
}

/// Why a corpus of another kind does not take this setting.
const SYNTHETIC: &str = "corpus.kind is \"synthetic\"; or set corpus.kind to \"text\"";
const WORDS: &str = "corpus.kind is \"words\"; or set corpus.kind to \"text\"";
const TOKENS: &str = "corpus.kind is \"tokens\": the tokenizer has done its work";

impl CorpusSettings {
    /// Checks what the types cannot.
    pub fn check(&self, found: &mut Findings) {
        found.at_least_one("held_out_pages", self.held_out_pages as u64);
        let kind = self.kind;
        let files = !matches!(kind, CorpusKind::Synthetic | CorpusKind::Words);
        let made = if kind == CorpusKind::Words { WORDS } else { SYNTHETIC };
        set_if(found, "path", &self.path, files, files, "a path, a folder, a pattern or a URL", made);
        let documents = matches!(kind, CorpusKind::Parquet | CorpusKind::Jsonl);
        let tokenizer = documents || kind == CorpusKind::Text;
        let otherwise = if files { TOKENS } else { made };
        let what = "the path of a tokenizer.json";
        set_if(found, "tokenizer", &self.tokenizer, tokenizer, documents, what, otherwise);
        if let Some(bytes) = self.token_bytes {
            let is_tokens = kind == CorpusKind::Tokens;
            let expected = if is_tokens { "2 or 4" } else { "none: only corpus.kind = \"tokens\" has it" };
            found.require_with(
                is_tokens && [2, 4].contains(&bytes),
                "token_bytes",
                bytes,
                expected,
                Some("corpus.kind"),
            );
        }
    }
}

/// Requires a file if `must` is true, and refuses one unless `may` is true.
fn set_if(found: &mut Findings, key: &str, file: &Option<String>, may: bool, must: bool, what: &str, otherwise: &str) {
    let fits = match file.as_deref() {
        Some(name) => may && !name.is_empty(),
        None => !must,
    };
    let got = file.as_ref().map_or("missing".to_string(), |file| format!("{file:?}"));
    let expected = if may { what.to_string() } else { format!("none, as {otherwise}") };
    found.require_with(fits, key, got, expected, Some("corpus.kind"));
}
