//! What a node sees and does on a chain: the only part of a back end that nodes know.

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
    /// Sends a call. It takes effect with the next block or is refused.
    async fn submit(&self, call: Call);
}

/// The chain at the start of a block, after all calls of earlier blocks. A view never changes; each block has its own.
pub trait ChainView: Send + Sync {
    /// The block that this view shows.
    fn block(&self) -> u64;

    /// Slots and the hotkeys of their owners, by uid.
    fn peers(&self) -> Vec<(Uid, Hotkey)>;

    /// The share of each round's pay that a slot gets; 0 for a free slot.
    fn incentive(&self, uid: Uid) -> f64;

    /// Hotkeys and stakes of all validators of the run, in the order in which they may lead. If the first is silent,
    /// the next one decides.
    fn validators(&self) -> Vec<(Hotkey, f64)>;

    /// The validators in the order in which they may decide a round: those that a majority objects to come last. It is
    /// the same whenever a node asks, from the start of the round on.
    fn succession(&self, _round: u64) -> Vec<(Hotkey, f64)> {
        self.validators()
    }

    /// Rounds that validators agree to treat as an empty step, because they lack what their records name. In ascending
    /// order.
    fn void_rounds(&self) -> Vec<u64> {
        Vec::new()
    }

    /// The weights that count now, by validator: everybody can read them.
    fn weights(&self) -> Vec<(Hotkey, Vec<(Uid, f64)>)> {
        Vec::new()
    }

    /// The slot of a hotkey.
    fn uid_of(&self, hotkey: &Hotkey) -> Option<Uid> {
        self.peers().into_iter().find(|(_, owner)| owner == hotkey).map(|(uid, _)| uid)
    }

    /// The bucket that a hotkey named for its uploads, if it does not use the network's.
    fn bucket_of(&self, _hotkey: &Hotkey) -> Option<&str> {
        None
    }
}
