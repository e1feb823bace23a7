//! A peer's upload of a round: posting and fetching it.

use std::time::Duration;

use bytes::Bytes;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt};

use super::network::Network;
use super::ports::Ports;
use super::reveal::{self, KeyFault, Unopened};
use crate::Uid;
use crate::bucket::untrusted::body;
use crate::digest::Digest;
use crate::training::{PseudoGradient, Replica};
use crate::transport::wire::{self, Commitment, Expected, Upload};
use crate::transport::{Hotkey, Identity, keys, samples};

/// Rounds for which a node keeps what it puts for one round alone: uploads, their keys, and what audits are about.
pub const KEPT_UPLOADS: u64 = 3;

/// What the bucket has under the key of a peer's upload.
pub enum Fetched {
    /// Nothing, or nothing that could be read in time.
    Absent,
    /// Bytes that are not an upload of this peer and round.
    Malformed {
        /// When the store received them.
        stamp: Duration,
    },
    /// A sealed upload without a key that opens it in time.
    Sealed {
        /// When the store received it.
        stamp: Duration,
        fault: KeyFault,
    },
    /// An upload in the right shape.
    Valid(Box<Received>),
}

/// A well-formed upload.
pub struct Received {
    pub upload: Upload,
    pub stamp: Duration,
    /// Digest of the bytes: what a round record names.
    pub payload: Digest,
    /// The plain upload.
    pub bytes: Bytes,
}

impl Fetched {
    /// The upload, if it is well-formed.
    pub fn valid(self) -> Option<Upload> {
        match self {
            Self::Valid(received) => Some(received.upload),
            _ => None,
        }
    }
}

/// What an upload says of the work in it. Validators compare the samples with their own model's.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Digest of the model.
    pub model: Digest,
    /// Two values of every tensor.
    pub samples: Vec<[f32; 2]>,
    /// How many pages it was computed from. Uploads say it only where the network asks for it.
    pub pages: usize,
}

impl Claim {
    /// What is true of a replica in a round, for a peer that trains on so many pages.
    pub fn of(network: &Network, replica: &Replica, round: u64, pages: usize) -> Self {
        Self { model: replica.digest, samples: samples_of(network, replica, round), pages }
    }
}

/// Signs a pseudo-gradient, computed on a model of which `claim` is said, as the upload of `uid` in `round`. The commitment is sent
/// where the network audits.
pub fn sign(
    network: &Network,
    identity: &Identity,
    uid: Uid,
    round: u64,
    claim: Claim,
    (gradient, commitment): (PseudoGradient, Option<Commitment>),
) -> Bytes {
    let Claim { model, samples, pages } = claim;
    let pages = network.rules.protocol.says_pages().then(|| u16::try_from(pages).unwrap_or(u16::MAX));
    let (run, hotkey) = (network.run, identity.hotkey());
    let upload = Upload { run, round, uid, hotkey, model, pages, commitment, samples, gradient };
    wire::encode(&upload, network.form(), identity)
}

/// Two values of every tensor of a replica, at positions that change with the round.
pub fn samples_of(network: &Network, replica: &Replica, round: u64) -> Vec<[f32; 2]> {
    samples::of_model(&replica.theta, &network.core.layout, network.rules.seed.known(), round)
}

/// Fetches and checks the upload of a peer. Transfers no more bytes than a well-formed upload has. If uploads are sealed,
/// fetches it at once and waits for its key until the reveal window has ended.
pub async fn fetch(network: &Network, ports: &Ports, round: u64, uid: Uid, hotkey: Hotkey) -> Fetched {
    let most = reveal::upload_len(network) as u64;
    let options = GetOptions { range: Some(GetRange::Bounded(0..most)), ..Default::default() };
    let key = keys::upload(&hotkey, round);
    let Some(bucket) = ports.uploads_of(&hotkey).await else { return Fetched::Absent };
    let answer = match bucket.get_opts(&key, options).await {
        Ok(answer) => answer,
        Err(Error::NotFound { .. } | Error::Generic { .. }) => return Fetched::Absent,
        // An object is there, but the range does not fit: it is empty.
        Err(_) => {
            let Ok(meta) = bucket.head(&key).await else { return Fetched::Absent };
            return Fetched::Malformed { stamp: ports.clock.since_genesis(meta.last_modified) };
        }
    };
    let stamp = ports.clock.since_genesis(answer.meta.last_modified);
    if answer.meta.size != most {
        return Fetched::Malformed { stamp };
    }
    let Ok(bytes) = body(answer).await else {
        return Fetched::Absent;
    };
    let expected = Expected { run: network.run, round, uid, hotkey };
    let bytes = match reveal::opened(network, ports, &expected, bytes).await {
        Ok(bytes) => bytes,
        Err(Unopened::Malformed) => return Fetched::Malformed { stamp },
        Err(Unopened::Key(fault)) => return Fetched::Sealed { stamp, fault },
    };
    match decode(network, &bytes, round, uid, hotkey) {
        Some(upload) => Fetched::Valid(Box::new(Received { upload, stamp, payload: Digest::of(&bytes), bytes })),
        None => Fetched::Malformed { stamp },
    }
}

/// Decodes an upload. It must be signed by `hotkey` for this run and round, and every tensor must fit the model's
/// shape.
pub fn decode(network: &Network, bytes: &[u8], round: u64, uid: Uid, hotkey: Hotkey) -> Option<Upload> {
    let expected = Expected { run: network.run, round, uid, hotkey };
    let upload = wire::decode(bytes, network.form(), &expected, &network.verified).ok()?;
    network.shape.check(&upload.gradient).ok()?;
    Some(upload)
}

/// Uploads `bytes`; a failure is a missed round, not an error.
pub async fn put(ports: &Ports, round: u64, bytes: Bytes) {
    if let Err(error) = ports.own_uploads.put(&keys::upload(&ports.identity.hotkey(), round), bytes.into()).await {
        tracing::warn!(round, %error, "upload failed");
    }
}
