//! The chain of a simulated world: one back end in memory, and an account for each node.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;

use crate::chain::{Books, Call, ChainView, Extrinsic, LedgerError};
use crate::node::ports::{Chain, Clock};
use crate::transport::Hotkey;

/// The books, shared by all accounts.
pub struct SharedLedger(Mutex<Kept>);

struct Kept {
    books: Box<dyn Books>,
    /// The newest view that was requested: most nodes ask in the same blocks.
    newest: Arc<dyn ChainView>,
}

impl SharedLedger {
    pub fn new(mut books: Box<dyn Books>) -> Self {
        let newest = books.view(0);
        Self(Mutex::new(Kept { books, newest }))
    }

    /// The chain as of a block. Nodes that ask in the same block share the view.
    pub fn view(&self, block: u64) -> Arc<dyn ChainView> {
        let mut kept = self.kept();
        if kept.newest.block() != block {
            kept.newest = kept.books.view(block);
        }
        kept.newest.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("no panic while held")
    }

    /// Submits a call. Returns whether it was accepted, and so is in the log.
    fn submit(&self, block: u64, extrinsic: Extrinsic) -> bool {
        match self.kept().books.submit(block, extrinsic) {
            Ok(()) => true,
            Err(error @ LedgerError::BlockOver { .. }) => {
                panic!("nobody asks for blocks that are still to come: {error}")
            }
            Err(error) => {
                tracing::warn!(%error, "the chain does not take a call");
                false
            }
        }
    }

    /// Every accepted extrinsic with its block, in order of blocks. Those of one node are in the order in which it sent
    /// them.
    pub fn log(&self) -> Vec<(u64, Extrinsic)> {
        self.kept().books.log()
    }
}

/// A node's account.
pub struct Account {
    pub ledger: Arc<SharedLedger>,
    pub clock: Clock,
    pub hotkey: Hotkey,
    /// Number of accepted extrinsics from this node, which is also their number in the log.
    pub sent: AtomicU64,
}

#[async_trait]
impl Chain for Account {
    async fn view(&self) -> Arc<dyn ChainView> {
        self.ledger.view(self.clock.block())
    }

    async fn submit(&self, call: Call) {
        if self.ledger.submit(self.clock.block(), Extrinsic { hotkey: self.hotkey.0, call }) {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}
