//! The bytes of a peer's upload, version 2. All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `GNTU` |
//! | 2 | version |
//! | 32 | digest of the run |
//! | 8 | round |
//! | 2 | uid |
//! | 32 | hotkey |
//! | 32 | digest of the model that the pseudo-gradient was computed on |
//! | 2 | if the network asks for it: pages that the peer says it trained on |
//! | 66 | if the network audits: digests of the training state before and after, and the inner steps |
//! | 8 per tensor | two sample values, f32 each: [`super::samples`] |
//! | varies by tensor | the tensor's coefficients: `packed` |
//! | 64 | ed25519 signature of the blake3 digest of all bytes before it |
//!
//! The model and the scheme fix the number of coefficients and their bits, so all valid uploads have exactly one
//! length. This module does not judge indices and values; [`PayloadShape::check`] does.

mod packed;

use bytes::Bytes;

use super::identity::SIGNATURE_LEN;
use super::verified::Verified;
use super::{Hotkey, Identity, floats, take};
use crate::Uid;
use crate::digest::Digest;
use crate::training::{PayloadShape, PseudoGradient};

const MAGIC: [u8; 4] = *b"GNTU";
const VERSION: u16 = 2;
/// Length of the bytes before an upload's content, which those of a sealed one have too.
pub(super) const HEADER_LEN: usize = 4 + 2 + 32 + 8 + 2 + 32 + 32;

/// What a peer uploads in a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// Digest that names the run.
    pub run: Digest,
    pub round: u64,
    pub uid: Uid,
    pub hotkey: Hotkey,
    /// Digest of the model that the pseudo-gradient was computed on.
    pub model: Digest,
    /// How many pages the peer says it trained on, if the network asks for it.
    pub pages: Option<u16>,
    /// What the peer's work started from and ended with, if the network audits.
    pub commitment: Option<Commitment>,
    /// Two values of every tensor of that model, at [`super::samples::positions`].
    pub samples: Vec<[f32; 2]>,
    pub gradient: PseudoGradient,
}

/// What a peer must show when its work is computed again. The state is what its scheme keeps from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// Digest of the training state that the work started from.
    pub before: Digest,
    /// Digest of the state that it ended with.
    pub after: Digest,
    /// Steps that the peer made alone; 0 for as many as the scheme says.
    pub steps: u16,
}

impl Commitment {
    /// The steps that the peer made alone, if not as many as the scheme says.
    pub fn own_steps(&self) -> Option<usize> {
        Some(usize::from(self.steps)).filter(|steps| *steps > 0)
    }

    const LEN: usize = 32 + 32 + 2;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.before.0);
        bytes.extend(self.after.0);
        bytes.extend(self.steps.to_le_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [before, after] = [take(bytes)?, take(bytes)?].map(Digest);
        Some(Self { before, after, steps: u16::from_le_bytes(take(bytes)?) })
    }
}

/// What all uploads of a network have in common.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    pub shape: &'a PayloadShape,
    /// Whether uploads say how many pages their peers trained on.
    pub says_pages: bool,
    /// Whether uploads commit to their peers' training states.
    pub commits: bool,
}

impl<'a> From<&'a PayloadShape> for Form<'a> {
    /// Uploads that say nothing about pages and states.
    fn from(shape: &'a PayloadShape) -> Self {
        Self { shape, says_pages: false, commits: false }
    }
}

impl Form<'_> {
    /// Length of what uploads of this form say beside model and gradient.
    fn said_len(self) -> usize {
        let pages = if self.says_pages { size_of::<u16>() } else { 0 };
        pages + if self.commits { Commitment::LEN } else { 0 }
    }
}

/// Length in bytes of every valid upload of this form. Readers ask the store for one byte more, to notice a longer
/// object without fetching it.
pub fn encoded_len<'a>(form: impl Into<Form<'a>>) -> usize {
    let form = form.into();
    let tensors: usize = form.shape.tensors.iter().map(|tensor| 8 + packed::len(tensor)).sum();
    HEADER_LEN + form.said_len() + tensors + SIGNATURE_LEN
}

/// The round and the peer whose upload the reader asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub run: Digest,
    pub round: u64,
    pub uid: Uid,
    pub hotkey: Hotkey,
}

/// Why bytes are not the expected upload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("not an upload: it does not begin with \"GNTU\"")]
    NotAnUpload,
    #[error("upload of format version {found}; this program reads version {VERSION}")]
    Version { found: u16 },
    #[error("upload is cut off: it has {found} of {expected} bytes")]
    TooShort { expected: usize, found: usize },
    #[error("upload is longer than the {expected} bytes of this model and scheme")]
    TrailingBytes { expected: usize },
    #[error("upload belongs to run {}, not to {}", found.short(), expected.short())]
    Run { expected: Digest, found: Digest },
    #[error("upload is of round {found}, not of round {expected}")]
    Round { expected: u64, found: u64 },
    #[error("upload names uid {found}, expected uid {expected}")]
    Uid { expected: Uid, found: Uid },
    #[error("upload names hotkey {found}, expected {expected}")]
    Hotkey { expected: Hotkey, found: Hotkey },
    #[error("upload is not signed by {hotkey}")]
    Signature { hotkey: Hotkey },
}

