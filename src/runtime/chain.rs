//! The chain of a real network: a ledger that every node computes from the calls in the bucket.
//!
//! The store's stamp of a call decides its block, so all nodes that see the same objects compute the same state. The
//! model depends on nothing in the ledger: the round's record decides who is aggregated.
//!
//! | file | what it holds |
//! |---|---|
//! | `chain` | a node's account and view of the chain |
//! | `allowed` | which buckets of their own peers may name |
//! | `read` | calls from objects in the bucket |
//! | `seen` | calls in order, and the ledger computed from them |
//! | `post` | a node's own calls, put where no object exists |

mod allowed;
mod post;
mod read;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::ObjectStore;
use tokio::sync::Mutex;

pub use self::allowed::allows;
use self::read::Reader;
use self::seen::Seen;
use crate::chain::{Call, Chain, ChainSettings, ChainState, ChainView, Genesis, Ledger, LedgerError, Objection};
use crate::digest::Digest;
use crate::node::ports::Clock;
use crate::transport::call::Says;
use crate::transport::{Hotkey, Identity};

/// How long to wait for a chain that cannot be read yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The chain as one node sees it, and its account on it.
pub struct BucketChain {
    reader: Arc<Reader>,
    identity: Arc<Identity>,
    clock: Clock,
    /// URL of the bucket of its own that this node uploads to, if any.
    own_bucket: Option<String>,
    seen: Mutex<Seen>,
}

impl BucketChain {
    /// The chain of a run.
    ///
    /// # Errors
    /// The genesis is none that a chain can start from.
    pub fn new(
        run: Digest,
        identity: Arc<Identity>,
        bucket: Arc<dyn ObjectStore>,
        clock: Clock,
        settings: ChainSettings,
        genesis: Genesis,
    ) -> Result<Self, LedgerError> {
        let seen = Mutex::new(Seen::new(Ledger::new(&settings, genesis.clone())?));
        let reader = Arc::new(Reader { run, bucket, settings, genesis });
        Ok(Self { reader, identity, clock, own_bucket: None, seen })
    }

    /// The same account, for a node that uploads to a bucket of its own.
    pub fn with_own_bucket(self, url: Option<String>) -> Self {
        Self { own_bucket: url, ..self }
    }

    /// The ledger as of the newest block. Read from the bucket if this block's state has not been read yet.
    pub(crate) async fn state(&self) -> Arc<ChainState> {
        loop {
            let mut seen = self.seen.lock().await;
            if seen.is_complete && seen.newest.block >= self.clock.block() {
                return seen.newest.clone();
            }
            match seen.refresh(&self.reader, &self.clock).await {
                Ok(()) => return seen.newest.clone(),
                Err(error) if seen.is_complete => {
                    tracing::warn!(%error, "the chain cannot be read; using what was read before");
                    return seen.newest.clone();
                }
                Err(error) => tracing::warn!(%error, "the chain cannot be read; trying again"),
            }
            drop(seen);
            self.clock.sleep(LOOK_AGAIN).await;
        }
    }
}

#[async_trait]
impl Chain for BucketChain {
    async fn view(&self) -> Arc<dyn ChainView> {
        self.state().await
    }

    async fn submit(&self, call: Call) {
        let sent = match call {
            Call::Register | Call::Claim { .. } => self.register().await,
            Call::SetWeights(weights) => self.set_weights(weights).await,
            Call::CommitWeights(digest) => self.say(Says::Commits(digest)).await,
            Call::RevealWeights { weights, salt } => self.say(Says::Reveals { weights, salt }).await,
            Call::Object(Objection { round, author, lacks }) => {
                self.say(Says::Objects { round, author: Hotkey(author), lacks }).await
            }
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "a call to the chain was not sent");
        }
    }
}

#[cfg(test)]
mod tests;
