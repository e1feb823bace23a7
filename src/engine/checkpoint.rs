//! A world on disk: every node's state between two rounds, the bucket's objects, and the chain's log.
//!
//! Nodes reach the end of a round at different times, so a checkpoint is a cut, not an instant: each node resumes at
//! its own time. What a node put into the bucket or sent to the chain after its part of the cut is left out. The node
//! does it again when it resumes, at the same time and with the same content.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cost::Trained;
use crate::chain::Extrinsic;
use crate::digest::Digest;
use crate::transport::simulated::{BucketState, LinkState};

/// Format of the file. Other formats cannot be resumed.
const VERSION: u32 = 8;

/// A world between two rounds.
#[derive(Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    /// The run that it belongs to.
    pub run: Digest,
    /// Number of finished rounds.
    pub rounds: u64,
    /// Digest over the reports of those rounds.
    pub reports: Digest,
    /// Parameters by their digest; nodes in sync share them.
    pub replicas: BTreeMap<[u8; 32], Vec<f32>>,
    /// One entry per node; `None` for nodes that start later.
    pub nodes: Vec<Option<NodeCheckpoint>>,
    pub bucket: BucketState,
    pub chain: Vec<(u64, Extrinsic)>,
}

/// A node's part of the cut.
#[derive(Clone, Serialize, Deserialize)]
pub struct NodeCheckpoint {
    /// When the node reached the cut.
    pub at: Duration,
    /// The node's own state; `None` if it has ended.
    pub state: Option<Vec<u8>>,
    pub link: LinkState,
    /// Tokens that it has begun to train on.
    pub trained: Trained,
    /// Number of extrinsics sent, from each of its accounts.
    pub sent: Vec<u64>,
    /// Digest over its events.
    pub trace: Digest,
}

impl Checkpoint {
    pub(super) fn new(run: Digest, rounds: u64, reports: Digest) -> Self {
        Self {
            version: VERSION,
            run,
            rounds,
            reports,
            replicas: BTreeMap::new(),
            nodes: Vec::new(),
            bucket: BucketState::default(),
            chain: Vec::new(),
        }
    }

    /// The content of a file: the checkpoint, and a digest after it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = postcard::to_stdvec(self).expect("a plain structure");
        bytes.extend(Digest::of(&bytes).0);
        bytes
    }

    /// Reads what `to_bytes` wrote. The error says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (body, digest) = bytes.split_last_chunk::<32>().ok_or("it is cut short")?;
        if Digest::of(body).0 != *digest {
            return Err("its digest does not match: it is damaged".into());
        }
        let checkpoint: Self = postcard::from_bytes(body).map_err(|error| error.to_string())?;
        if checkpoint.version != VERSION {
            return Err(format!("it is of format {}, this is format {VERSION}", checkpoint.version));
        }
        Ok(checkpoint)
    }
}
