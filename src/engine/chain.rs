//! The chain of a simulated world: one ledger in memory, an account for each node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::chain::{Call, ChainState, Extrinsic, Ledger};
use crate::node::ports::{Chain, Clock};
use crate::transport::Hotkey;

/// The ledger, shared by all accounts.
pub struct SharedLedger {
    /// The ledger, and the state that was asked for last.
    ledger: Mutex<(Ledger, Option<Arc<ChainState>>)>,
}

impl SharedLedger {
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger: Mutex::new((ledger, None)) }
    }

    /// The state as of a block; nodes that ask in the same block share it.
    pub fn state(&self, block: u64) -> Arc<ChainState> {
        let (ledger, newest) = &mut *self.ledger.lock().expect("no panic while held");
        match newest {
            Some(state) if state.block == block => state.clone(),
            _ => {
                let state = Arc::new(ledger.state_at(block).clone());
                *newest = Some(state.clone());
                state
            }
        }
    }

    fn submit(&self, block: u64, extrinsic: Extrinsic) {
        let submitted = self.ledger.lock().expect("no panic while held").0.submit(block, extrinsic);
        submitted.expect("nobody asks for blocks that are still to come");
    }

    /// Every extrinsic so far, with its block, in the order of their effects; those of one node in the order in which it sent them.
    pub fn log(&self) -> Vec<(u64, Extrinsic)> {
        self.ledger.lock().expect("no panic while held").0.log().collect()
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
