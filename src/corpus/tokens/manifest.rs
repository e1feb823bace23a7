//! What lies beside shards of tokens: how much there is, of what, and how far the making of it has come.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::corpus::error::CorpusError;
use crate::corpus::inputs::Input;
use crate::corpus::left_out::{Noticed, PassedOver};
use crate::digest::Digest;

/// The manifest's name in the folder of the shards.
pub const MANIFEST: &str = "manifest.json";
/// What the file says it is.
const FORMAT: &str = "gauntlet tokens 1";

/// What a token takes in a shard, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    U16,
    U32,
}

impl TokenType {
    /// The narrower one that holds all ids below `vocab_size`.
    pub fn of_vocabulary(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 { Self::U16 } else { Self::U32 }
    }

    /// The ids that some bytes hold.
    pub fn decode(self, bytes: &[u8]) -> Vec<u32> {
        match self {
            Self::U16 => bytes.as_chunks().0.iter().map(|two| u32::from(u16::from_le_bytes(*two))).collect(),
            Self::U32 => bytes.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect(),
        }
    }

    /// The bytes of some ids, which fit, behind others.
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
    /// The id behind each document.
    pub eos: u32,
    /// Digest of the tokenizer.json.
    pub tokenizer: Digest,
    pub documents: u64,
    /// Those of `eos` included.
    pub tokens: u64,
    pub shards: Vec<ShardEntry>,
    pub skipped: Skipped,
    /// What is no error, and yet not in the shards as it lay there.
    #[serde(default)]
    pub noticed: Noticed,
    /// What the search for the inputs passed over.
    #[serde(default)]
    pub passed_over: PassedOver,
    pub source: SourceEntry,
    /// Where it stopped, if it is not finished.
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

/// What could not be read and was left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Files of which all, or the rest, was left out.
    pub files: u64,
    pub row_groups: u64,
    pub documents: u64,
    /// The first of the reasons.
    pub reasons: Vec<String>,
}

impl Skipped {
    pub fn total(&self) -> u64 {
        self.files + self.row_groups + self.documents
    }
}

/// What the shards were made of; made of something else they would be others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceEntry {
    pub inputs: Vec<Input>,
    pub text_column: String,
    /// A shard ends with the document with which it has so many tokens.
    pub shard_tokens: u64,
    /// Whether what could not be read was left out.
    pub skips: bool,
}

/// How far the making has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The next document: the input's number, and the number of items of it that are done.
    pub input: usize,
    pub item: u64,
    /// What the shard that is not full holds.
    pub open_tokens: u64,
    pub open_documents: u64,
}

impl TokenManifest {
    /// Of nothing yet.
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

    /// Reads what the file `name`, for messages, holds.
    ///
    /// # Errors
    /// Not such a manifest, or one that contradicts itself.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, CorpusError> {
        let wrong = |reason: String| CorpusError::Manifest { path: name.to_string(), reason };
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| wrong(format!("not the manifest of tokenised shards: {error}")))?;
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

    /// The manifest, if all its shards are made; `name` is its file's, for messages.
    ///
    /// # Errors
    /// They are not.
    pub fn finished(self, name: &str) -> Result<Self, CorpusError> {
        if self.unfinished.is_none() {
            return Ok(self);
        }
        let reason = "the shards are not finished; the `sim tokenize` that made them goes on when it is run again";
        Err(CorpusError::Manifest { path: name.to_string(), reason: reason.into() })
    }

    /// Writes it into a folder, in one step.
    ///
    /// # Errors
    /// A disk that does not take it.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let part = folder.join(format!("{MANIFEST}.part"));
        let mut file = File::create(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(part, folder.join(MANIFEST))
    }

    /// Names the tokens: not where they came from, and not how the files are called.
    pub fn fingerprint(&self) -> Digest {
        let digests: Vec<Digest> = self.shards.iter().map(|shard| shard.digest).collect();
        fingerprint(self.token_type, &digests)
    }
}

/// Names the tokens of shards with these digests.
pub fn fingerprint(token_type: TokenType, shards: &[Digest]) -> Digest {
    let width = token_type.bytes().to_le_bytes();
    let parts = [b"gauntlet tokens".as_slice(), &width];
    Digest::of_parts(parts.into_iter().chain(shards.iter().map(|digest| &digest.0[..])))
}