/// Encodes an upload of this form, signed by `identity`.
///
/// Checks nothing, because nodes that misbehave use it too. The reader checks.
pub fn encode<'a>(upload: &Upload, form: impl Into<Form<'a>>, identity: &Identity) -> Bytes {
    let form = form.into();
    let mut bytes = Vec::with_capacity(encoded_len(form));
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(upload.run.0);
    bytes.extend(upload.round.to_le_bytes());
    bytes.extend(upload.uid.to_le_bytes());
    bytes.extend(upload.hotkey.0);
    bytes.extend(upload.model.0);
    if form.says_pages {
        bytes.extend(upload.pages.unwrap_or(0).to_le_bytes());
    }
    if form.commits {
        let nothing = Commitment { before: Digest([0; 32]), after: Digest([0; 32]), steps: 0 };
        upload.commitment.unwrap_or(nothing).write(&mut bytes);
    }
    for sample in upload.samples.iter().flatten() {
        bytes.extend(sample.to_le_bytes());
    }
    write_tensors(form.shape, &upload.gradient, &mut bytes);
    let signature = identity.sign(&Digest::of(&bytes).0);
    bytes.extend(signature);
    bytes.into()
}

/// Decodes an upload of this form by this peer for this round.
///
/// # Errors
/// Checks in this order: format, length, run, round and peer, signature. Nothing is allocated before the length is
/// right, and no content is read before the signature is.
pub fn decode<'a>(
    bytes: &[u8],
    form: impl Into<Form<'a>>,
    expected: &Expected,
    verified: &Verified,
) -> Result<Upload, WireError> {
    let form = form.into();
    let (mut header, mut body) = check_length(bytes, encoded_len(form))?;
    let model = check_header(&mut header, expected)?;
    check_signature(bytes, &expected.hotkey, verified)?;
    let pages = if form.says_pages { take(&mut body).map(u16::from_le_bytes) } else { None };
    let commitment = if form.commits { Commitment::read(&mut body) } else { None };
    let (samples, tensors) = body.split_at(8 * form.shape.tensors.len());
    Ok(Upload {
        run: expected.run,
        round: expected.round,
        uid: expected.uid,
        hotkey: expected.hotkey,
        model,
        pages,
        commitment,
        samples: floats(samples).collect::<Vec<_>>().chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect(),
        gradient: read_tensors(tensors, form.shape),
    })
}

/// Checks the format and the length of an upload. Returns the rest of the header, and the bytes between it and the
/// signature.
fn check_length(bytes: &[u8], expected: usize) -> Result<(&[u8], &[u8]), WireError> {
    let mut rest = bytes;
    if take(&mut rest) != Some(MAGIC) {
        return Err(WireError::NotAnUpload);
    }
    let too_short = WireError::TooShort { expected, found: bytes.len() };
    let Some(version) = take(&mut rest).map(u16::from_le_bytes) else { return Err(too_short) };
    if version != VERSION {
        return Err(WireError::Version { found: version });
    }
    if bytes.len() < expected {
        return Err(too_short);
    }
    if bytes.len() > expected {
        return Err(WireError::TrailingBytes { expected });
    }
    let (header, body) = bytes[..expected - SIGNATURE_LEN].split_at(HEADER_LEN);
    Ok((&header[6..], body))
}

/// Checks the signature at the end of an upload.
pub(super) fn check_signature(bytes: &[u8], hotkey: &Hotkey, verified: &Verified) -> Result<(), WireError> {
    let (signed, signature) = bytes.split_last_chunk::<SIGNATURE_LEN>().ok_or(WireError::NotAnUpload)?;
    let is_theirs = verified.verify(hotkey, &Digest::of(signed), signature);
    if is_theirs { Ok(()) } else { Err(WireError::Signature { hotkey: *hotkey }) }
}

/// Checks the upload's run, round and peer. Returns the digest that follows them, that of its model.
pub(super) fn check_header(header: &mut &[u8], expected: &Expected) -> Result<Digest, WireError> {
    let (Some(run), Some(round), Some(uid), Some(hotkey), Some(model)) = (
        take(header).map(Digest),
        take(header).map(u64::from_le_bytes),
        take(header).map(Uid::from_le_bytes),
        take(header).map(Hotkey),
        take(header).map(Digest),
    ) else {
        return Err(WireError::NotAnUpload);
    };
    if run != expected.run {
        return Err(WireError::Run { expected: expected.run, found: run });
    }
    if round != expected.round {
        return Err(WireError::Round { expected: expected.round, found: round });
    }
    if uid != expected.uid {
        return Err(WireError::Uid { expected: expected.uid, found: uid });
    }
    if hotkey != expected.hotkey {
        return Err(WireError::Hotkey { expected: expected.hotkey, found: hotkey });
    }
    Ok(model)
}

/// Whether two pseudo-gradients of this shape are the same when they are sent.
pub fn are_same(shape: &PayloadShape, a: &PseudoGradient, b: &PseudoGradient) -> bool {
    let sent = |gradient| {
        let mut bytes = Vec::new();
        write_tensors(shape, gradient, &mut bytes);
        bytes
    };
    sent(a) == sent(b)
}

fn write_tensors(shape: &PayloadShape, gradient: &PseudoGradient, bytes: &mut Vec<u8>) {
    for (shape, tensor) in shape.tensors.iter().zip(&gradient.tensors) {
        packed::write(shape, tensor, bytes);
    }
}

/// Reads the tensors. `bytes` has exactly the length of the shape.
fn read_tensors(mut bytes: &[u8], shape: &PayloadShape) -> PseudoGradient {
    let read = |shape| {
        let (tensor, rest) = bytes.split_at(packed::len(shape));
        bytes = rest;
        packed::read(shape, tensor)
    };
    PseudoGradient { tensors: shape.tensors.iter().map(read).collect() }
}

#[cfg(test)]
mod tests;
