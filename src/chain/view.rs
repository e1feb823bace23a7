//! What a node sees of a chain, and how it asks something of it: all that nodes know of any back end.

use std::sync::Arc;

use async_trait::async_trait;

use super::call::Call;
use super::registry::Hotkey;
use crate::Uid;

/// A node's account on the chain.
#[async_trait]
pub trait Chain: Send + Sync {
    /// The chain as of the newest block.
    async fn view(&self) -> Arc<dyn ChainView>;
    /// Sends a call; it takes effect with the next block, or is refused.
    async fn submit(&self, call: Call);
}

/// The chain at the start of a block: after all calls of earlier blocks. It never changes; a later block has another.
pub trait ChainView: Send + Sync {
    /// The block it is the view of.
    fn block(&self) -> u64;

    /// Slots and the hotkeys of their owners, by uid.
    fn peers(&self) -> Vec<(Uid, Hotkey)>;

    /// The share of each round's pay that a slot gets; 0 for one that nobody holds.
    fn incentive(&self, uid: Uid) -> f64;

    /// Hotkeys and stakes of the validators, in the order in which they may decide: the lead first. When the lead is
    /// silent, the next one decides. Whoever validates is in it throughout the run.
    fn validators(&self) -> Vec<(Hotkey, f64)>;

    /// The slot of a hotkey.
    fn uid_of(&self, hotkey: &Hotkey) -> Option<Uid> {
        self.peers().into_iter().find(|(_, owner)| owner == hotkey).map(|(uid, _)| uid)
    }

    /// The bucket that a hotkey named for its uploads, if it has one of its own.
    fn bucket_of(&self, _hotkey: &Hotkey) -> Option<&str> {
        None
    }
}
