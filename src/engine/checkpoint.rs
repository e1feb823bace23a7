//! A world on disk: every node's state between two rounds, what lies in the bucket, and the chain's log.
//!
//! Nodes reach the end of a round at different times, so a checkpoint is a cut, not an instant: each node is taken up
//! at its own time. What a node had put into the bucket or sent to the chain after its part of the cut, it does again
//! when it is taken up, at the same time and with the same content; so that is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chain::Extrinsic;
use crate::digest::Digest;
use crate::transport::simulated::{BucketState, LinkState};

/// Format of the file; another one cannot be taken up.
const VERSION: u32 = 4;

/// A world between two rounds.
#[derive(Serialize, Deserialize)]
pub struct Checkpoint {
    version: u32,
    /// The run it is of.
    pub run: Digest,
    /// Rounds that are done.
    pub rounds: u64,
    /// Digest over the reports of those rounds.
    pub reports: Digest,
    /// Parameters by their digest; nodes in sync share them.
    pub replicas: BTreeMap<[u8; 32], Vec<f32>>,
    /// One entry a node, `None` for those that start later.
    pub nodes: Vec<Option<NodeCheckpoint>>,
    pub bucket: BucketState,
    pub chain: Vec<(u64, Extrinsic)>,
}

/// A node's part of the cut.
#[derive(Clone, Serialize, Deserialize)]
pub struct NodeCheckpoint {
    /// When it got here.
    pub at: Duration,
    /// Its own state; `None` when it has ended.
    pub state: Option<Vec<u8>>,
    pub link: LinkState,
    /// Extrinsics it had sent, from each of its accounts.
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

    /// The bytes of a file, with a digest behind them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = postcard::to_stdvec(self).expect("a plain structure");
        bytes.extend(Digest::of(&bytes).0);
        bytes
    }

    /// Reads what `to_bytes` wrote; says what is wrong otherwise.
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
