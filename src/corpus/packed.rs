//! Token ids in memory, in as few bytes as they need.

use crate::digest::Digest;

/// Token ids of one text or of many documents.
pub enum Packed {
    Bytes(Vec<u8>),
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
}

impl Packed {
    /// Starts empty, for a vocabulary of this size.
    pub fn of_vocabulary(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 { Self::Narrow(Vec::new()) } else { Self::Wide(Vec::new()) }
    }

    /// Appends ids, which must be below the vocabulary's size.
    pub fn extend(&mut self, ids: &[u32]) {
        match self {
            Self::Bytes(held) => held.extend(ids.iter().map(|id| *id as u8)),
            Self::Narrow(held) => held.extend(ids.iter().map(|id| *id as u16)),
            Self::Wide(held) => held.extend_from_slice(ids),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(ids) => ids.len(),
            Self::Narrow(ids) => ids.len(),
            Self::Wide(ids) => ids.len(),
        }
    }

    pub fn window(&self, start: usize, len: usize) -> Vec<u32> {
        match self {
            Self::Bytes(ids) => ids[start..start + len].iter().map(|id| u32::from(*id)).collect(),
            Self::Narrow(ids) => ids[start..start + len].iter().map(|id| u32::from(*id)).collect(),
            Self::Wide(ids) => ids[start..start + len].to_vec(),
        }
    }

    /// A digest of the ids.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut from = 0;
        while from < self.len() {
            let block = self.window(from, (1 << 16).min(self.len() - from));
            hasher.update(&block.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>());
            from += block.len();
        }
        Digest::of_parts([b"gauntlet documents".as_slice(), hasher.finalize().as_bytes()])
    }
}
