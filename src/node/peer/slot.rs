//! A slot of a peer: its identity, and what belongs to that alone.

use std::collections::VecDeque;

use object_store::ObjectStoreExt;

use crate::Uid;
use crate::chain::Call;
use crate::node::ports::Ports;
use crate::training::scheme::LocalTraining;
use crate::transport::keys;

/// How often it tries to register: another peer may be first, or the bucket may fail.
const REGISTRATIONS: u32 = 10;
/// Own uploads are kept for so many rounds.
pub const KEPT_UPLOADS: u64 = 3;

/// A slot.
pub struct Slot {
    /// Those of the node, under this identity.
    pub ports: Ports,
    pub uid: Option<Uid>,
    /// It was pushed out, or could not register: it has no part any more.
    pub is_over: bool,
    /// State of its training; `None` while it trains.
    pub local: Option<Box<dyn LocalTraining>>,
    /// Rounds whose uploads are still in the bucket.
    pub uploaded: VecDeque<u64>,
}

impl Slot {
    /// A slot that is not registered yet.
    pub fn new(ports: Ports, local: Box<dyn LocalTraining>) -> Self {
        Self { ports, uid: None, is_over: false, local: Some(local), uploaded: VecDeque::new() }
    }

    async fn registered(&self) -> Option<Uid> {
        self.ports.chain.view().await.uid_of(&self.ports.identity.hotkey().0)
    }

    /// Everybody has fetched what they need of rounds long past.
    pub async fn forget_uploads(&mut self, round: u64) {
        while let Some(old) = self.uploaded.pop_front_if(|old| *old + KEPT_UPLOADS <= round) {
            let _ = self.ports.own_uploads.delete(&keys::upload(&self.ports.identity.hotkey(), old)).await;
        }
    }
}

/// Registers those of these slots that have never been registered, and sees which were pushed out.
pub async fn register(slots: &mut [Slot]) {
    let mut slots: Vec<&mut Slot> = slots.iter_mut().filter(|slot| !slot.is_over).collect();
    // The order in which a ledger takes the calls of a block.
    slots.sort_by_key(|slot| slot.ports.identity.hotkey());
    let mut found = Vec::new();
    for slot in &slots {
        found.push(slot.registered().await);
    }
    for _ in 0..REGISTRATIONS {
        let wanting: Vec<usize> =
            (0..slots.len()).filter(|&at| found[at].is_none() && slots[at].uid.is_none()).collect();
        let Some(&first) = wanting.first() else { break };
        for &at in &wanting {
            slots[at].ports.chain.submit(Call::Register).await;
        }
        slots[first].ports.clock.sleep_until_next_block().await;
        for &at in &wanting {
            found[at] = slots[at].registered().await;
        }
    }
    for (slot, uid) in slots.iter_mut().zip(found) {
        let (host, had_one) = (&slot.ports.host, slot.uid.is_some());
        if slot.uid != uid {
            host.trace(&format!("slot {uid:?}"));
        }
        if uid.is_none() {
            host.slot_over(&slot.ports.identity.hotkey(), had_one);
        }
        (slot.uid, slot.is_over) = (uid, uid.is_none());
    }
}
