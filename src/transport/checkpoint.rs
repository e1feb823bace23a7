//! The bytes of a checkpoint, version 1: a model that a joining node starts from. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GNTC` |
//! | 2 | version |
//! | 32 | digest of the run |
//! | 8 | round after which the model was saved |
//! | 32 | digest of the model |
//! | 4 a parameter | theta, f32 |
//!
//! It is not signed: the digest of the model after a round is in the validator's signed record.

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

/// Why some bytes are not the checkpoint that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("checkpoint of {found} bytes; a model of {parameters} parameters makes {expected}")]
    Length { parameters: usize, expected: usize, found: usize },
    #[error("not a checkpoint: it does not begin with \"GNTC\"")]
    NotACheckpoint,
    #[error("checkpoint of format version {found}; this program reads version {VERSION}")]
    Version { found: u16 },
    #[error("checkpoint belongs to run {}, not to {}", found.short(), expected.short())]
    Run { expected: Digest, found: Digest },
    #[error("checkpoint is damaged: its parameters have digest {}, its header says {}", found.short(), expected.short())]
    Model { expected: Digest, found: Digest },
}

/// Length in bytes of a checkpoint of a model with so many parameters.
pub fn encoded_len(parameters: usize) -> usize {
    HEADER_LEN + 4 * parameters
}

/// The checkpoint's bytes.
pub fn encode(run: &Digest, round: u64, model: &Digest, theta: &[f32]) -> Bytes {
    let mut bytes = Vec::with_capacity(encoded_len(theta.len()));
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(run.0);
    bytes.extend(round.to_le_bytes());
    bytes.extend(model.0);
    bytes.extend(theta.iter().flat_map(|value| value.to_le_bytes()));
    bytes.into()
}

/// Reads a checkpoint of a run's model with so many parameters. The caller compares `model` with a record that it
/// trusts.
///
/// # Errors
/// Any other length or format, another run, or parameters that do not have the digest that the header says.
pub fn decode(bytes: &[u8], run: &Digest, parameters: usize) -> Result<Checkpoint, CheckpointError> {
    let expected = encoded_len(parameters);
    if bytes.len() != expected {
        return Err(CheckpointError::Length { parameters, expected, found: bytes.len() });
    }
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
    let found = Digest::of(rest);
    if found != model {
        return Err(CheckpointError::Model { expected: model, found });
    }
    Ok(Checkpoint { run: found_run, round, model, theta: floats(rest).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_bit_for_bit() {
        let theta = [1.5, -0.0, f32::from_bits(0x7fc0_1234), f32::MIN_POSITIVE / 2.0];
        let (run, model) = (Digest::of(b"run"), Digest::of_f32(&theta));
        let bytes = encode(&run, 100, &model, &theta);
        let read = decode(&bytes, &run, 4).unwrap();
        assert_eq!((read.run, read.round, read.model), (run, 100, model));
        assert_eq!(encode(&read.run, read.round, &read.model, &read.theta), bytes);
    }

    #[test]
    fn each_wrong_part_is_an_error_of_its_own() {
        let theta = [1.0f32, 2.0];
        let run = Digest::of(b"run");
        let bytes = encode(&run, 100, &Digest::of_f32(&theta), &theta);
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
