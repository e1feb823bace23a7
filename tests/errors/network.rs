//! Errors of what nodes send one another, and of the chain.

use gauntlet::chain::{LedgerError, Refusal};
use gauntlet::digest::Digest;
use gauntlet::runtime::report::ReportError;
use gauntlet::training::{Basis, ChunkError, CoreError, PayloadError};
use gauntlet::transport::Hotkey;
use gauntlet::transport::audit::RequestError;
use gauntlet::transport::bundle::BundleError;
use gauntlet::transport::call::CallError;
use gauntlet::transport::checkpoint::CheckpointError;
use gauntlet::transport::envelope::{EnvelopeError, KeyError};
use gauntlet::transport::genesis::GenesisError;
use gauntlet::transport::identity::NotAHotkey;
use gauntlet::transport::record::RecordError;
use gauntlet::transport::sealed::SealError;
use gauntlet::transport::wire::WireError;

use super::{Seen, seen};

fn digests() -> (Digest, Digest) {
    (Digest::of(b"expected"), Digest::of(b"found"))
}

pub fn hotkey(digit: &str) -> Hotkey {
    digit.repeat(64).parse().unwrap()
}

pub fn no_json() -> serde_json::Error {
    serde_json::from_str::<u64>("").unwrap_err()
}

pub fn all() -> Vec<Seen> {
    [uploads(), sealed(), objects(), ledger(), payloads()].into_iter().flatten().collect()
}

fn uploads() -> Vec<Seen> {
    let (expected, found) = digests();
    let (a, b) = (hotkey("a"), hotkey("b"));
    vec![
        seen(WireError::NotAnUpload, "not an upload: it does not begin with \"GNTU\""),
        seen(WireError::Version { found: 99 }, "upload of format version 99; this program reads version 2"),
        seen(WireError::TooShort { expected: 9, found: 1 }, "upload is cut off: it has 1 of 9 bytes"),
        seen(WireError::TrailingBytes { expected: 9 }, "upload is longer than the 9 bytes of this model and scheme"),
        seen(WireError::Run { expected, found }, "upload belongs to run FOUND, not to EXPECTED"),
        seen(WireError::Round { expected: 3, found: 2 }, "upload is of round 2, not of round 3"),
        seen(WireError::Uid { expected: 3, found: 2 }, "upload names uid 2, expected uid 3"),
        seen(WireError::Hotkey { expected: a, found: b }, "upload names hotkey B, expected A"),
        seen(WireError::Signature { hotkey: a }, "upload is not signed by A"),
        seen(EnvelopeError::NotSealed, "not a sealed upload: it does not begin with \"GNTE\""),
        seen(EnvelopeError::Version { found: 99 }, "sealed upload of format version 99; this program reads version 1"),
        seen(
            EnvelopeError::Length { expected: 9, found: 1 },
            "sealed upload has 1 byte; those of this model and scheme have 9",
        ),
        seen(EnvelopeError::Header(WireError::NotAnUpload), "not an upload: it does not begin with \"GNTU\""),
        seen(KeyError::Wrong, "the key does not open the upload"),
        seen(KeyError::OfAnother, "the key is of another upload"),
    ]
}

fn sealed() -> Vec<Seen> {
    let (expected, found) = digests();
    let (a, b) = (hotkey("a"), hotkey("b"));
    vec![
        seen(NotAHotkey, "a hotkey is 64 lower-case hexadecimal digits"),
        seen(SealError::TooLong { max: 9, found: 10 }, "10 bytes; at most 9 expected"),
        seen(SealError::NoSignature, "it does not end with a line of a hotkey and its signature, 193 bytes"),
        seen(SealError::Signature { signer: a }, "it names A as its signer, but the signature is not valid"),
        seen(
            SealError::Json { source: no_json() },
            "it is not what version PROGRAM of this program writes: it ends within a value at line 1 column 0",
        ),
        seen(RecordError::Seal(SealError::TooLong { max: 9, found: 10 }), "not a record: 10 bytes; at most 9 expected"),
        seen(RecordError::NotAValidator { signer: a }, "record is signed by A, which is not a validator of this run"),
        seen(RecordError::Run { expected, found }, "record belongs to run FOUND, not to EXPECTED"),
        seen(RecordError::Round { expected: 3, found: 2 }, "record is of round 2, not of round 3"),
        seen(RecordError::Validator { expected: a, found: b }, "record names validator B, but A signed it"),
        seen(RecordError::Twice { uid: 7 }, "record includes uid 7 twice"),
        seen(CallError::Seal(SealError::TooLong { max: 9, found: 10 }), "not a call: 10 bytes; at most 9 expected"),
        seen(CallError::Misplaced, "the call belongs to another run or to another path"),
        seen(CallError::Signer { expected: a, found: b }, "the call is signed by B, not by A"),
        seen(
            RequestError::Seal(SealError::TooLong { max: 9, found: 10 }),
            "not a request for audits: 10 bytes; at most 9 expected",
        ),
        seen(RequestError::Misplaced, "the request is of another run or round"),
        seen(RequestError::Signer { expected: a, found: b }, "the request is signed by B, not by A"),
        seen(ReportError::Seal(SealError::TooLong { max: 9, found: 10 }), "not a report: 10 bytes; at most 9 expected"),
        seen(ReportError::Misplaced, "the report is of another run, round or validator"),
        seen(
            ReportError::Unsound,
            "its columns cannot be written to files, or peers have more or fewer numbers than there are columns",
        ),
    ]
}

