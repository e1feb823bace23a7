//! A slot of a peer: its keys, and the state of that slot alone.

use std::collections::VecDeque;

use object_store::ObjectStoreExt;

use crate::Uid;
use crate::chain::Call;
use crate::digest::Digest;
use crate::node::audit::{self, Start};
use crate::node::network::Network;
use crate::node::ports::Ports;
use crate::node::upload::KEPT_UPLOADS;
use crate::training::scheme::LocalTraining;
use crate::transport::keys;

/// Attempts to register. Another peer may come first, or the bucket may fail.
const REGISTRATIONS: u32 = 10;
/// A slot.
pub struct Slot {
    /// The node's ports under each key of the slot, in the order of use.
    keys: Vec<Ports>,
    /// Index of the current key.
    key: usize,
    pub uid: Option<Uid>,
    /// The slot was pushed out or could not register, so this key has no part any more.
    pub is_over: bool,
    /// State of its training; `None` while it trains. It outlives the key.
    pub local: Option<Box<dyn LocalTraining>>,
    /// Digest of that state, if it is known.
    pub digest: Option<Digest>,
    /// Rounds whose uploads are still in the bucket, with the index of each one's key.
    pub uploaded: VecDeque<(u64, u32)>,
    /// What its last work started from, if the network audits, and the index of the key of that upload.
    pub start: Option<(u32, Start)>,
}

impl Slot {
    /// An unregistered slot, which will register with the first of these keys.
    pub fn new(keys: Vec<Ports>, local: Box<dyn LocalTraining>) -> Self {
        assert!(!keys.is_empty(), "a slot has a key");
        Self {
            keys,
            key: 0,
            uid: None,
            is_over: false,
            local: Some(local),
            digest: None,
            uploaded: VecDeque::new(),
            start: None,
        }
    }

    /// The node's ports under the current key.
    pub fn ports(&self) -> &Ports {
        &self.keys[self.key]
    }

    /// Index of the current key.
    pub fn key(&self) -> usize {
        self.key
    }

    /// What its work of a round started from that it has uploaded for, with the ports of the upload's key.
    pub fn start_of(&self, round: u64) -> Option<(Ports, Start)> {
        self.uploaded.iter().find(|(uploaded, _)| *uploaded == round)?;
        let (key, start) = self.start.as_ref().filter(|(_, start)| start.round == round)?;
        Some((self.keys.get(*key as usize)?.clone(), start.clone()))
    }

    /// Restores the current key.
    pub fn restore_key(&mut self, key: usize) -> Result<(), String> {
        let keys = self.keys.len();
        self.key = key;
        if key < keys { Ok(()) } else { Err(format!("it is of a node with more than {keys} keys for a slot")) }
    }

    /// Whether it will register again under another key.
    pub fn comes_back(&self) -> bool {
        self.key + 1 < self.keys.len()
    }

    /// Abandons the slot and prepares to register again under key number `key`, unless that is the current one.
    pub fn renew(&mut self, key: usize) {
        let key = key.min(self.keys.len() - 1);
        if key != self.key {
            (self.key, self.uid, self.is_over) = (key, None, false);
        }
    }

    async fn registered(&self) -> Option<Uid> {
        self.ports().chain.view().await.uid_of(&self.ports().identity.hotkey().0)
    }

    /// Deletes uploads of old rounds, which every node has fetched by now, with their keys and states.
    pub async fn forget_uploads(&mut self, round: u64, network: &Network) {
        while let Some((old, key)) = self.uploaded.pop_front_if(|(old, _)| *old + KEPT_UPLOADS <= round) {
            let Some(ports) = self.keys.get(key as usize) else { continue };
            let hotkey = ports.identity.hotkey();
            let _ = ports.own_uploads.delete(&keys::upload(&hotkey, old)).await;
            if network.rules.protocol.sealed {
                let _ = ports.own_uploads.delete(&keys::upload_key(&hotkey, old)).await;
            }
            if network.rules.judge.audits() {
                audit::forget(&*ports.own_uploads, &hotkey, old, network.core.state_len()).await;
            }
        }
    }
}

/// Registers the slots that were never registered, and marks those that were pushed out.
pub async fn register(slots: &mut [Slot]) {
    let mut slots: Vec<&mut Slot> = slots.iter_mut().filter(|slot| !slot.is_over).collect();
    // A ledger takes the calls of a block in this order.
    slots.sort_by_key(|slot| slot.ports().identity.hotkey());
    let mut found = Vec::new();
    for slot in &slots {
        found.push(slot.registered().await);
    }
    for _ in 0..REGISTRATIONS {
        let wanting: Vec<usize> =
            (0..slots.len()).filter(|&at| found[at].is_none() && slots[at].uid.is_none()).collect();
        let Some(&first) = wanting.first() else { break };
        for &at in &wanting {
            slots[at].ports().chain.submit(Call::Register).await;
        }
        slots[first].ports().clock.sleep_until_next_block().await;
        for &at in &wanting {
            found[at] = slots[at].registered().await;
        }
    }
    for (slot, uid) in slots.iter_mut().zip(found) {
        let (host, had_one) = (&slot.ports().host, slot.uid.is_some());
        if slot.uid != uid {
            host.trace(&format!("slot {uid:?}"));
        }
        if uid.is_none() {
            host.slot_over(&slot.ports().identity.hotkey(), had_one);
        }
        (slot.uid, slot.is_over) = (uid, uid.is_none());
    }
}
