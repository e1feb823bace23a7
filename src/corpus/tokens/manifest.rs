//! The manifest beside shards of tokens: their content, their origin, and the progress of making them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::corpus::error::CorpusError;
use crate::corpus::inputs::Input;
use crate::corpus::left_out::{Noticed, PassedOver};
use crate::digest::Digest;
use crate::words::{not_json, unmarked};

/// The manifest's name in the folder of the shards.
pub const MANIFEST: &str = "manifest.json";
/// The format that the file states.
const FORMAT: &str = "gauntlet tokens 1";

/// How a shard stores a token, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    U16,
    U32,
}

impl TokenType {
    /// The narrowest type that holds all ids below `vocab_size`.
    pub fn of_vocabulary(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 { Self::U16 } else { Self::U32 }
    }

    /// Decodes ids from bytes.
    pub fn decode(self, bytes: &[u8]) -> Vec<u32> {
        match self {
            Self::U16 => bytes.as_chunks().0.iter().map(|two| u32::from(u16::from_le_bytes(*two))).collect(),
            Self::U32 => bytes.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect(),
        }
    }

    /// Appends ids, which must fit, to bytes.
    pub fn encode(self, ids: &[u32], bytes: &mut Vec<u8>) {
        match self {
            Self::U16 => bytes.extend(ids.iter().flat_map(|id| (*id as u16).to_le_bytes())),
            Self::U32 => bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes())),
        }
    }

    /// Bytes of a token.
    pub fn bytes(self) -> u64 {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }
}

/// A folder of shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenManifest {
    format: String,
    pub token_type: TokenType,
    /// All ids are below this.
    pub vocab_size: usize,
    /// The id that ends each document.
    pub eos: u32,
    /// Digest of the tokenizer.json.
    pub tokenizer: Digest,
    pub documents: u64,
    /// Number of tokens, including those of `eos`.
    pub tokens: u64,
    pub shards: Vec<ShardEntry>,
    pub skipped: Skipped,
    /// Oddities of the inputs that are no errors.
    #[serde(default)]
    pub noticed: Noticed,
    /// What the search for the inputs passed over.
    #[serde(default)]
    pub passed_over: PassedOver,
    pub source: SourceEntry,
    /// Where the work stopped, if it is not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

/// A shard: a file without a header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Name in the manifest's folder.
    pub file: String,
    pub tokens: u64,
    pub documents: u64,
    /// Digest of the file's bytes.
    pub digest: Digest,
}

/// What was left out because it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Number of files left out in whole or in part.
    pub files: u64,
    pub row_groups: u64,
    pub documents: u64,
    /// The first reasons.
    pub reasons: Vec<String>,
}

impl Skipped {
    pub fn total(&self) -> u64 {
        self.files + self.row_groups + self.documents
    }
}

/// The source of the shards. Another source would make other shards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceEntry {
    pub inputs: Vec<Input>,
    pub text_column: String,
    /// A shard ends with the document that brings it to this many tokens.
    pub shard_tokens: u64,
    /// Whether unreadable parts were left out.
    pub skips: bool,
}

/// The progress of making the shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The next document: number of its input, and number of that input's items that are done.
    pub input: usize,
    pub item: u64,
    /// Tokens in the shard that is not full.
    pub open_tokens: u64,
    pub open_documents: u64,
}

impl TokenManifest {
    /// The manifest of work that has not begun.
    pub fn new(vocab_size: usize, eos: u32, tokenizer: Digest, source: SourceEntry) -> Self {
        Self {
            format: FORMAT.into(),
            token_type: TokenType::of_vocabulary(vocab_size),
            vocab_size,
            eos,
            tokenizer,
            documents: 0,
            tokens: 0,
            shards: Vec::new(),
            skipped: Skipped::default(),
            noticed: Noticed::default(),
            passed_over: PassedOver::default(),
            source,
            unfinished: Some(Unfinished::default()),
        }
    }

    /// Parses a manifest. `name` is its file's, for messages.
    ///
    /// # Errors
    /// The content is no such manifest, or contradicts itself.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, CorpusError> {
        let wrong = |reason: String| CorpusError::Manifest { path: name.to_string(), reason };
        let bytes = unmarked(bytes);
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| wrong(format!("not the manifest of tokenised shards: {}", not_json(bytes, &error))))?;
        if manifest.format != FORMAT {
            return Err(wrong(format!("format {:?}; expected {FORMAT:?}", manifest.format)));
        }
        let whole = |shard: &ShardEntry| {
            let plain = Path::new(&shard.file).file_name().is_some_and(|file| file == shard.file.as_str());
            plain && shard.tokens.checked_mul(manifest.token_type.bytes()).is_some()
        };
        if let Some(shard) = manifest.shards.iter().find(|shard| !whole(shard)) {
            return Err(wrong(format!("shard {:?}: expected a file beside it, of at most 2^63 bytes", shard.file)));
        }
        let tokens = manifest.shards.iter().try_fold(0u64, |sum, shard| sum.checked_add(shard.tokens));
        if tokens != Some(manifest.tokens) && manifest.unfinished.is_none() {
            return Err(wrong(format!("tokens = {}, but its shards have another sum", manifest.tokens)));
        }
        Ok(manifest)
    }

    /// Returns the manifest if all its shards are made. `name` is its file's, for messages.
    ///
    /// # Errors
    /// Some shards are not made.
    pub fn finished(self, name: &str) -> Result<Self, CorpusError> {
        if self.unfinished.is_none() {
            return Ok(self);
        }
        let reason = "the shards are not finished; run the same `sim tokenize` again to finish them";
        Err(CorpusError::Manifest { path: name.to_string(), reason: reason.into() })
    }

    /// Writes it into a folder, in one step.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let part = folder.join(format!("{MANIFEST}.part"));
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(part, folder.join(MANIFEST))
    }

    /// A digest of the tokens. It depends neither on their source nor on file names.
    pub fn fingerprint(&self) -> Digest {
        let digests: Vec<Digest> = self.shards.iter().map(|shard| shard.digest).collect();
        fingerprint(self.token_type, &digests)
    }
}

/// A digest of the tokens of shards with these digests.
pub fn fingerprint(token_type: TokenType, shards: &[Digest]) -> Digest {
    let width = token_type.bytes().to_le_bytes();
    let parts = [b"gauntlet tokens".as_slice(), &width];
    Digest::of_parts(parts.into_iter().chain(shards.iter().map(|digest| &digest.0[..])))
}
