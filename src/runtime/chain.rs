//! The chain of a real network: a ledger that everybody computes from the calls in the bucket.
//!
//! The store's stamp of a call says which block it is in, so that all who see the same objects compute the same state.
//! Nothing that the model depends on is read from it: who is aggregated is in the round's record.
//!
//! | file | what it holds |
//! |---|---|
//! | `chain` | a node's account: the ports of the chain |
//! | `allowed` | which buckets of their own peers may name |
//! | `read` | calls from objects in the bucket |
//! | `seen` | calls in their order, and the ledger that they lead to |
//! | `post` | a node's own calls: objects put where nothing is yet |

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
use crate::chain::{Call, Chain, ChainSettings, ChainState, ChainView, Genesis, Ledger, LedgerError};
use crate::digest::Digest;
use crate::node::ports::Clock;
use crate::transport::Identity;

/// How long to wait for a chain that cannot be read yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The chain as one node sees it, and its account on it.
pub struct BucketChain {
    reader: Arc<Reader>,
    identity: Arc<Identity>,
    clock: Clock,
    /// Where this node keeps its uploads, if in a bucket of its own.
    own_bucket: Option<String>,
    seen: Mutex<Seen>,
}

impl BucketChain {
    /// The chain of a run.
    ///
    /// # Errors
    /// A genesis that no chain has.
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

    /// The same account, of a node that keeps its uploads in a bucket of its own.
    pub fn with_own_bucket(self, url: Option<String>) -> Self {
        Self { own_bucket: url, ..self }
    }

    /// The ledger as of the newest block, read from the bucket if nobody has in this block.
    async fn state(&self) -> Arc<ChainState> {
        loop {
            let mut seen = self.seen.lock().await;
            if seen.is_complete && seen.newest.block >= self.clock.block() {
                return seen.newest.clone();
            }
            match seen.refresh(&self.reader, &self.clock).await {
                Ok(()) => return seen.newest.clone(),
                Err(error) if seen.is_complete => {
                    tracing::warn!(%error, "the chain cannot be read; going on with what was read before");
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
        };
        if let Err(error) = sent {
            tracing::warn!(%error, "a call to the chain was not sent");
        }
    }
}

#[cfg(test)]
mod tests;
