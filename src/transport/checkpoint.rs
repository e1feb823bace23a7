//! The bytes of a checkpoint, version 1: a model for joining nodes to start from. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GNTC` |
//! | 2 | version |
//! | 32 | digest of the run |
//! | 8 | round after which the model was saved |
//! | 32 | digest of the model |
//! | 4 per parameter | theta, f32 |
//!
//! A checkpoint needs no signature: the digest of the model after a round is in the validator's signed record.
//!
//! A model of more than [`PART`] parameters is cut into objects of [`PART`] parameters, sent and received one by one
//! ([`super::keys::part`]). Stores limit the size of a request and slow links its duration, and no node has to hold the
//! bytes of more than one part.

use bytes::Bytes;

use super::{floats, take};
use crate::digest::Digest;

const MAGIC: [u8; 4] = *b"GNTC";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 4 + 2 + 32 + 8 + 32;

/// A model after a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Digest that names the run.
    pub run: Digest,
    pub round: u64,
    /// Digest of `theta`.
    pub model: Digest,
    /// The parameters in the layout's order.
    pub theta: Vec<f32>,
}

/// Why bytes are not the expected checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("part {part} of the checkpoint has {found} bytes; for {parameters} parameters it should have {expected}")]
    Length { parameters: usize, part: usize, expected: usize, found: usize },
    #[error("not a checkpoint: it does not begin with \"GNTC\"")]
    NotACheckpoint,
    #[error("checkpoint of format version {found}; this program reads version {VERSION}")]
    Version { found: u16 },
    #[error("checkpoint belongs to run {}, not to {}", found.short(), expected.short())]
    Run { expected: Digest, found: Digest },
    #[error("checkpoint is damaged: its parameters have digest {}, but its header says {}", found.short(), expected.short())]
    Model { expected: Digest, found: Digest },
}

/// Parameters in a part: 64 MiB.
pub const PART: usize = 1 << 24;

/// Number of parts of a checkpoint with this many parameters.
pub fn parts(parameters: usize) -> usize {
    parameters.div_ceil(PART).max(1)
}

/// Length in bytes of all parts together.
pub fn encoded_len(parameters: usize) -> usize {
    HEADER_LEN + 4 * parameters
}

/// Length in bytes of part number `part`.
pub fn part_len(parameters: usize, part: usize) -> usize {
    let header = if part == 0 { HEADER_LEN } else { 0 };
    header + 4 * (parameters - part * PART).min(PART)
}

/// Encodes one part of a checkpoint.
pub fn encode_part(run: &Digest, round: u64, model: &Digest, theta: &[f32], part: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(part_len(theta.len(), part));
    if part == 0 {
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(run.0);
        bytes.extend(round.to_le_bytes());
        bytes.extend(model.0);
    }
    let values = theta.chunks(PART).nth(part).unwrap_or_default();
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes.into()
}

/// Reads a checkpoint part by part.
pub struct Decoder {
    checkpoint: Checkpoint,
    parameters: usize,
    hasher: blake3::Hasher,
    parts: usize,
}

impl Decoder {
    /// Reads the first part of the checkpoint of a model with this many parameters.
    ///
    /// # Errors
    /// The part has another length or format, or belongs to another run.
    pub fn begin(bytes: &[u8], run: &Digest, parameters: usize) -> Result<Self, CheckpointError> {
        check_len(bytes, parameters, 0)?;
        let mut rest = bytes;
        let (Some(magic), Some(version), Some(found_run), Some(round), Some(model)) = (
            take(&mut rest),
            take(&mut rest).map(u16::from_le_bytes),
            take(&mut rest).map(Digest),
            take(&mut rest).map(u64::from_le_bytes),
            take(&mut rest).map(Digest),
        ) else {
            return Err(CheckpointError::NotACheckpoint);
        };
        if magic != MAGIC {
            return Err(CheckpointError::NotACheckpoint);
        }
        if version != VERSION {
            return Err(CheckpointError::Version { found: version });
        }
        if found_run != *run {
            return Err(CheckpointError::Run { expected: *run, found: found_run });
        }
        let theta = Vec::with_capacity(parameters);
        let checkpoint = Checkpoint { run: found_run, round, model, theta };
        let mut decoder = Self { checkpoint, parameters, hasher: blake3::Hasher::new(), parts: 0 };
        decoder.take_values(rest);
        Ok(decoder)
    }