fn objects() -> Vec<Seen> {
    let (expected, found) = digests();
    vec![
        seen(GenesisError::TooLong { found: 9 }, "it has 9 bytes; a genesis has at most 1048576"),
        seen(GenesisError::Version { found: 99 }, "it is of format 99; this program reads format 1"),
        seen(
            GenesisError::Json(no_json()),
            "it is not what `sim genesis` writes: it ends within a value at line 1 column 0",
        ),
        seen(
            CheckpointError::Length { parameters: 5, part: 1, expected: 9, found: 8 },
            "part 1 of the checkpoint has 8 bytes; for 5 parameters it should have 9",
        ),
        seen(CheckpointError::NotACheckpoint, "not a checkpoint: it does not begin with \"GNTC\""),
        seen(CheckpointError::Version { found: 99 }, "checkpoint of format version 99; this program reads version 1"),
        seen(CheckpointError::Run { expected, found }, "checkpoint belongs to run FOUND, not to EXPECTED"),
        seen(
            CheckpointError::Model { expected, found },
            "checkpoint is damaged: its parameters have digest FOUND, but its header says EXPECTED",
        ),
        seen(BundleError::TooLong { max: 9, found: 10 }, "bundle of 10 bytes; at most 9 expected"),
        seen(BundleError::NotABundle, "not a bundle: it does not begin with \"GNTB\""),
        seen(BundleError::Version { found: 99 }, "bundle of format version 99; this program reads version 1"),
        seen(BundleError::Length { found: 10 }, "bundle of 10 bytes does not have the length that its index gives"),
        seen(
            BundleError::Payload { number: 2, expected, found },
            "upload 2 of the bundle is damaged: its digest is FOUND, the index says EXPECTED",
        ),
    ]
}

fn ledger() -> Vec<Seen> {
    vec![
        seen(LedgerError::NoValidator, "a chain needs at least one validator"),
        seen(LedgerError::InvalidStake(1, -2.0), "stake of validator 1 is -2: it must be positive and finite"),
        seen(LedgerError::TooManyPeers { peers: 2, slots: 1 }, "2 peers at genesis, but the chain has 1 slot"),
        seen(LedgerError::RepeatedHotkey, "two nodes have the same hotkey at genesis"),
        seen(
            LedgerError::BlockOver { block: 3, present: 5 },
            "block 3 is over; submit for the current block 5 or a later one",
        ),
        seen(LedgerError::TooManyWeights(9999), "9999 weights in one call, more than the 250 slots a chain has"),
        seen(LedgerError::Other("the chain is closed".into()), "the chain is closed"),
        seen(Refusal::AlreadyRegistered, "the hotkey is registered already"),
        seen(Refusal::IsValidator, "the hotkey is a validator's; register peers under hotkeys of their own"),
        seen(Refusal::NoSlots, "the chain has no slots"),
        seen(Refusal::SlotTaken(3), "slot 3 is taken, and its owner is not the next to be pushed out"),
        seen(Refusal::NotAValidator, "only validators set weights"),
        seen(Refusal::UnknownUid(3), "a weight for slot 3, which nobody holds"),
        seen(Refusal::RepeatedUid(3), "two weights for slot 3"),
        seen(Refusal::InvalidWeight(3), "the weight for slot 3 is negative or not finite"),
        seen(Refusal::NotCommitted, "validators of this chain commit to weights first"),
        seen(Refusal::CommittedBefore, "the validator has committed to weights for this epoch before"),
        seen(Refusal::UnknownCommitment, "no open commitment of an earlier epoch is to these weights"),
        seen(Refusal::RoundToCome(3), "round 3 is still to come"),
    ]
}

fn payloads() -> Vec<Seen> {
    let tensor = || "norm".to_string();
    vec![
        seen(ChunkError::Chunk(0), "scheme.chunk is 0: expected 1 to 256"),
        seen(ChunkError::TopK, "scheme.topk is 0: expected at least one coefficient a chunk"),
        seen(
            ChunkError::Shape { name: tensor(), shape: vec![0] },
            "tensor `norm` has shape [0]: expected one or two sizes above zero",
        ),
        seen(
            CoreError::Rule { sent: Basis::Dct },
            "the rule of aggregation does not work on coefficients of the DCT, which the scheme sends",
        ),
        seen(PayloadError::TensorCount { expected: 2, got: 1 }, "1 tensor, expected 2"),
        seen(PayloadError::IndexCount { tensor: tensor(), expected: 2, got: 1 }, "tensor `norm`: 1 index, expected 2"),
        seen(PayloadError::ValueCount { tensor: tensor(), expected: 2, got: 1 }, "tensor `norm`: 1 value, expected 2"),
        seen(
            PayloadError::IndexRange { tensor: tensor(), chunk: 1, index: 9, size: 4 },
            "tensor `norm`, chunk 1: index 9 in a chunk of 4",
        ),
        seen(
            PayloadError::DuplicateIndex { tensor: tensor(), chunk: 1, index: 9 },
            "tensor `norm`, chunk 1: index 9 twice",
        ),
        seen(PayloadError::NotFinite { tensor: tensor(), chunk: 1 }, "tensor `norm`, chunk 1: a value is not finite"),
    ]
}
