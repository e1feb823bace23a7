//! Messages between nodes: who signs them, where they are in the bucket, how they are encoded; and the simulated
//! network.
//!
//! Nodes talk only through the run's bucket, an [`object_store::ObjectStore`]; a peer may keep its uploads in a bucket of
//! its own. A node writes below its own prefix ([`keys`]), a validator below `rounds/` too, and both read everywhere.
//! Data from other nodes is hostile until it has been decoded: decoders check sizes before they allocate, then the
//! signature, then the content, and never panic.
//!
//! | module | what it holds |
//! |---|---|
//! | [`identity`] | ed25519 keys |
//! | [`keys`] | paths in the bucket |
//! | [`samples`] | values of the model that show whether a peer is in sync |
//! | [`genesis`] | the definition of a run |
//! | [`call`] | calls to the chain |
//! | [`audit`] | which peers a validator audits |
//! | [`wire`] | a peer's upload |
//! | [`envelope`] | a sealed upload, and its key |
//! | [`sealed`] | signed JSON |
//! | [`verified`] | signatures that are known to be valid |
//! | [`record`] | the record of a round |
//! | [`bundle`] | the included uploads of a round in one object |
//! | [`checkpoint`] | a model to start from |
//! | [`retry`] | a store that retries |
//! | [`simulated`] | the bucket and the links of a simulated network, on tokio's paused clock |

pub mod audit;
pub mod bundle;
pub mod call;
pub mod checkpoint;
pub mod envelope;
pub mod genesis;
mod hex;
pub mod identity;
pub mod keys;
pub mod record;
pub mod retry;
pub mod samples;
pub mod sealed;
pub mod simulated;
pub mod verified;
pub mod wire;

pub use identity::{Hotkey, Identity};

/// Takes the first `N` bytes off the front; `None` if there are fewer.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// Little-endian f32s; a rest of fewer than 4 bytes is dropped.
pub(crate) fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}