    /// The round and the model's digest, as the header gives them. Compare them before you fetch the rest.
    pub fn declared(&self) -> (u64, Digest) {
        (self.checkpoint.round, self.checkpoint.model)
    }

    /// The number of the next part, or `None` when the checkpoint is complete.
    pub fn next_part(&self) -> Option<usize> {
        Some(self.parts).filter(|part| *part < parts(self.parameters))
    }

    /// Reads the next part.
    ///
    /// # Errors
    /// The part has the wrong length.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        check_len(bytes, self.parameters, self.parts)?;
        self.take_values(bytes);
        Ok(())
    }

    fn take_values(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.checkpoint.theta.extend(floats(bytes));
        self.parts += 1;
    }

    /// The checkpoint. The caller must compare its `model` with a record that it trusts.
    ///
    /// # Errors
    /// The parameters do not have the digest in the header.
    pub fn finish(self) -> Result<Checkpoint, CheckpointError> {
        let found = Digest(*self.hasher.finalize().as_bytes());
        let expected = self.checkpoint.model;
        if found == expected { Ok(self.checkpoint) } else { Err(CheckpointError::Model { expected, found }) }
    }
}

fn check_len(bytes: &[u8], parameters: usize, part: usize) -> Result<(), CheckpointError> {
    let (expected, found) = (part_len(parameters, part), bytes.len());
    if found == expected { Ok(()) } else { Err(CheckpointError::Length { parameters, part, expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], run: &Digest, parameters: usize) -> Result<Checkpoint, CheckpointError> {
        Decoder::begin(bytes, run, parameters)?.finish()
    }

    #[test]
    fn a_checkpoint_reads_back_bit_for_bit() {
        let theta = [1.5, -0.0, f32::from_bits(0x7fc0_1234), f32::MIN_POSITIVE / 2.0];
        let (run, model) = (Digest::of(b"run"), Digest::of_f32(&theta));
        let bytes = encode_part(&run, 100, &model, &theta, 0);
        let read = decode(&bytes, &run, 4).unwrap();
        assert_eq!((read.run, read.round, read.model), (run, 100, model));
        assert_eq!(encode_part(&read.run, read.round, &read.model, &read.theta, 0), bytes);
    }

    #[test]
    fn a_large_one_reads_back_part_by_part() {
        let theta: Vec<f32> = (0..PART + 3).map(|i| i as f32).collect();
        let (run, model) = (Digest::of(b"run"), Digest::of_f32(&theta));
        let part = |part| encode_part(&run, 7, &model, &theta, part);
        assert_eq!((parts(theta.len()), part(1).len()), (2, 12));
        assert_eq!(part(0).len() + part(1).len(), encoded_len(theta.len()));

        let begun = || Decoder::begin(&part(0), &run, theta.len()).unwrap();
        let mut decoder = begun();
        assert_eq!((decoder.declared(), decoder.next_part()), ((7, model), Some(1)));
        assert!(matches!(decoder.add(&part(1)[..8]), Err(CheckpointError::Length { part: 1, expected: 12, .. })));
        decoder.add(&part(1)).unwrap();
        assert_eq!(decoder.next_part(), None);
        assert!(decoder.finish().unwrap().theta == theta);

        let mut damaged = begun();
        damaged.add(&[0; 12]).unwrap();
        assert!(matches!(damaged.finish(), Err(CheckpointError::Model { .. })));
        assert!(matches!(begun().finish(), Err(CheckpointError::Model { .. })), "a part is missing");
    }

    #[test]
    fn each_wrong_part_has_its_own_error() {
        let theta = [1.0f32, 2.0];
        let run = Digest::of(b"run");
        let bytes = encode_part(&run, 100, &Digest::of_f32(&theta), &theta, 0);
        let with = |at: usize| {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            decode(&changed, &run, 2).unwrap_err()
        };
        assert_eq!(with(0), CheckpointError::NotACheckpoint);
        assert_eq!(with(4), CheckpointError::Version { found: 0 });
        assert!(matches!(with(6), CheckpointError::Run { .. }));
        assert!(matches!(with(46), CheckpointError::Model { .. }));
        assert!(matches!(with(bytes.len() - 1), CheckpointError::Model { .. }));
        for (bytes, parameters) in [(&bytes[..], 3), (&bytes[..bytes.len() - 1], 2), (&[][..], 2)] {
            assert!(matches!(decode(bytes, &run, parameters), Err(CheckpointError::Length { .. })));
        }
    }
}
