//! The chain of a simulated world: one ledger in memory, an account for each node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::chain::{Call, ChainState, Extrinsic, Ledger};
use crate::node::ports::{Chain, Clock};
use crate::transport::Hotkey;

/// The ledger, shared by all accounts.
pub struct SharedLedger(Mutex<Kept>);

struct Kept {
    ledger: Ledger,
    /// The state that was asked for last: most nodes ask in the same blocks.
    newest: Arc<ChainState>,
}

impl SharedLedger {
    pub fn new(mut ledger: Ledger) -> Self {
        let newest = Arc::new(ledger.state_at(0).clone());
        Self(Mutex::new(Kept { ledger, newest }))
    }

    /// The state as of a block; nodes that ask in the same block share it.
    pub fn state(&self, block: u64) -> Arc<ChainState> {
        let mut kept = self.kept();
        if kept.newest.block != block {
            kept.newest = Arc::new(kept.ledger.state_at(block).clone());
        }
        kept.newest.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no panic while held")
    }

    fn submit(&self, block: u64, extrinsic: Extrinsic) {
        let submitted = self.kept().ledger.submit(block, extrinsic);
        submitted.expect("nobody asks for blocks that are still to come");
    }

    /// Every extrinsic so far, with its block, in the order of their effects; those of one node in the order in which
    /// it sent them.
    pub fn log(&self) -> Vec<(u64, Extrinsic)> {
        self.kept().ledger.log().collect()
    }
}

/// A node's account.
pub struct Account {
    pub ledger: Arc<SharedLedger>,
    pub clock: Clock,
    pub hotkey: Hotkey,
    /// How many extrinsics this node has sent.
    pub sent: AtomicU64,
}

#[async_trait]
impl Chain for Account {
    async fn state(&self) -> Arc<ChainState> {
        self.ledger.state(self.clock.block())
    }

    async fn submit(&self, call: Call) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.ledger.submit(self.clock.block(), Extrinsic { hotkey: self.hotkey.0, call });
    }
}
