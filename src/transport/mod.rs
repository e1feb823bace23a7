//! What goes over the network: who signs it, where in the bucket it lies, which bytes it is, and the simulated network
//! itself.
//!
//! Nodes talk through one bucket only, an [`object_store::ObjectStore`]. Each writes below its own prefix ([`keys`]),
//! validators below `rounds/` too, and reads everywhere. Whatever another node wrote is hostile until it has been
//! decoded: sizes are checked before anything is allocated, then the signature, then the content, and nothing panics.
//!
//! | module | what it holds |
//! |---|---|
//! | [`identity`] | ed25519 keys |
//! | [`keys`] | paths in the bucket |
//! | [`samples`] | which two values of a tensor tell whether a peer is in sync |
//! | [`genesis`] | what a run is |
//! | [`call`] | what nodes ask of the chain |
//! | [`wire`] | a peer's upload |
//! | [`sealed`] | signed JSON |
//! | [`record`] | the record of a round |
//! | [`bundle`] | the included uploads of a round in one object |
//! | [`checkpoint`] | a model to start from |
//! | [`retry`] | a store that tries again |
//! | [`simulated`] | the bucket and the links of a simulated network, on tokio's paused clock |

pub mod bundle;
pub mod call;
pub mod checkpoint;
pub mod genesis;
mod hex;
pub mod identity;
pub mod keys;
pub mod record;
pub mod retry;
pub mod samples;
pub mod sealed;
pub mod simulated;
pub mod wire;

pub use identity::{Hotkey, Identity};

/// Takes the first `N` bytes off the front, if there are as many.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

/// Little-endian f32s, as many as there are whole ones.
pub(crate) fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}
