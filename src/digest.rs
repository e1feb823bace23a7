//! blake3 digests of models, payloads, aggregations and whole runs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A blake3 digest of 32 bytes; printed and stored as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Digest of the little-endian bytes of a vector of f32. Models are named by it.
    pub fn of_f32(values: &[f32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = [0u8; 4096];
        for block in values.chunks(buffer.len() / 4) {
            for (bytes, value) in buffer.chunks_exact_mut(4).zip(block) {
                bytes.copy_from_slice(&value.to_le_bytes());
            }
            hasher.update(&buffer[..block.len() * 4]);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// Digest of several parts. Each part's length goes in too, so that moving bytes between parts changes the digest.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first 12 hexadecimal digits, for tables and file names.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = (0..64)
            .step_by(2)
            .map(|at| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<Vec<u8>>>()
            .filter(|_| text.len() == 64)
            .ok_or_else(|| serde::de::Error::custom("expected 64 hexadecimal digits"))?;
        Ok(Self(bytes.try_into().expect("32 pairs of digits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_floats_is_the_digest_of_their_bytes() {
        let values: Vec<f32> = (0..2500).map(|i| i as f32 * 0.1).collect();
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(Digest::of_f32(&values), Digest::of(&bytes));
    }

    #[test]
    fn text_form_reads_back() {
        let digest = Digest::of(b"gauntlet");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"abc\"").is_err());
    }
}
